"""Notes for the benchmark: the hand-written patterns laid out over bars, and cells composed by the band itself.

What is asked must be in the sound: a lone bass that plays nothing but offbeats would be heard on the beat by anyone. So
every piece, a part alone included, has a note on its first downbeat (before which a pickup may lie).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from models.api import Note
from models.band.asked import in_reach
from models.band.compose import compose
from models.band.compose.drums import KEYS, VELOCITY
from models.band.engine import layer_names
from models.band.sound.index import presets
from models.styles import load_style
from models.styles.schema import Feel
from studio.jobs.cells import CellJob, written_requests
from studio.jobs.requests import cell_seed
from studio.plan import PlanOptions, parse_sections, plan_song
from studio.song import Meter
from tests.bench.bar_lock.patterns import MELODIES, PROGRESSIONS, Pattern, chords

Rng = np.random.Generator

NOTE = np.dtype([("beat", "f8"), ("beats", "f8"), ("jitter", "f8"), ("key", "i2"), ("velocity", "i2"), ("part", "i2")])
"""`beat` is where the note belongs, swing included; `jitter` seconds that its player strays from there."""


@dataclass(frozen=True)
class Part:
    """Who plays: `voice` as in models.band.instruments, or "shots:..." or "sung:SIZE" (see voices.py)."""

    role: str
    voice: str
    gain_db: float = 0.0


@dataclass(frozen=True)
class Music:
    """Notes in order of time, from bar 1's downbeat (beat 0); a pickup lies before it."""

    notes: NDArray[np.void]
    parts: tuple[Part, ...]


KITS = ("standard", "power", "jazz", "tr808", "electronic", "electro", "808", "909", "lofi", "industrial")
BASSES = (
    "font:finger_bass", "font:pick_bass", "font:slap_bass", "font:acoustic_bass", "font:fretless_bass",
    "font:synth_bass_1", "font:synth_bass_2", "patch:saw_bass", "patch:808", "patch:pluck_bass", "patch:fm_bass",
    "patch:square_bass", "patch:acid", "patch:sub",
)  # fmt: skip
STRUCK = (
    "font:piano", "font:piano", "font:piano", "font:electric_piano", "font:fm_piano", "font:clavinet",
    "font:nylon_guitar", "font:clean_guitar", "font:steel_guitar", "font:jazz_guitar", "font:vibraphone", "font:harp",
    "patch:pluck", "patch:house_stab", "patch:fm_epiano",
)  # fmt: skip
PADS = (
    "patch:warm_pad", "patch:glass_pad", "patch:string_machine", "patch:dark_pad", "patch:choir_pad",
    "font:slow_strings", "font:fast_strings", "font:choir", "font:church_organ", "font:warm_pad", "font:accordion",
)  # fmt: skip
LEADS = ("font:trumpet", "font:alto_sax", "font:flute", "patch:saw_lead", "patch:square_lead", "sung:1.0", "sung:1.16")
SINGERS = ("sung:1.0", "sung:1.08", "sung:1.16")
_GAIN = {"drums": 0.0, "bass": -2.0, "piano": -6.0, "pad": -11.0, "voice": -5.0, "lead": -7.0, "harmony": -7.0}

SHOTS = {
    "kick": ("bd_haus", "bd_klub", "bd_tek", "bd_fat", "bd_gas", "bd_jazz", "drum_heavy_kick", "elec_hollow_kick"),
    "snare": ("sn_dub", "sn_dolf", "sn_generic", "sn_zome", "drum_snare_hard", "drum_snare_soft", "elec_hi_snare"),
    "hat": ("hat_bdu", "hat_cab", "hat_gem", "hat_hier", "hat_raw", "hat_zan", "drum_cymbal_closed", "hat_snap"),
    "open": ("drum_cymbal_open", "hat_cats", "hat_metal", "hat_gump"),
    "perc": ("tabla_na", "tabla_te1", "tabla_re", "elec_wood", "tbd_perc_tap_2", "perc_snap2", "drum_cowbell"),
}
"""One-shots of the bundled CC0 set (recordings and machines) of which loops are built: it holds no loops itself."""
SLOT_KEYS = {"kick": 36, "snare": 38, "hat": 42, "open": 46, "perc": 37}
_SLOTS = {
    "kick": "kick", "snare": "snare", "clap": "snare", "hat": "hat", "shaker": "hat", "pedal": "hat", "ride": "hat",
    "open": "open", "crash": "open", "china": "open",
}  # fmt: skip

