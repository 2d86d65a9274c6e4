"""The last large document that was parsed: one command reads the same SBOM many times, and each time costs seconds.

parse = Remembered(_parse)
parse(data)                 # small ones are parsed anew; of large ones the last is kept
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

_T = TypeVar("_T")
LARGE = 1024 * 1024


class Remembered(Generic[_T]):
    """A parser of bytes whose values nobody changes; what it raises is not kept."""

    def __init__(self, parse: Callable[[bytes], _T]) -> None:
        self._parse = parse
        self._last: tuple[bytes, _T] | None = None

    def __call__(self, data: bytes) -> _T:
        if len(data) < LARGE:
            return self._parse(data)
        last = self._last
        if last is not None and last[0] == data:
            return last[1]
        self._last = last = None  # so that two are never held at once
        value = self._parse(data)
        self._last = (data, value)
        return value
