"""A plan by a language model on the user's machine: off unless it is asked for, checked like any input, never trusted.

Any server with the OpenAI chat interface will do (Ollama, llama.cpp, LM Studio). The model is asked once for one JSON
object; all of it must be sound, or the rules plan the song and the plan says why. What the user's words or options
state outright stands, whatever the model says.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from models.styles import load_heads
from studio.plan.harmony import split_bar
from studio.plan.llm_answer import Answer, AnswerError, SectionAnswer, find_object, read_answer
from studio.plan.llm_server import Server, ServerError, ask
from studio.plan.planner import plan_song
from studio.plan.stems import said_of
from studio.plan.values import Choice, Plan, PlanOptions
from studio.plan.words import Wishes, read_words
from studio.song import ChordSpan, Section, Song, SongError, Timeline

if TYPE_CHECKING:
    from models.api import TextEncoder

__all__ = ["Server", "plan_with_llm"]

_LENGTH_SLACK = 0.25
"""How far the model's form may be from a length that the words ask for, as a share of it."""


def plan_with_llm(
    prompt: str,
    server: Server,
    options: PlanOptions = PlanOptions(),  # noqa: B008
    encoder: TextEncoder | None = None,
) -> Plan:
    """A plan in which the model chose what options and words leave open; by the rules alone, with a first Choice that
    says why, when the server gives no answer in time or one that is not wholly sound.

    Raises SongError for a prompt or options that no plan can be made of.
    """
    rules = plan_song(prompt, options, encoder)
    wishes = read_words(prompt, load_heads())
    try:
        answer = read_answer(find_object(ask(server, instructions(), prompt)), tuple(load_heads()))
        plan = _merge(prompt, answer, options, wishes, encoder)
        _check_length(plan.song, wishes)
    except (ServerError, AnswerError, SongError) as error:
        # The rules could do what was asked; where a song is refused now (a pickup longer than the model's first bar),
        # the answer is to blame.
        return Plan(rules.song, (Choice("planned by", f"rules, for {error}", "default"), *rules.choices))
    return plan


def instructions() -> str:
    """What the model is told: the form of its answer and the limits that it will be held to."""
    return (
        "You plan songs. Answer with one JSON object and nothing else. Its fields: "
        '"title" (text), "bpm" (20 to 400), "key" (such as "F# minor" or "D dorian"), "meter" (such as "4/4"), '
        f'"style" (one of: {", ".join(load_heads())}), '
        '"stems" (object: a prompt of at most 300 characters each for drums, bass, harmony, lead, fx), '
        '"sections" (1 to 40 of them in order; each an object with "kind", one of intro, verse, prechorus, chorus, '
        'postchorus, bridge, break, outro; "bars", 1 to 64; "energy", 0 to 1; "chords", a list with one text a bar, at '
        'most as many as bars, each of 1 to 4 chord symbols such as "Am7" or "F C/E"; "prompt"; "lyrics"). '
        "Only sections are required. Keep to what the user asks for."
    )


def _merge(prompt: str, answer: Answer, options: PlanOptions, wishes: Wishes, encoder: TextEncoder | None) -> Plan:
    """Hand the answer to the rules as options where nothing else was said; then dress the sections with it."""
    tempo_said = options.bpm is not None or options.tempo is not None or wishes.tempo.bpm is not None
    key_said = options.key is not None or wishes.key.tonic is not None
    told: dict[str, Any] = {
        "bpm": None if tempo_said else answer.bpm,
        "key": None if key_said else answer.key,
        "meter": None if options.meter or wishes.meter else answer.meter,
        "style": None if options.style else answer.style,
        "title": None if options.title or wishes.quoted.title else answer.title or None,
        "sections": None if options.sections else tuple(section.spec for section in answer.sections),
    }
    by_model = {name: value for name, value in told.items() if value is not None}
    plan = plan_song(prompt, replace(options, **by_model), encoder)
    song = plan.song
    if "sections" in by_model:
        # Chords in another key than the song's would be wrong notes.
        fits = answer.key in (None, song.key) and (answer.key is not None or not key_said)
        pairs = zip(song.sections, answer.sections, strict=True)
        song = replace(song, sections=tuple(_dress(song, section, wish, fits) for section, wish in pairs))
    # The model's words take the place of the rules', but never of the instruments that the user named or refused.
    stems = tuple(
        replace(stem, prompt=", ".join((answer.stems[stem.role], *said_of(stem.role, wishes.parts))))
        if stem.role in answer.stems
        else stem
        for stem in song.stems
    )
    song = replace(song, stems=stems)
    names = {"tempo" if name == "bpm" else "form" if name == "sections" else name for name in by_model}
    if "form" in names:
        names.add("lyrics left out")
    choices = [replace(choice, source="llm") if choice.what in names else choice for choice in plan.choices]
    return Plan(song, (Choice("planned by", "the language model", "llm"), *choices))


def _dress(song: Song, section: Section, wish: SectionAnswer, with_chords: bool) -> Section:
    """A section with the model's energy, words and chords; where it gave fewer chords than bars, they go round."""
    meter = section.meter or song.meter
    spans: list[ChordSpan] = []
    if wish.chords and with_chords:
        for bar in range(section.bars):
            spans += split_bar(list(wish.chords[bar % len(wish.chords)]), bar * meter.bar_beats, meter)
    return replace(
        section,
        energy=section.energy if wish.energy is None else wish.energy,
        prompt=", ".join(filter(None, (wish.prompt, section.prompt))),  # the section's own is the user's words
        lyrics=section.lyrics or wish.lyrics,
        chords=tuple(spans) or section.chords,
    )


def _check_length(song: Song, wishes: Wishes) -> None:
    """Raise AnswerError when the words ask for a length and the model's form is far from it."""
    timeline = Timeline(song)
    lasting = (
        (wishes.length.seconds, timeline.tempo.seconds(timeline.end), "seconds"),
        (wishes.length.bars, sum(section.bars for section in song.sections), "bars"),
    )
    for asked, found, unit in lasting:
        if asked is not None and abs(found - float(asked)) > _LENGTH_SLACK * float(asked):
            raise AnswerError(f"the model's form lasts {found:.0f} {unit} where {float(asked):.0f} were asked for")