_WITH_DRUMS = (
    "rock", "house", "trap", "drum_and_bass", "funk", "bossa_nova", "waltz", "jazz_swing", "disco", "boom_bap", "pop",
    "metal", "afrobeats", "blues", "techno", "salsa", "uk_garage", "soul", "country", "reggae", "indie", "synthwave",
)  # fmt: skip
STYLES = {
    "drums": _WITH_DRUMS,
    "mix": _WITH_DRUMS,
    "bass": ("rock", "house", "funk", "bossa_nova", "disco", "pop", "blues", "soul", "synthwave", "punk", "country"),
    "piano": ("ballad", "bossa_nova", "jazz_swing", "pop", "soul", "gospel", "house", "folk", "rnb", "country"),
    "voice": ("pop", "ballad", "folk", "soul", "country", "rnb", "indie"),
}
"""The styles of which the band's own parts are taken, by material."""
HALF_TIME = ("trap", "dubstep", "reggae")


def swung(beat: float, grid: int, share: float) -> float:
    """A position where every second of `grid` steps a beat comes after `share` of its pair."""
    if not grid or share == 0.5:
        return beat
    pair = 2.0 / grid
    whole, inside = np.floor(beat / pair) * pair, beat % pair
    half = pair / 2
    return float(whole + (inside * 2 * share if inside <= half else share * pair + (inside - half) * 2 * (1 - share)))


def from_pattern(
    pattern: Pattern, roles: Sequence[str], random: Rng, bars: int, swing: float, pickup: float, shots: bool = False
) -> Music:
    """`roles` of a pattern over `bars` bars: drums, bass, piano, pad, voice or lead."""
    writer = _Writer(pattern, random, bars, swing, pickup, shots)
    parts: list[Part] = []
    rows: list[tuple[float, ...]] = []
    for role in roles:
        part, lines = writer.write(role)
        rows += [(*line[:2], 0.0, *line[2:], len(parts)) for line in lines]
        parts.append(part if len(roles) > 1 else replace(part, gain_db=0.0))
    return Music(_sorted(rows), tuple(parts))


