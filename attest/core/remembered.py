"""Documents that were parsed lately: one command reads the same statement, or the same SBOM, many times over.

parse = Remembered(_parse)
parse(data)                 # of large ones the last is kept, of small ones the last few
parse.learn(data, value)    # what another process of ours has parsed; taken the first time that it is asked for
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from functools import lru_cache
from typing import Generic, TypeVar

_T = TypeVar("_T")
LARGE = 1024 * 1024
SMALL = 64 * 1024
FEW = 128
MANY = 1024
"""So many that were learned wait to be asked for."""


class Remembered(Generic[_T]):
    """A parser of bytes whose values nobody changes; what it raises is not kept."""

    def __init__(self, parse: Callable[[bytes], _T]) -> None:
        self._parse = parse
        self._small = lru_cache(maxsize=FEW)(self._first)
        self._last: tuple[bytes, _T] | None = None
        self._learned: OrderedDict[bytes, _T] = OrderedDict()

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

    def learn(self, data: bytes, value: _T) -> None:
        """What these bytes parse to, by somebody who parsed them with this very code."""
        if len(data) <= SMALL:
            keep(self._learned, data, value)

    def _first(self, data: bytes) -> _T:
        found = self._learned.pop(data, None)
        return self._parse(data) if found is None else found


_K = TypeVar("_K")
_V = TypeVar("_V")


def keep(learned: OrderedDict[_K, _V], key: _K, value: _V) -> None:
    """One more; the oldest goes where there are too many."""
    learned[key] = value
    if len(learned) > MANY:
        learned.popitem(last=False)
