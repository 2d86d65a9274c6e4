"""Documents that were parsed lately: one command reads the same statement, or the same SBOM, many times over.

parse = Remembered(_parse)
parse(data)                 # of large ones the last is kept, of small ones the last few
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Generic, TypeVar

_T = TypeVar("_T")
LARGE = 1024 * 1024
SMALL = 64 * 1024
FEW = 128


class Remembered(Generic[_T]):
    """A parser of bytes whose values nobody changes; what it raises is not kept."""

    def __init__(self, parse: Callable[[bytes], _T]) -> None:
        self._parse = parse
        self._small = lru_cache(maxsize=FEW)(parse)
        self._last: tuple[bytes, _T] | None = None

    def __call__(self, data: bytes) -> _T:
        if len(data) <= SMALL:
            return self._small(data)
        if len(data) < LARGE:
            return self._parse(data)
        last = self._last
        if last is not None and last[0] == data:
            return last[1]
        self._last = last = None  # so that two are never held at once
        value = self._parse(data)
        self._last = (data, value)
        return value
