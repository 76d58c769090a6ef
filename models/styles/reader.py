"""Typed, bounded access to a table of plain data, with errors that name the place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from models.styles.errors import StyleError


class Table:
    """A table from a style file. Every `take` removes a key; `done` complains about keys that nobody took."""

    def __init__(self, data: Any, where: str) -> None:
        if not isinstance(data, Mapping):
            raise StyleError(f"{where}: expected a table of keys, found {type(data).__name__}")
        self._data = dict(data)
        self.where = where

    def fail(self, key: str, problem: str) -> StyleError:
        return StyleError(f"{self.where}: {key}: {problem}")

    def _take(self, key: str, default: Any) -> Any:
        if key in self._data:
            return self._data.pop(key)
        if default is ...:
            raise self.fail(key, "is missing")
        return default

    def has(self, key: str) -> bool:
        return key in self._data

    def names(self) -> tuple[str, ...]:
        return tuple(self._data)

    def text(self, key: str, default: Any = ..., choices: Sequence[str] = (), longest: int = 2000) -> str:
        value = self._take(key, default)
        if not isinstance(value, str) or (default is ... and not value.strip()):
            raise self.fail(key, "expected a text")
        if len(value) > longest:
            raise self.fail(key, f"is longer than {longest} characters")
        if choices and value not in choices:
            raise self.fail(key, f"{value!r} is not one of {', '.join(choices)}")
        return value

    def texts(self, key: str, default: Any = ..., choices: Sequence[str] = (), least: int = 0) -> tuple[str, ...]:
        value = self._take(key, default)
        if isinstance(value, str):
            value = [value]
        if not isinstance(value, list | tuple) or not all(isinstance(v, str) for v in value):
            raise self.fail(key, "expected a list of texts")
        for item in value:
            if choices and item not in choices:
                raise self.fail(key, f"{item!r} is not one of {', '.join(choices)}")
        if len(value) < least:
            raise self.fail(key, f"needs at least {least} entries")
        return tuple(value)

    def number(self, key: str, low: float, high: float, default: Any = ...) -> float:
        value = self._take(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise self.fail(key, f"{value!r} must be a number from {low:g} to {high:g}")
        return float(value)

    def integer(self, key: str, low: int, high: int, default: Any = ...) -> int:
        value = self._take(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise self.fail(key, f"{value!r} must be a whole number from {low} to {high}")
        return value

    def numbers(self, key: str, count: int, low: float, high: float, default: Any = ...) -> tuple[float, ...]:
        value = self._take(key, default)
        good = isinstance(value, list | tuple) and len(value) == count
        if not good or any(isinstance(v, bool) or not isinstance(v, int | float) for v in value):
            raise self.fail(key, f"expected {count} numbers")
        if any(not low <= v <= high for v in value) or list(value) != sorted(value):
            raise self.fail(key, f"expected {count} rising numbers from {low:g} to {high:g}")
        return tuple(float(v) for v in value)

    def flag(self, key: str, default: bool) -> bool:
        value = self._take(key, default)
        if not isinstance(value, bool):
            raise self.fail(key, "expected true or false")
        return value

    def table(self, key: str, default: Any = ...) -> Table:
        return Table(self._take(key, default), f"{self.where}: {key}")

    def tables(self, key: str, default: Any = ..., least: int = 0) -> list[Table]:
        value = self._take(key, default)
        if not isinstance(value, list | tuple):
            raise self.fail(key, "expected a list of tables")
        if len(value) < least:
            raise self.fail(key, f"needs at least {least} entries")
        return [Table(item, f"{self.where}: {key} {number}") for number, item in enumerate(value, 1)]

    def raw(self, key: str, default: Any = ...) -> Any:
        return self._take(key, default)

    def done(self) -> None:
        """Raise StyleError for keys that no reader asked for: a misspelt key must not be ignored."""
        if self._data:
            raise StyleError(f"{self.where}: unknown key {sorted(self._data)[0]!r}")
