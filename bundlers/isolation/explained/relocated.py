"""Linked code that others made, known by the objects that it was linked from, wherever a linker laid it.

Every program of one house holds its language's library and the packages that it builds on, each time at other
addresses. The objects of those (`linkable`) say which bytes are the same everywhere: where all of these stand in a row
in a program, that stretch is explained, with the addresses between them. Small constants count in rows alone: laid
from an explained stretch on without a gap, or as a long table.

    known = Linked(pieces)
    known.cover(program)       # merged stretches
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from bundlers.isolation.stretches import spans
from bundlers.isolation.stretches.spans import Span

_KEY = 8
"""Bytes by which a piece is looked for."""
_DISTINCT = 3
"""Of these so many differ: what is padding stands everywhere."""
_PLENTY = 6
_LOOKED, _PICKED, _MIX = 4096, 64, np.uint64(0x9E3779B97F4A7C15)
_LEAST = 32
"""Smaller pieces are constants."""
_RUN = 12
"""So many fixed bytes in a row must a piece have; of all its bytes at least half are fixed."""
_OFTEN = 64
"""Of places that look alike so many are tried for one piece."""
_SMALLEST = 2
_PADDING = 15
_TABLE = 128
"""Bytes of a table of merged constants."""
_WINDOW = 1 << 22
_NAME = 4096

Piece = tuple[bytes, bytes]
"""Content; and a byte for each: 1 where it is fixed, 0 where a linker fills it in."""
Table = tuple[int, int, list[int]]
"""A stretch of a program, and where the names stand that it names."""
Words = NDArray[np.uint64]


class Linked:
    """All pieces of one reference."""

    def __init__(self, pieces: Iterable[Piece]) -> None:
        self._small: set[bytes] = set()
        self._names: set[bytes] = set()
        self._pieces: list[tuple[NDArray[np.uint8], NDArray[np.bool_], int]] = []
        keys: list[int] = []
        for content, mask in dict.fromkeys(pieces):
            if content.endswith(b"\0") and b"\0" not in mask:
                self._names.add(content)
            if len(content) < _LEAST:
                if len(content) >= _SMALLEST and b"\0" not in mask:
                    self._small.add(content)
            elif anchor := _anchor(content, mask):
                at, key = anchor
                fixed = np.frombuffer(mask, np.uint8).astype(bool)
                self._pieces.append((np.frombuffer(content, np.uint8), fixed, at))
                keys.append(key)
        made = np.array(keys, np.uint64)
        self._order = np.argsort(made, kind="stable")
        self._keys: Words = made[self._order]
        begins = {int.from_bytes(one[:_KEY], "little") for one in self._small if len(set(one[:_KEY])) >= _DISTINCT}
        self._begins = np.array(sorted(begin for begin in begins if begin >> 56), np.uint64)
        words = sorted({int.from_bytes(one, "little") for one in self._small if len(one) == 4})
        self._words = np.array(words, np.uint32)

    def __bool__(self) -> bool:
        return bool(self._pieces)

    def cover(self, data: bytes, tables: Iterable[Table] = ()) -> list[Span]:
        """The stretches of a program that are linked from these objects; `tables`: what a linker made about them."""
        if not self._pieces:
            return []
        bytes_ = np.frombuffer(data, np.uint8)
        held = spans.merged([*self._laid(bytes_), *self._tables(bytes_)])
        held = spans.merged([*held, *self._rows(data, bytes_, held)])
        return spans.merged([*held, *self._constants(data, held), *self._told(data, tables)])

    def _told(self, data: bytes, tables: Iterable[Table]) -> Iterator[Span]:
        """What speaks of names alone that the objects have."""
        known: dict[int, bool] = {}
        for start, end, places in tables:
            for place in places:
                if place not in known:
                    known[place] = data[place : data.find(b"\0", place, place + _NAME) + 1] in self._names
            if all(known[place] for place in places):
                yield start, end

    def _laid(self, data: NDArray[np.uint8]) -> Iterator[Span]:
        tried = np.zeros(len(self._pieces), np.int64)
        for at, first, last in self._hits(data):
            for number in self._order[first:last].tolist():
                content, fixed, anchor = self._pieces[number]
                start = at - anchor
                end = start + len(content)
                if start < 0 or end > len(data) or tried[number] >= _OFTEN:
                    continue
                if np.array_equal(data[start:end][fixed], content[fixed]):
                    yield start, end
                else:
                    tried[number] += 1

    def _hits(self, data: NDArray[np.uint8]) -> Iterator[tuple[int, int, int]]:
        """Place in the program, and which keys stand there."""
        for begin in range(0, max(0, len(data) - _KEY + 1), _WINDOW):
            part = data[begin : begin + _WINDOW + _KEY - 1]
            words = np.lib.stride_tricks.sliding_window_view(part, _KEY).copy().view("<u8").ravel()
            first = np.searchsorted(self._keys, words, "left")
            found = np.flatnonzero(self._keys[np.minimum(first, len(self._keys) - 1)] == words)
            last = np.searchsorted(self._keys, words[found], "right")
            yield from zip((found + begin).tolist(), first[found].tolist(), last.tolist(), strict=True)

    def _tables(self, data: NDArray[np.uint8]) -> Iterator[Span]:
        """Rows of merged constants of four bytes."""
        words = data[: len(data) & ~3].view("<u4")
        known = np.isin(words, self._words) & (words != 0)
        edges = np.flatnonzero(np.diff(np.concatenate([[0], known.view(np.int8), [0]])))
        for first, last in edges.reshape(-1, 2).tolist():
            if (last - first) * 4 >= _TABLE:
                yield first * 4, last * 4

    def _rows(self, data: bytes, bytes_: NDArray[np.uint8], held: list[Span]) -> Iterator[Span]:
        """Rows of constants of eight bytes and more, or that end with a zero, that stand where nothing is explained."""
        ends = [first for first, _ in held] + [len(data)]
        for start, end in zip([0, *(last for _, last in held)], ends, strict=True):
            at = start
            for place in self._begun(bytes_[start:end]) if end - start >= _TABLE else ():
                if start + place >= at:
                    at = self._reached(data, start + place, end, _KEY)
                    if at - start - place >= _TABLE:
                        yield start + place, at

    def _begun(self, data: NDArray[np.uint8]) -> list[int]:
        """Where a small constant of eight bytes or more may stand."""
        words = np.lib.stride_tricks.sliding_window_view(data, _KEY).copy().view("<u8").ravel()
        return [int(place) for place in np.flatnonzero(np.isin(words, self._begins))]

    def _constants(self, data: bytes, held: list[Span]) -> Iterator[Span]:
        """From the end of each stretch to the next, and back, as far as constants and padding follow each other."""
        ends = [first for first, _ in held[1:]] + [len(data)] * bool(held)
        for (_, start), end in zip(held, ends, strict=True):
            after = self._reached(data, start, end)
            yield start, after
            if end < len(data):
                yield self._reached_back(data, end, after), end

    def _reached(self, data: bytes, start: int, end: int, least: int = _SMALLEST) -> int:
        """How far constants follow each other from here on, with padding between two of them."""
        todo, seen, best = [start], {start}, start
        while todo:
            at = todo.pop()
            best = max(best, at)
            pad = data[at : min(end, at + _PADDING)]
            for begin in {at, at + len(pad) - len(pad.lstrip(b"\0"))}:
                sizes = range(_SMALLEST, min(_LEAST, end - begin + 1))
                ends = (begin + n for n in sizes if n >= least or not data[begin + n - 1])
                fresh = {stop for stop in ends if data[begin:stop] in self._small} - seen
                seen |= fresh
                todo += fresh
        return best

    def _reached_back(self, data: bytes, end: int, start: int) -> int:
        """Likewise, from here backwards."""
        todo, seen, best = [end], {end}, end
        while todo:
            at = todo.pop()
            best = min(best, at)
            pad = data[max(start, at - _PADDING) : at]
            for stop in {at, at - len(pad) + len(pad.rstrip(b"\0"))}:
                sizes = range(_SMALLEST, min(_LEAST, stop - start + 1))
                fresh = {stop - n for n in sizes if data[stop - n : stop] in self._small} - seen
                seen |= fresh
                todo += fresh
        return best


def _anchor(content: bytes, mask: bytes) -> tuple[int, int] | None:
    """Where in its longest fixed run a piece is looked for: eight bytes that differ, picked as by chance.

    The most telling ones would be a beginning that a compiler writes for each function.
    """
    if 2 * mask.count(1) < len(mask):
        return None
    longest = max(mask.split(b"\0"), key=len)
    if len(longest) < _RUN:
        return None
    begin = mask.index(longest)
    run = np.frombuffer(content[begin : begin + min(len(longest), _LOOKED)], np.uint8)
    words = np.lib.stride_tricks.sliding_window_view(run, _KEY).copy().view("<u8").ravel()
    picked = np.argsort(words * _MIX, kind="stable")[:_PICKED].tolist()
    differing = [len(set(content[begin + place : begin + place + _KEY])) for place in picked]
    number = next((n for n, count in enumerate(differing) if count >= _PLENTY), int(np.argmax(differing)))
    if differing[number] < _DISTINCT:
        return None
    return begin + picked[number], int(words[picked[number]])
