"""What Go's linker makes itself for each function of a program: its record, and those of the calls that were inlined.

They are numbers, most of them offsets of names in the program's own table; what they are is known by these names. So
each is told with where its names stand, and who asks compares those. Runs in a cell; nothing is believed.

    tables(data)      # [(start, end, [place of a name, ...]), ...]

Source: runtime/symtab.go (pcHeader), runtime/runtime2.go (_func) and cmd/link/internal/ld/pcln.go of Go 1.18 to 1.27.
Programs of 64 bits alone.
"""

from __future__ import annotations

import re
import struct
from bisect import bisect_right
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Row = tuple[int, int, list[int]]

_HEADER = re.compile(rb"[\xf0\xf1]\xff\xff\xff\x00\x00[\x01\x04]\x08", re.DOTALL)
_OLD = 0xF0
"""Go 1.18 and 1.19; the other magic is that of Go 1.20 and later."""
_OFFSETS = 8 + 3 * 8
"""Behind it: where names, units, files, tables of addresses and functions begin."""
_MAX_FUNCTIONS, _MAX_CALLS = 1 << 20, 4096
_CALLS, _NONE = 3, 0xFFFFFFFF
"""Which of a function's data names its inlined calls; what says that there is none."""


def tables(data: bytes) -> list[Row]:
    """Of a program of Go; nothing of anything else."""
    for found in _HEADER.finditer(data):
        try:
            if rows := list(_of(data, found.start())):
                return rows
        except (struct.error, ValueError, IndexError, OverflowError):
            continue
    return []


def _of(data: bytes, at: int) -> Iterator[Row]:
    old = data[at] == _OLD
    (count,) = struct.unpack_from("<Q", data, at + 8)
    names, units, _, _, begin = struct.unpack_from("<5Q", data, at + _OFFSETS)
    if not 0 < count <= _MAX_FUNCTIONS or not 0 < names < units < begin or at + begin > len(data):
        return
    head = 40 if old else 44
    calls: list[tuple[int, int]] = []
    others: set[int] = set()
    for number in range(count):
        place = at + begin + struct.unpack_from("<II", data, at + begin + 8 * number)[1]
        (name,) = struct.unpack_from("<I", data, place + 4)
        (pairs,) = struct.unpack_from("<I", data, place + 28)
        end = place + head + 4 * (pairs + data[place + head - 1])
        if name >= units or pairs > _MAX_CALLS or end > len(data):
            return
        held = struct.unpack_from(f"<{data[place + head - 1]}I", data, place + head + 4 * pairs)
        others.update(held)
        if len(held) > _CALLS and held[_CALLS] != _NONE:
            calls.append((held[_CALLS], at + names + name))
        yield place, end, [at + names + name]
    base = _base(data, [offset for offset, _ in calls], _starts(data, at + names, at + units), old=old)
    if base is not None:
        yield from _calls(data, base, dict(calls), sorted(others), at + names, at + units, old=old)


def _starts(data: bytes, first: int, last: int) -> NDArray[np.uint32]:
    """Offsets of all names."""
    return np.flatnonzero(np.frombuffer(data[first : last - 1], np.uint8) == 0).astype(np.uint32) + np.uint32(1)


def _base(data: bytes, offsets: list[int], starts: NDArray[np.uint32], *, old: bool) -> int | None:
    """From where offsets count: the first place from which each leads to a record that names a name.

    The records of all functions follow each other, so that others fit too, which lie some records behind.
    """
    field = 12 if old else 4
    named = np.isin(np.frombuffer(data[: len(data) & ~3], "<u4"), starts)
    found = np.flatnonzero(named) * 4 - field - (offsets[0] if offsets else 0)
    for offset in offsets:
        places = (found + offset + field) // 4
        inside = (places >= 0) & (places < len(named))
        found = found[inside][named[places[inside]]]
    return int(found.min()) if offsets and len(found) else None


def _calls(
    data: bytes, base: int, owners: dict[int, int], ends: list[int], first: int, last: int, *, old: bool
) -> Iterator[Row]:
    """The records of each function's calls, up to what begins next, or to one that names nothing."""
    size, field = (20, 12) if old else (16, 4)
    for offset, owner in owners.items():
        following = bisect_right(ends, offset)
        stop = base + (ends[following] if following < len(ends) and ends[following] != _NONE else offset + size)
        for place in range(base + offset, min(stop, base + offset + size * _MAX_CALLS) - size + 1, size):
            name = first + struct.unpack_from("<I", data, place + field)[0]
            if place < 0 or not first < name < last or data[name - 1]:
                break
            yield place, place + size, [owner, name]
