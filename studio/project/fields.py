"""How one field of a record becomes JSON and comes back, checked both ways.

A `Kind` encodes and decodes one value. `record` puts kinds together into a table of fields; what the table
does not know goes to the record's `extra` and comes back from there. Each function is told where it stands
("sections[2].bars"), so that an error names the field.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from fractions import Fraction
from typing import Any

from studio.project.errors import ProjectError
from studio.song import SongError

MOST_FRAMES = 2**53
"""Beyond this a whole number is not exact in every JSON reader."""
DEEPEST = 32
"""Levels of nesting in free-form fields."""

Step = Callable[[Any, str], Any]


@dataclass(frozen=True)
class Kind:
    """A way to write one value as JSON and to read it back; both raise ProjectError naming the field."""

    encode: Step
    decode: Step


def refuse(where: str, wanted: str, value: Any) -> ProjectError:
    """The error for a value of the wrong type or range, with at most 40 characters of it."""
    shown = repr(value) if isinstance(value, (str, int, float, bool, type(None))) else f"a {type(value).__name__}"
    return ProjectError(f"{where}: {wanted}, not {shown[:40]}")


def _both(step: Step) -> Kind:
    return Kind(step, step)


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise refuse(where, "write text in quotes", value)
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ProjectError(f"{where}: its text holds half a character; type it again") from None
    return value


def _flag(value: Any, where: str) -> bool:
    if not isinstance(value, bool):
        raise refuse(where, "write true or false", value)
    return value


def _number(value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not -1e12 <= value <= 1e12:
        raise refuse(where, "write a number", value)
    return float(value)


def whole(low: int, high: int) -> Kind:
    """A whole number `low`..`high`."""

    def step(value: Any, where: str) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise refuse(where, f"write a whole number {low} to {high}", value)
        return value

    return _both(step)


TEXT, FLAG, NUMBER = _both(_text), _both(_flag), _both(_number)


def _read_lines(value: Any, where: str) -> str:
    if isinstance(value, str):
        return _text(value, where)
    return "\n".join(_text(line, f"{where}[{i}]") for i, line in enumerate(_items(value, where)))


LINES = Kind(lambda value, where: _text(value, where).split("\n") if value else "", _read_lines)
"""Text of several lines: a list of them, so that a changed word is one changed line."""


def _write_fraction(value: Any, where: str) -> str:
    if not isinstance(value, (int, Fraction)):
        raise refuse(where, "this must be an exact fraction", value)
    text = str(Fraction(value))
    _read_fraction(text, where)
    return text


def _read_fraction(value: Any, where: str) -> Fraction:
    # Fraction() would also read "1e999999999", and take until tomorrow.
    if not isinstance(value, str) or not re.fullmatch(r"-?[0-9]{1,18}(?:/[0-9]{1,18})?", value, re.ASCII):
        raise refuse(where, 'write beats as "8" or "3/2"', value)
    numerator, _, denominator = value.partition("/")
    if denominator and int(denominator) == 0:
        raise refuse(where, 'write beats as "8" or "3/2"', value)
    return Fraction(int(numerator), int(denominator or 1))


FRACTION = Kind(_write_fraction, _read_fraction)


def parsed(write: Callable[[Any], str], read: Callable[[str], Any], longest: int = 60) -> Kind:
    """A value with a text form of its own; `read` may raise SongError."""

    def decode(value: Any, where: str) -> Any:
        text = _text(value, where)
        if len(text) > longest:
            raise refuse(where, f"write at most {longest} characters", value)
        try:
            return read(text)
        except SongError as error:
            raise ProjectError(f"{where}: {error}") from error

    return Kind(lambda value, where: write(value), decode)


def checked(check: Callable[[str], str]) -> Kind:
    """Text that `check` accepts (it raises ProjectError)."""

    def step(value: Any, where: str) -> str:
        try:
            return check(_text(value, where))
        except ProjectError as error:
            raise ProjectError(f"{where}: {error}") from error

    return _both(step)


def optional(kind: Kind) -> Kind:
    """The kind, or None (which is left out of the file)."""
    return Kind(
        lambda value, where: None if value is None else kind.encode(value, where),
        lambda value, where: None if value is None else kind.decode(value, where),
    )


def _items(value: Any, where: str) -> Sequence[Any]:
    if not isinstance(value, (list, tuple)):
        raise refuse(where, "write a list in square brackets", value)
    return value


def listed(kind: Kind) -> Kind:
    """A list of the kind; a tuple in the song."""
    return Kind(
        lambda value, where: [kind.encode(v, f"{where}[{i}]") for i, v in enumerate(_items(value, where))],
        lambda value, where: tuple(kind.decode(v, f"{where}[{i}]") for i, v in enumerate(_items(value, where))),
    )


def row(kinds: Sequence[Kind], attributes: Sequence[str] | None, make: Callable[..., Any], words: str) -> Kind:
    """A short record written as a list, such as ["0", "4", "Am7"]; `attributes` None takes a plain tuple apart."""

    def encode(value: Any, where: str) -> list[Any]:
        parts = value if attributes is None else [getattr(value, name) for name in attributes]
        return [kind.encode(part, f"{where}[{i}]") for i, (kind, part) in enumerate(zip(kinds, parts, strict=True))]

    def decode(value: Any, where: str) -> Any:
        if not isinstance(value, list) or len(value) != len(kinds):
            raise refuse(where, f"write {words}", value)
        parts = [kind.decode(part, f"{where}[{i}]") for i, (kind, part) in enumerate(zip(kinds, value, strict=True))]
        return _made(where, make, *parts)

    return Kind(encode, decode)


def _made(where: str, make: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    try:
        return make(*args, **kwargs)
    except SongError as error:
        raise ProjectError(f"{where}: {error}" if where else str(error)) from error


def _plain(value: Any, where: str, depth: int = 0) -> Any:
    """JSON as such, with keys in order (two equal songs give the same bytes)."""
    if depth > DEEPEST:
        raise ProjectError(f"{where}: nested deeper than {DEEPEST} levels; flatten it")
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _text(value, where)
    if isinstance(value, int):
        if abs(value) >= 2**64:
            raise refuse(where, "write a whole number of at most 64 bits", value)
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, (list, tuple)):
        return [_plain(v, f"{where}[{i}]", depth + 1) for i, v in enumerate(value)]
    if isinstance(value, Mapping):
        names = [_text(name, where) for name in value]
        return {name: _plain(value[name], f"{where}.{name}", depth + 1) for name in sorted(names)}
    raise refuse(where, "use text, finite numbers, true, false, null, lists and objects", value)


def _plain_object(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise refuse(where, "write an object in curly brackets", value)
    result: dict[str, Any] = _plain(value, where)
    return result


OBJECT = _both(_plain_object)


def record(make: Any, table: Mapping[str, Kind]) -> Kind:
    """A dataclass as an object. Fields the table does not know are kept in its `extra`."""
    defaults = {f.name for f in fields(make) if f.default is not MISSING or f.default_factory is not MISSING}

    def encode(value: Any, where: str) -> dict[str, Any]:
        if not isinstance(value, make):
            raise refuse(where or "song", f"this must be a {make.__name__}", value)
        result: dict[str, Any] = {}
        for name, kind in table.items():
            data = kind.encode(getattr(value, name), _at(where, name))
            if data is not None:
                result[name] = data
        for name, data in _plain_object(value.extra, _at(where, "extra")).items():
            if name in table:
                raise ProjectError(f"{_at(where, name)}: an unknown field has the name of a known one; rename it")
            result[name] = data
        return result

    def decode(value: Any, where: str) -> Any:
        if not isinstance(value, dict):
            raise refuse(where or "song", "write an object in curly brackets", value)
        known: dict[str, Any] = {}
        for name, kind in table.items():
            if name in value:
                known[name] = kind.decode(value[name], _at(where, name))
            elif name not in defaults:
                raise ProjectError(f"{_at(where, name)}: it is missing")
        unknown = {name: _plain(data, _at(where, name)) for name, data in value.items() if name not in table}
        return _made(where, make, **known, extra=unknown)

    return Kind(encode, decode)


def _at(where: str, name: str) -> str:
    return f"{where}.{name[:60]}" if where else name[:60]
