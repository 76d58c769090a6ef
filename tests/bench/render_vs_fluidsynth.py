"""Times the band's playing against the `fluidsynth` program on the same notes. Run by hand, on Linux or macOS.

    python tests/bench/render_vs_fluidsynth.py [--prompt ...] [--soundfont FILE] [--repeats 5]

A song is planned and written first, which is not timed. Then, in turns: FluidSynth renders its `song.mid` to one stereo
mix, dry and with its reverb and chorus; the band plays the same notes to five stereo stems, dry and with each stem's
effects as in a song.
All start as new processes, load what they need (interpreter and libraries here, the soundfont there) and write what
they play to files. The band plays on as many cores as there are, by the hands of `stemwright make`; FluidSynth has one
voice loop. Wall clock and the processor time of all processes are both compared. The aim is at most 0.8 of
FluidSynth's time.
"""

from __future__ import annotations

import argparse
import os
import pickle
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

from conditions import conditions
from spending import Spent, row, run

from models.api import StemRequest
from models.band.engine import layer_names
from models.band.instruments import program
from models.band.sound.index import ASSETS
from models.styles import load_style
from studio.jobs.cells import CellJob, written_requests
from studio.jobs.requests import cell_seed
from studio.plan import PlanOptions, plan_song
from studio.project.midi import parts_of, write_song_midi
from studio.song import Note, Provenance, Song, Take, Timeline
from studio.song.edits import AddTake

ROOT = Path(__file__).resolve().parents[2]


def written(prompt: str, seed: int | None, rate: int) -> tuple[Song, list[StemRequest]]:
    """A song whose cells hold their notes, and the request for each cell with those notes."""
    song = plan_song(prompt, PlanOptions(rate=rate, seed=seed)).song
    jobs = [
        CellJob(section.id, stem.id, cell_seed(song, section.id, stem.id, 0))
        for stem in song.stems
        for section in song.sections
    ]
    requests = list(written_requests(song, jobs))
    style = load_style(song.style)
    for job, request in zip(jobs, requests, strict=True):
        layers = tuple((name, program(name)) for name in layer_names(request, style))
        notes = tuple(Note(*note) for note in request.notes or ())
        take = Take("t1", Provenance("band", "", job.seed), rate, None, 0, notes, layers)
        song = AddTake(job.section, job.stem, take).apply(song)
    return song, requests


def main() -> None:
    """Parse the command line and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prompt", default="pop song, 3 minutes, 120 bpm")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--rate", type=int, default=48_000)
    parser.add_argument("--repeats", type=int, default=5, metavar="N")
    parser.add_argument("--soundfont", type=Path, default=ASSETS / "general.sf3", help="for FluidSynth (bundled)")
    arguments = parser.parse_args()
    if shutil.which("fluidsynth") is None:
        parser.error("the fluidsynth program is missing; on Debian: apt install fluidsynth")
    if arguments.repeats < 1:
        parser.error("--repeats: at least 1")
    song, requests = written(arguments.prompt, arguments.seed, arguments.rate)
    timeline = Timeline(song)
    seconds = timeline.total_frames(song.rate) / song.rate
    notes = sum(len(request.notes or ()) for request in requests)
    print(conditions())
    print(f"song       {arguments.prompt!r}: {seconds:.1f} s at {song.rate} Hz, style {song.style}, {notes} notes")
    print(f"output     FluidSynth one stereo mix; the band {len(song.stems)} stereo stems in {len(requests)} cells")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_song_midi(folder / "song.mid", song, timeline, parts_of(song, timeline))
        cells = folder / "requests"
        cells.write_bytes(pickle.dumps(requests))
        ours = [sys.executable, str(Path(__file__).resolve().with_name("playing.py"))]
        files = ["-r", str(song.rate), "-F", str(folder / "mix.wav"), str(arguments.soundfont.resolve())]
        theirs = ["fluidsynth", "-ni", "-q"]
        commands = {
            "FluidSynth, one mix, dry": [*theirs, "-R", "0", "-C", "0", *files, str(folder / "song.mid")],
            "FluidSynth, one mix, effects": [*theirs, *files, str(folder / "song.mid")],
            "the band, five stems, dry": [*ours, "dry", str(cells)],
            "the band, five stems, effects": [*ours, "effects", str(cells)],
        }  # fmt: skip
        runs: dict[str, list[Spent]] = {name: [] for name in commands}
        for number in range(1, arguments.repeats + 1):
            for name, command in commands.items():
                runs[name].append(run(command, ROOT))
                print(row(f"{number}. {name}", runs[name][-1:]), flush=True)
    print("medians")
    for name, took in runs.items():
        print(row(name, took))
    for kind in ("dry", "effects"):
        pairs = list(zip(runs[f"the band, five stems, {kind}"], runs[f"FluidSynth, one mix, {kind}"], strict=True))
        wall = statistics.median(mine.wall / peer.wall for mine, peer in pairs)
        cpu = statistics.median(mine.cpu / peer.cpu for mine, peer in pairs)
        print(f"{kind}: {wall:.2f} of FluidSynth's wall clock, {cpu:.2f} of its processor time (medians of the pairs)")
    print(f"load after {' '.join(f'{value:.2f}' for value in os.getloadavg())}")


if __name__ == "__main__":
    main()
