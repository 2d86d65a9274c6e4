"""Beginnings of packed things inside a file, at any offset: behind a program, between entries, after the end.

What the file's own form accounts for (`covered`) is left out: its members are looked at themselves. A beginning
that opens to nothing is chance: a few bytes are found in any large file.

    for offset, kind in beginnings(blob, covered): ...
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from typing import IO

import numpy as np

_PIECE = 1 << 18
_OVERLAP = 512
_FEW = 200
_MOST = 20_000
"""So many beginnings are tried in one file."""
_MAGIC: dict[str, tuple[bytes, int]] = {
    "gzip": (rb"\x1f\x8b\x08[\x00-\x1f]", 0),
    "bzip2": (rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90)", 0),
    "xz": (rb"\xfd7zXZ\x00\x00[\x00\x01\x04\x0a]", 0),
    "zstd": (rb"\x28\xb5\x2f\xfd", 0),
    "skipped": (rb"\x2a\x4d\x18", 1),
    "ar": (rb"!<arch>\n", 0),
    "rpm": (rb"\xed\xab\xee\xdb[\x03\x04]", 0),
    "cpio": (rb"07070[127][0-9a-fA-F]{6}", 0),
    "entry": (rb"PK\x03\x04", 0),
    "tar": (rb"ustar[\x00 ]", 257),
}
_PATTERNS = {kind: (re.compile(pattern, re.DOTALL), before) for kind, (pattern, before) in _MAGIC.items()}
_FIRST = {
    b"\x1f\x8b\x08": "gzip",
    b"BZh": "bzip2",
    b"\xfd7z": "xz",
    b"\x28\xb5\x2f": "zstd",
    b"\x2a\x4d\x18": "skipped",
    b"!<a": "ar",
    b"\xed\xab\xee": "rpm",
    b"070": "cpio",
    b"PK\x03": "entry",
    b"ust": "tar",
}
"""The first three bytes of each: they are looked for in whole arrays, the rest only where they stand."""
_TWO = np.array(sorted({int.from_bytes(first[:2], "little") for first in _FIRST}), np.uint16)
_THREE = np.array(sorted(int.from_bytes(first, "little") for first in _FIRST), np.uint32)


class Covered:
    """The parts of a file that are accounted for; asking costs the same however many they are."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []
        """Of the part that begins at the same place in `_starts`; parts that touch are one."""

    def add(self, start: int, end: int) -> None:
        """One more part."""
        if end <= start:
            return
        first = bisect_left(self._ends, start)
        last = bisect_right(self._starts, end)
        if first < last:  # it touches these
            start, end = min(start, self._starts[first]), max(end, self._ends[last - 1])
        self._starts[first:last], self._ends[first:last] = [start], [end]

    def holds(self, offset: int) -> bool:
        """Whether the byte there is accounted for."""
        place = bisect_right(self._starts, offset)
        return place > 0 and offset < self._ends[place - 1]

    def ends_at(self, offset: int) -> bool:
        """Whether a part ends there."""
        place = bisect_left(self._ends, offset)
        return place < len(self._ends) and self._ends[place] == offset

    def take(self, inner: Covered, by: int) -> None:
        """What was accounted for in a part of the file that begins at `by`."""
        for start, end in zip(inner._starts, inner._ends, strict=True):
            self.add(start + by, end + by)


def beginnings(blob: IO[bytes], covered: Covered, tried_at_front: str) -> Iterator[tuple[int, str]]:
    """(offset, kind) outside of what is covered, from front to back; `covered` may grow meanwhile."""
    at, tried = 0, 0
    while True:
        blob.seek(at)
        piece = blob.read(_PIECE + _OVERLAP)
        for start, kind in sorted(_in(piece, at)):
            if start - at >= _PIECE or (start == 0 and kind == tried_at_front) or covered.holds(start):
                continue
            if kind == "skipped" and start and not covered.ends_at(start):
                continue  # it follows a frame, or begins a file; elsewhere it is chance, and its bytes lie open
            tried += 1
            if tried > _MOST:
                yield start, ""
                return
            yield start, kind
        if len(piece) <= _PIECE:
            return
        at += _PIECE


def _in(piece: bytes, at: int) -> Iterator[tuple[int, str]]:
    for place in _places(piece):
        kind = _FIRST[piece[place : place + 3]]
        pattern, before = _PATTERNS[kind]
        if (place >= before or at) and pattern.match(piece, place):
            yield at + place - before, kind


def _places(piece: bytes) -> list[int]:
    """Where the first three bytes of anything stand."""
    if len(piece) < 4:
        return []
    found = []
    for shift in (0, 1):
        pairs = np.frombuffer(piece, "<u2", (len(piece) - shift) // 2, shift)
        hit = pairs == _TWO[0]
        for value in _TWO[1:]:
            hit |= pairs == value
        found.append(np.flatnonzero(hit) * 2 + shift)
    at = np.concatenate(found)
    if len(at) <= _FEW:
        return [place for place in at.tolist() if piece[place : place + 3] in _FIRST]
    data = np.frombuffer(piece, np.uint8)
    at = at[at + 2 < len(data)]
    keys = data[at].astype(np.uint32) | data[at + 1].astype(np.uint32) << 8 | data[at + 2].astype(np.uint32) << 16
    return [int(place) for place in at[np.isin(keys, _THREE)]]