class _Writer:
    """Writes the parts of one piece; a line is (beat, beats, key, velocity)."""

    def __init__(self, pattern: Pattern, random: Rng, bars: int, swing: float, pickup: float, shots: bool) -> None:
        self._pattern, self._random, self._bars, self._pickup = pattern, random, bars, pickup
        self._bar = float(Meter.parse(pattern.meter).bar_beats)
        self._swing = (pattern.swing, swing)
        progression = chords(PROGRESSIONS[random.integers(len(PROGRESSIONS))])
        tonic = int(random.integers(12))
        self._chords = [((tonic + root) % 12, tones) for root, tones in progression]
        self._shots = shots

    def write(self, role: str) -> tuple[Part, list[tuple[float, float, int, int]]]:
        if role == "drums":
            return Part("drums", self._kit(), 0.0), self._drums()
        if role == "bass":
            return Part("bass", self._choose(BASSES), _GAIN["bass"]), self._bass()
        if role == "piano":
            return Part("piano", self._choose(STRUCK), _GAIN["piano"]), self._comping()
        if role == "pad":
            return Part("pad", self._choose(PADS), _GAIN["pad"]), self._pad()
        voice = self._choose(SINGERS if role == "voice" else LEADS)
        return Part(role, voice, _GAIN[role]), self._melody()

    def _choose(self, names: Sequence[str]) -> str:
        return names[int(self._random.integers(len(names)))]

    def _kit(self) -> str:
        if self._shots:
            return "shots:" + ",".join(self._choose(SHOTS[slot]) for slot in SHOTS)
        return "kit:" + self._choose(KITS)

    def _chord(self, bar: int) -> tuple[int, tuple[int, ...]]:
        return self._chords[bar % len(self._chords)]

    def _steps(self, text: str) -> list[tuple[int, float, float, str]]:
        """(bar, start, length, mark) of every attack, swing included; a hold after it lengthens it."""
        texts = [part.replace(" ", "") for part in text.split("|")]
        size = 1.0 / self._pattern.steps
        result: list[tuple[int, float, float, str]] = []
        for bar in range(self._bars):
            line = texts[bar % len(texts)]
            for k, mark in enumerate(line):
                if mark in ".-":
                    continue
                held = len(line[k + 1 :]) - len(line[k + 1 :].lstrip("-"))
                start, stop = (swung(bar * self._bar + step * size, *self._swing) for step in (k, k + 1 + held))
                result.append((bar, start, stop - start, mark))
        return result

    def _struck(self, velocity: float, beat: float | None = None) -> int:
        """A velocity as a hand gives it; at a `beat`, with the stress of its place in the bar."""
        if beat is not None:
            velocity += 8 if beat % self._bar < 1e-6 else 0 if beat % 1 < 1e-6 else -6
        return int(np.clip(round(velocity + self._random.normal(0.0, 4.0)), 20, 127))

    def _key(self, drum: str) -> int:
        return SLOT_KEYS[_SLOTS.get(drum, "perc")] if self._shots else KEYS[drum]

    def _drums(self) -> list[tuple[float, float, int, int]]:
        fills = [bar for bar in range(self._bars) if bar % 4 == 3 and self._random.random() < 0.5]
        result = []
        for drum, text in self._pattern.drums.items():
            for bar, start, length, mark in self._steps(text):
                if bar in fills and start >= (bar + 1) * self._bar - 1 and drum != "kick":
                    continue
                result.append((start, length, self._key(drum), self._struck(VELOCITY[mark])))
        size = 1.0 / max(self._pattern.steps, 2)
        for bar in fills:
            for k in range(round(1 / size)):
                drum = ("snare", "snare", "tom1", "tom3")[k % 4] if self._random.random() < 0.7 else "snare"
                at = swung((bar + 1) * self._bar - 1 + k * size, *self._swing)
                result.append((at, size, self._key(drum), self._struck(84 + 8 * k)))
        if self._random.random() < 0.3:
            result.append((0.0, 1.0, self._key("crash"), self._struck(100)))
        for k in range(round(self._pickup / size)):
            result.append((-self._pickup + k * size, size, self._key("snare"), self._struck(70 + 8 * k)))
        return result

    def _bass(self) -> list[tuple[float, float, int, int]]:
        result = []
        for bar, start, length, mark in self._steps(self._pattern.bass):
            root, tones = self._chord(bar)
            low = 28 + (root - 28) % 12
            after = 28 + (self._chord(bar + 1)[0] - 28) % 12
            steps = {"R": 0, "3": tones[1], "4": -5, "5": 7, "6": 9, "7": 10, "8": 12, "a": after - 1 - low}
            result.append((start, 0.92 * length, low + steps[mark], self._struck(98 if mark == "R" else 88, start)))
        root = 28 + (self._chord(0)[0] - 28) % 12
        for k in range(count := round(2 * self._pickup)):
            result.append((-self._pickup + 0.5 * k, 0.45, root + 12 - 2 * (count - k), self._struck(90)))
        return result

    def _voiced(self, bar: int, low: int) -> list[int]:
        root, tones = self._chord(bar)
        return sorted(low + (root + tone - low) % 12 for tone in tones)

    def _comping(self) -> list[tuple[float, float, int, int]]:
        result = []
        for bar, start, length, mark in self._steps(self._pattern.comp):
            for key in self._voiced(bar, 55):
                result.append((start, 0.9 * length, key, self._struck(92 if mark == "x" else 66, start)))
        top = max(self._voiced(0, 55))
        for k in range(count := round(2 * self._pickup)):
            result.append((-self._pickup + 0.5 * k, 0.45, top - 2 * (count - k), self._struck(84)))
        return result

    def _pad(self) -> list[tuple[float, float, int, int]]:
        halves = 2 if self._bar == 4 and self._random.random() < 0.35 else 1
        low = int(self._random.integers(50, 58))
        size = self._bar / halves
        return [
            (k * size, 0.98 * size, key, self._struck(88))
            for k in range(halves * self._bars)
            for key in [*self._voiced(k, low), 36 + self._chord(k)[0] % 12]
        ]

    def _melody(self) -> list[tuple[float, float, int, int]]:
        # Alone, a voice that comes in late would not say where bar 1 is.
        theme = [self._choose([line for line in MELODIES if line[0] == "x"]), self._choose(MELODIES)]
        result, key = [], 62
        for bar in range(self._bars):
            line = theme[bar % 2].replace(" ", "")[: round(2 * self._bar)]
            tones = [k for k in range(55, 75) if (k - self._chord(bar)[0]) % 12 in self._chord(bar)[1]]
            for k, mark in enumerate(line):
                if mark != "x":
                    continue
                held = len(line[k + 1 :]) - len(line[k + 1 :].lstrip("-"))
                key = int(self._random.choice(sorted(tones, key=lambda tone: (abs(tone - key), tone))[:4]))
                start, stop = (swung(bar * self._bar + step / 2, *self._swing) for step in (k, k + 1 + held))
                result.append((start, 0.95 * (stop - start), key, self._struck(96, start)))
        for k in range(round(2 * self._pickup)):
            result.append((-self._pickup + 0.5 * k, 0.47, 60 + 2 * k, self._struck(88)))
        return result


