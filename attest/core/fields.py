"""Strict reading of the fields of one JSON object: each checked, none unknown, none forgotten.

fields = Fields(value, "approval", required=("store", "expires"), optional=("comment",))
fields.text("store")
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from typing import Any, TypeVar

from attest import digests
from attest.core import times
from attest.digests import Digest
from attest.errors import CasstoreError, FormatError

_T = TypeVar("_T")


class Fields:
    """One JSON object under its rules. Every method raises FormatError naming object and field."""

    def __init__(self, value: object, what: str, *, required: Collection[str], optional: Collection[str] = ()) -> None:
        if not isinstance(value, Mapping):
            raise FormatError(f"{what}: not an object")
        unknown = sorted(set(value) - set(required) - set(optional))
        missing = sorted(set(required) - set(value))
        if unknown or missing:
            problem = f"unknown field {unknown[0]!r}" if unknown else f"the field {missing[0]!r} is missing"
            raise FormatError(f"{what}: {problem}")
        self._value: Mapping[str, Any] = value
        self.what = what

    def has(self, name: str) -> bool:
        """Whether the field is there."""
        return name in self._value

    def text(self, name: str, default: str | None = None) -> str:
        """A string; may be absent where a default is given."""
        value = self._value.get(name, default)
        if not isinstance(value, str):
            raise self._wrong(name, "text")
        return value

    def optional_text(self, name: str) -> str | None:
        """A string, null or nothing."""
        return None if self._value.get(name) is None else self.text(name)

    def integer(self, name: str, default: int | None = None, *, least: int = 0, most: int | None = None) -> int:
        """A whole number, not below `least`, not above `most`."""
        value = self._value.get(name, default)
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise self._wrong(name, f"a whole number from {least} on")
        if most is not None and value > most:
            raise self._wrong(name, f"a whole number up to {most}")
        return value

    def optional_integer(self, name: str) -> int | None:
        """A whole number, or null."""
        return None if self._value.get(name) is None else self.integer(name)

    def number(self, name: str, *, least: float | None = None) -> float:
        """A finite number, whole or not, not below `least`."""
        value = self._value.get(name)
        if not isinstance(value, int | float) or isinstance(value, bool) or (least is not None and value < least):
            raise self._wrong(name, "a number" if least is None else f"a number from {least} on")
        return value

    def boolean(self, name: str, default: bool) -> bool:
        """True or false."""
        value = self._value.get(name, default)
        if not isinstance(value, bool):
            raise self._wrong(name, "true or false")
        return value

    def digest(self, name: str) -> Digest:
        """A digest."""
        return self._read(name, digests.parse, self.text(name))

    def optional_digest(self, name: str) -> Digest | None:
        """A digest, or null."""
        return None if self._value.get(name) is None else self.digest(name)

    def time(self, name: str) -> datetime:
        """A time."""
        return self._read(name, times.parse, self._value.get(name))

    def optional_time(self, name: str) -> datetime | None:
        """A time, null or nothing."""
        return None if self._value.get(name) is None else self.time(name)

    def texts(self, name: str, default: tuple[str, ...] | None = None) -> tuple[str, ...]:
        """A list of distinct strings."""
        value = self._value.get(name, default)
        if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
            raise self._wrong(name, "a list of texts")
        if len(set(value)) != len(value):
            raise self._wrong(name, "a list without repeats")
        return tuple(value)

    def digests(self, name: str) -> tuple[Digest, ...]:
        """A sorted list of distinct digests."""
        value = tuple(self._read(name, digests.parse, item) for item in self.texts(name))
        if list(value) != sorted(value):
            raise self._wrong(name, "a sorted list of digests")
        return value

    def mapping(self, name: str) -> Mapping[str, Any]:
        """An object."""
        value = self._value.get(name)
        if not isinstance(value, Mapping):
            raise self._wrong(name, "an object")
        return value

    def optional_mapping(self, name: str) -> Mapping[str, Any]:
        """An object; empty where it is absent."""
        return self.mapping(name) if name in self._value else {}

    def objects(self, name: str) -> tuple[Mapping[str, Any], ...]:
        """A list of objects; empty where it is absent."""
        value = self._value.get(name, [])
        if not isinstance(value, list | tuple) or not all(isinstance(item, Mapping) for item in value):
            raise self._wrong(name, "a list of objects")
        return tuple(value)

    def _read(self, name: str, reader: Callable[[Any], _T], value: Any) -> _T:
        try:
            return reader(value)
        except CasstoreError as exc:
            raise FormatError(f"{self.what}: {name}: {exc.message}") from exc

    def _wrong(self, name: str, wanted: str) -> FormatError:
        return FormatError(f"{self.what}: {name} is not {wanted}")
