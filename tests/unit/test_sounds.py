"""Takes read from their project in pieces."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from decimal import Decimal

import numpy as np

from studio.mix.curve import Curve, curve_hop
from studio.project.folder import ProjectFolder
from studio.song import Key, Meter, Provenance, Section, Song, Stem, Take, TempoPoint
from studio.song.edits import AddTake, SetCurve
from studio.sounds import MOST_OPEN, StoredSounds


def project(tmp_path, sections):
    """A song with one take a section, of other lengths and other noise, and what the takes hold."""
    folder = ProjectFolder(tmp_path)
    song = bare_song(sections)
    held = {}
    for number, section in enumerate(song.sections):
        random = np.random.Generator(np.random.PCG64(number))
        audio = random.standard_normal((2, 900 + number)).astype(np.float32)
        take = Take("t1", Provenance("band", "1", 1), song.rate, folder.add_media(audio, song.rate), audio.shape[1])
        song = AddTake(section.id, "bass", take).apply(song)
        held[section.id, "bass"] = audio
    return song, folder, held


def bare_song(sections):
    return Song(
        title="Takes", key=Key("A", "minor"), meter=Meter(4, 4), tempo=(TempoPoint(1, Decimal("120")),),
        sections=tuple(Section(f"s{number}", "verse", 1) for number in range(1, sections + 1)),
        stems=(Stem("bass", "bass"),),
    )  # fmt: skip


def test_more_takes_than_may_be_open_are_read_by_several_threads_at_once(tmp_path):
    song, folder, held = project(tmp_path, MOST_OPEN + 20)
    sounds = StoredSounds(song, folder)
    assert set(sounds) == set(held)

    def check(turn):
        for place, audio in held.items():
            start = (turn * 37) % 500
            assert np.array_equal(sounds[place].read(start, 300), audio[:, start : start + 300])
        return True

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(check, range(8)))
    sounds.close()


def test_a_cells_own_curve_is_the_same_in_pieces(tmp_path):
    song, folder, held = project(tmp_path, 1)
    place = (song.sections[0].id, "bass")
    hop = curve_hop(song.rate)
    nodes = np.linspace(1.0, 0.3, 30, dtype=np.float32)
    song = SetCurve(*place, folder.add_media(nodes[None], song.rate // hop)).apply(song)
    with closing(StoredSounds(song, folder)) as sounds:
        take = sounds[place]
        wanted = held[place] * Curve(nodes, hop).gains(0, take.frames)
        pieces = [take.read(at, min(111, take.frames - at)) for at in range(0, take.frames, 111)]
    assert np.array_equal(np.concatenate(pieces, axis=1), wanted)