def composed(material: str, style_name: str, seed: int, meter: Meter, bars: int) -> Music | None:
    """A chorus by the band in a style; None if the band has next to nothing to play there, or nothing on the first
    downbeat."""
    roles = {"mix": ("drums", "bass", "harmony", "lead"), "piano": ("harmony",), "voice": ("lead",)}.get(
        material, (material,)
    )
    written = by_the_band(material, roles, style_name, seed, meter, f"chorus:{bars}")
    enough = written is not None and len(np.unique(written.notes["beat"])) >= 2 * bars and states_downbeat(written)
    return written if enough else None


def by_the_band(
    material: str, roles: Sequence[str], style_name: str, seed: int, meter: Meter, section: str
) -> Music | None:
    """What `roles` play in a section such as "verse:8", their players' human touch taken away (who asks adds a touch of
    his own and knows it); None if nothing. "piano" takes the sharp voices alone, "pad" the others, "voice" is sung."""
    style = load_style(style_name)
    calm = replace(style, feel=Feel(0.0, style.feel.velocity))
    options = PlanOptions(style=style_name, seed=seed, meter=meter, sections=parse_sections(section))
    song = plan_song("a song", options).song
    jobs = [
        CellJob(song.sections[0].id, stem.id, cell_seed(song, song.sections[0].id, stem.id, 0)) for stem in song.stems
    ]
    context: dict[str, tuple[Note, ...]] = {}
    parts: list[Part] = []
    rows: list[tuple[float, ...]] = []
    for request in written_requests(song, jobs):
        layers = layer_names(request, style)
        notes = in_reach(compose(replace(request, notes=None, context=context), calm), layers, request.beats)
        context[request.role] = notes
        if request.role not in roles:
            continue
        for layer, name in enumerate(layers):
            own = [n for n in notes if n.layer == layer]
            if not own or (material in ("piano", "pad") and is_sharp(name) != (material == "piano")):
                continue
            if material == "voice":
                name, own = SINGERS[seed % 3], _one_by_one(own)
            alone = len(roles) == 1 and not parts
            for n in own:
                rows.append((float(n.start), float(n.beats), 0.0, n.pitch, n.velocity, len(parts)))
            parts.append(Part(request.role, name, 0.0 if alone else _GAIN.get(request.role, -7.0)))
            if material == "voice":
                break
    return Music(_sorted(rows), tuple(parts)) if rows else None


def states_downbeat(music: Music) -> bool:
    """Whether a note begins on beat 0."""
    return bool(np.any(np.abs(music.notes["beat"]) < 1e-6))


def is_sharp(voice: str) -> bool:
    """Whether a voice's notes begin with a sharp attack."""
    kind, _, name = voice.partition(":")
    if kind == "font":
        return presets()[name].sharp
    return (
        kind in ("kit", "shots") or voice in (*BASSES, *STRUCK) or name in ("saw_lead", "square_lead", "chip", "bell")
    )


def _one_by_one(notes: Sequence[Note]) -> list[Note]:
    """The highest of the notes that begin together, in a singer's range, none longer than up to the next."""
    highest = {note.start: note for note in sorted(notes, key=lambda n: n.pitch)}
    ordered = [highest[start] for start in sorted(highest)]
    return [
        note._replace(
            pitch=52 + (note.pitch - 52) % 24,
            beats=min(note.beats, ordered[k + 1].start - note.start) if k + 1 < len(ordered) else note.beats,
        )
        for k, note in enumerate(ordered)
    ]


def _sorted(rows: Sequence[tuple[float, ...]]) -> NDArray[np.void]:
    notes = np.array([tuple(row) for row in rows], NOTE)
    return notes[np.lexsort((notes["key"], notes["part"], notes["beat"]))]
