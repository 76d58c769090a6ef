"""What the parts share about harmony: which chord sounds when, degrees of a chord, scales to improvise on."""

from __future__ import annotations

from fractions import Fraction

from models.api import Harmony, StemRequest

# Steps of the mode (0 is the tonic) that make its five-note scale, by the quality of its third.
_PENTATONIC = {3: (0, 2, 3, 4, 6), 4: (0, 1, 2, 4, 5)}


def chord_at(request: StemRequest, beat: Fraction) -> Harmony:
    """The chord that sounds at a position; the tonic triad where the song names none."""
    found: Harmony | None = None
    for chord in request.chords:
        if chord.start > beat:
            break
        found = chord
    if found is not None:
        return found
    if request.chords:
        return request.chords[0]
    tonic, third, fifth = request.scale[0], request.scale[2], request.scale[4]
    return Harmony(Fraction(0), request.beats, request.key, tonic, tonic, (tonic, third, fifth))


def next_chord(request: StemRequest, beat: Fraction) -> Harmony | None:
    """The first chord that begins after a position, the next section's where the cell has no other."""
    return next((chord for chord in request.chords if chord.start > beat), request.next_chord)


def changes(request: StemRequest, start: Fraction, end: Fraction) -> list[Fraction]:
    """Where the chord changes inside start..end, both ends left out."""
    return [chord.start for chord in request.chords if start < chord.start < end]


def degree(chord: Harmony, wanted: int, scale: tuple[int, ...]) -> int:
    """The pitch class of a chord's 3rd, 5th, 6th or 7th: the chord's own, else the scale's above its root."""
    ranges = {3: (2, 5), 5: (6, 8), 6: (8, 9), 7: (10, 11)}
    low, high = ranges[wanted]
    for pitch_class in chord.pitch_classes:
        if low <= (pitch_class - chord.root) % 12 <= high and not (wanted == 6 and len(chord.pitch_classes) < 4):
            return pitch_class
    for pitch_class in scale:
        if low <= (pitch_class - chord.root) % 12 <= high:
            return pitch_class
    return (chord.root + high) % 12


def melody_scale(request: StemRequest, kind: str) -> tuple[int, ...]:
    """Pitch classes to make a melody of: the mode, its five-note scale, or that with a blue note."""
    if kind in ("mode", "chord"):
        return request.scale
    third = (request.scale[2] - request.scale[0]) % 12
    five = tuple(request.scale[step] for step in _PENTATONIC[third])
    if kind == "blues":
        blue = (request.scale[0] + (6 if third == 3 else 3)) % 12
        return tuple(sorted({*five, blue}, key=lambda pc: (pc - request.scale[0]) % 12))
    return five


def nearest(pitch_class: int, to: float, low: int, high: int) -> int:
    """The pitch of this class nearest to `to` in low..high; the range must be an octave or more."""
    first = low + (pitch_class - low) % 12
    return min(range(first, high + 1, 12), key=lambda pitch: (abs(pitch - to), pitch))
