"""Transitions and backgrounds: what leads into the next section, what marks the first beat, what lies under it."""

from __future__ import annotations

from fractions import Fraction

from models.api import Note, StemRequest
from models.band.compose.draw import stream
from models.band.compose.finish import Draft, playable
from models.band.compose.grid import bars, on_tick
from models.band.sound.synth.fx import FX_KEYS
from models.styles.schema import Style

ON_BEAT = Fraction(4)
"""Beats that a sound on the first beat is held."""


def compose(request: StemRequest, style: Style) -> tuple[Note, ...]:
    """The fx part of a cell. Pitches are keys of the fx voice."""
    random = stream("fx", request.seed, request.song_seed, style.name, request.place.index)
    place, part = request.place, style.fx
    first = request.pickup
    drafts: list[Draft] = []

    def add(sound: str, start: Fraction, beats: Fraction, velocity: float) -> None:
        velocity = velocity * (0.8 + 0.25 * place.energy) + random.randint(-6, 6)
        drafts.append(Draft(start, beats, FX_KEYS[sound], velocity, swings=False, exact=True))

    for sound in part.bed.get(place.kind, ()):
        add(sound, first, request.beats - first, 84)
    for sound in part.on.get(place.kind, ()):
        add(sound, first, min(ON_BEAT, request.beats - first), 100)
    bar = bars(request)[0].beats
    sounds = part.into.get(place.after or "", ())
    for sound, length in sounds:
        beats = min(length, place.bars) * bar
        if len(sounds) > 1 and random.random() < 0.25 and length > 1:
            beats /= 2  # now and then a transition comes in later than expected
        add(sound, request.beats - beats, beats, 96)
    if not drafts:
        add("swell", request.beats - min(bar, request.beats - first), min(bar, request.beats - first), 88)
    return playable(
        [Draft(on_tick(d.start), on_tick(d.beats), d.pitch, d.velocity, exact=True) for d in drafts], request.beats
    )
