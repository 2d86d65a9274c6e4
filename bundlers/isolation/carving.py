"""Beginnings of packed things inside a file, at any offset: behind a program, between entries, after the end.

What the file's own form accounts for (`covered`) is left out: its members are looked at themselves. A beginning
that opens to nothing is chance: a few bytes are found in any large file.

    for offset, kind in beginnings(blob, covered): ...
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import IO

import numpy as np

Span = tuple[int, int]

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


def beginnings(blob: IO[bytes], covered: Sequence[Span], tried_at_front: str) -> Iterator[tuple[int, str]]:
    """(offset, kind) outside of what is covered, from front to back; `covered` may grow meanwhile."""
    at, tried = 0, 0
    while True:
        blob.seek(at)
        piece = blob.read(_PIECE + _OVERLAP)
        for start, kind in sorted(_in(piece, at)):
            if start - at >= _PIECE or (start == 0 and kind == tried_at_front) or _is_covered(start, covered):
                continue
            if kind == "skipped" and start and all(end != start for _, end in covered):
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


def _is_covered(offset: int, covered: Sequence[Span]) -> bool:
    return any(start <= offset < end for start, end in covered)
