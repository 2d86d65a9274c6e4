"""What a linker takes from an object file, and which bytes of it it fills in. Runs in a cell.

An ELF object (x86-64, AArch64) is a list of sections that a linker lays somewhere, with relocations: places that hold
an address, which differs from program to program. All else of a section stands in each program as it is. Constants
that may be merged are laid one by one. Nothing is believed beyond its length.

    pieces(data)      # [(content, where it is fixed: a byte of 1 or 0 for each of its bytes), ...]

Source: System V ABI, gABI 4.1 and the psABIs of x86-64 and AArch64.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from bundlers.inspection import go_objects

Piece = tuple[bytes, bytes]
"""Content; and a byte for each: 1 where it is fixed, 0 where a linker fills it in."""

_OBJECT, _X86_64, _AARCH64 = 1, 62, 183
_PROGBITS, _RELA = 1, 4
_ALLOC, _MERGE, _STRINGS = 2, 16, 32
_MAX_SECTIONS = _MAX_PIECES = 1 << 20
_LONGEST_HOLE = 16
"""A longer one says nothing of what stands there: the section ends before it, and begins anew behind it."""
_X86_WIDTHS = {1: 8, 8: 8, 9: 4, 12: 2, 13: 2, 14: 1, 15: 1, 16: 8, 17: 8, 18: 8, 24: 8, 25: 8}
"""Type of relocation -> bytes; all others 4."""
_ARM_WIDTHS = {257: 8, 260: 8, 259: 2, 262: 2}
_ROW = np.dtype([("place", "<u8"), ("kind", "<u4"), ("symbol", "<u4"), ("addend", "<i8")])


def pieces(data: bytes) -> list[Piece]:
    """Of an object, each once; none of anything else. What lies behind a million of them is left out."""
    try:
        return list(dict.fromkeys(islice(_pieces(data), _MAX_PIECES)))
    except (struct.error, ValueError, IndexError, OverflowError):
        return []


def _pieces(data: bytes) -> Iterator[Piece]:
    if data.startswith(go_objects.HEAD):
        yield from go_objects.pieces(data)
    if data[:6] != b"\x7fELF\x02\x01":
        return
    kind, machine = struct.unpack_from("<HH", data, 16)
    if kind != _OBJECT or machine not in (_X86_64, _AARCH64):
        return
    widths = _X86_WIDTHS if machine == _X86_64 else _ARM_WIDTHS
    rows = list(_sections(data))
    filled = {row[7]: row for row in rows if row[1] == _RELA}
    for number, (_, sort, flags, _, start, size, _, _, _, entry) in enumerate(rows):
        if sort != _PROGBITS or not flags & _ALLOC or start + size > len(data):
            continue
        body = data[start : start + size]
        if flags & _MERGE and number not in filled:
            yield from ((one, b"\x01" * len(one)) for one in _merged(body, entry, bool(flags & _STRINGS)))
        else:
            yield from _cut(body, _fixed(data, size, filled.get(number), widths))


def _sections(data: bytes) -> Iterator[tuple[int, ...]]:
    (start,) = struct.unpack_from("<Q", data, 40)
    size, count = struct.unpack_from("<HH", data, 58)
    if count == 0:
        (count,) = struct.unpack_from("<Q", data, start + 32)
    for number in range(min(count, _MAX_SECTIONS)):
        yield struct.unpack_from("<IIQQQQIIQQ", data, start + number * size)


def _merged(body: bytes, entry: int, strings: bool) -> Iterator[bytes]:
    if strings:
        yield from (text + b"\0" for text in body.split(b"\0") if text)
    elif 2 <= entry <= 64:
        yield from (body[at : at + entry] for at in range(0, len(body), entry))
    else:
        yield body


def _fixed(data: bytes, size: int, row: tuple[int, ...] | None, widths: dict[int, int]) -> NDArray[np.uint8]:
    fixed = np.ones(size, np.uint8)
    if row is not None:
        for place, kind, _, _ in np.frombuffer(data[row[4] : row[4] + row[5]], _ROW).tolist():
            fixed[place : place + widths.get(kind, 4)] = 0
    return fixed


def _cut(body: bytes, fixed: NDArray[np.uint8]) -> Iterator[Piece]:
    """Without the long holes, and without holes at the ends."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], 1 - fixed, [0]]).astype(np.int8)))
    at = 0
    for first, last in [*edges.reshape(-1, 2).tolist(), [len(body), len(body)]]:
        if first == at or last == len(body) or last - first > _LONGEST_HOLE:
            if first > at:
                yield body[at:first], fixed[at:first].tobytes()
            at = last
