"""Plain tables (from TOML or JSON) to frozen dataclasses, with limits declared on the fields.

A settings class says once what it accepts::

    @dataclass(frozen=True)
    class Delay:
        beats: float = number(0.75, 0.05, 8.0)
        ping_pong: bool = False

and `read_table` derives the checks and the messages from that: an unknown key, a wrong type, a value
outside its limits or a missing key raises the caller's error class with where it is, which key, and what is
allowed.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from functools import cache
from typing import Any, TypeVar, cast, get_args, get_origin, get_type_hints

from models.band.sound.voice import SoundError

T = TypeVar("T")


def number(default: float | tuple[int, int] | None, low: float, high: float, *, optional: bool = False) -> Any:
    """A number field within [low, high]; `default=None` makes the key required unless it is `optional`."""
    limits = {"low": low, "high": high}
    if default is None and not optional:
        return dataclasses.field(metadata=limits)
    return dataclasses.field(default=default, metadata=limits)


def choice(default: str | None, *names: str) -> Any:
    """A string field that is one of `names`; `default=None` makes the key required."""
    if default is None:
        return dataclasses.field(metadata={"choices": names})
    return dataclasses.field(default=default, metadata={"choices": names})


def read_table(kind: type[T], table: object, where: str, error: type[SoundError]) -> T:
    """Build `kind` from `table`; `where` names the place in messages (file, and the way in it)."""
    if not isinstance(table, Mapping):
        raise error(f"{where}: must be a table, is {_shown(table)}")
    fields = {f.name: f for f in dataclasses.fields(cast(Any, kind))}
    unknown = sorted(str(key) for key in table if key not in fields)
    if unknown:
        raise error(f"{where}: unknown key '{unknown[0]}'; known keys: {', '.join(fields)}")
    hints = _hints(cast(Any, kind))
    values: dict[str, Any] = {}
    for name, field in fields.items():
        if name in table:
            values[name] = _value(hints[name], field, table[name], f"{where}: {name}", error)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise error(f"{where}: {name} is missing{_allowed(field)}")
    return kind(**values)


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _allowed(field: dataclasses.Field[Any]) -> str:
    if "choices" in field.metadata:
        return f"; one of {', '.join(field.metadata['choices'])}"
    if "low" in field.metadata:
        return f"; a number from {field.metadata['low']:g} to {field.metadata['high']:g}"
    return ""


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."


def _value(hint: Any, field: dataclasses.Field[Any], value: object, where: str, error: type[SoundError]) -> Any:
    options = [h for h in get_args(hint) if h is not type(None)]
    if get_origin(hint) is tuple:
        if not isinstance(value, (list, tuple)):
            raise error(f"{where} must be a list, is {_shown(value)}")
        if len(options) == 2 and options[1] is Ellipsis:
            return tuple(_value(options[0], field, v, f"{where}[{i}]", error) for i, v in enumerate(value))
        if len(value) != len(options):
            raise error(f"{where} must have {len(options)} values, has {len(value)}")
        return tuple(
            _value(h, field, v, f"{where}[{i}]", error) for i, (h, v) in enumerate(zip(options, value, strict=True))
        )
    if options:  # an optional value
        return _value(options[0], field, value, where, error)
    if dataclasses.is_dataclass(hint):
        return read_table(cast(type, hint), value, where, error)
    if hint is bool:
        if not isinstance(value, bool):
            raise error(f"{where} must be true or false, is {_shown(value)}")
        return value
    if hint is str:
        names = field.metadata.get("choices")
        if not isinstance(value, str) or (names and value not in names):
            raise error(f"{where} must be {'one of ' + ', '.join(names) if names else 'text'}, is {_shown(value)}")
        return value
    return _number(hint, field, value, where, error)


def _number(hint: Any, field: dataclasses.Field[Any], value: object, where: str, error: type[SoundError]) -> Any:
    low, high = field.metadata.get("low", -math.inf), field.metadata.get("high", math.inf)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        raise error(f"{where} must be a number from {low:g} to {high:g}, is {_shown(value)}")
    if hint is int:
        if value != int(value):
            raise error(f"{where} must be a whole number from {low:g} to {high:g}, is {_shown(value)}")
        return int(value)
    return float(value)
