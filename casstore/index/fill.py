"""The objects of many packs as one sorted run: an empty index is filled by appending, leaf after full leaf.

Adding pack after pack in their own order dirties every leaf again and again and leaves the file two and a
half times as large. One 256th of all digests is sorted at a time, so memory stays small beside the tables; packs
of few objects, of which there may be tens of thousands, are one run before that.

    run = SortedRun([(0, table), (1, other)])
    cursor.putmulti(run.items(), append=True)
    run.large                                    # lengths above a frame, once `items` has ended
"""

from __future__ import annotations

import struct
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from zlib import crc32

import msgpack

from casstore.objects.kinds import Kind
from casstore.objects.pack_format import FRAME, OBJECT, PackTable

_ROW = struct.Struct(OBJECT.format + "I")
"""An object's row in its pack's table, then the pack's number."""
_STEP = OBJECT.size
_FEW = 64
"""A pack of no more objects goes into one run with others like it."""


class SortedRun:
    """See the module; `items` is read once."""

    def __init__(self, packs: Iterable[tuple[int, PackTable]]) -> None:
        few: list[bytes] = []
        self._packs: list[tuple[bytes, bytes]] = []
        for at, table in packs:
            number, objects = at.to_bytes(4, "big"), table.objects
            if len(objects) <= _FEW * _STEP:
                few += [objects[row : row + _STEP] + number for row in range(0, len(objects), _STEP)]
            else:
                self._packs.append((number, _in_order(objects)))
        self._few = b"".join(sorted(few))
        self.large: set[int] = set()

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """(raw digest, the index's value), each digest once: an attestation where it is one, else the first pack's."""
        packer = msgpack.Packer().pack
        starts, few = [0] * len(self._packs), 0
        for first in range(256):
            ends = [_end(objects, first, _STEP) for _, objects in self._packs]
            until = _end(self._few, first, _ROW.size)
            rows = self._rows(starts, ends, self._few[few:until])
            starts, few = ends, until
            for raw, kind, piece, inner, length, number in _ROW.iter_unpack(b"".join(rows)):
                record = packer((number, piece, inner, length, kind))
                if length > FRAME:
                    self.large.add(length)
                yield raw, record + crc32(record, crc32(raw)).to_bytes(4, "big")

    def _rows(self, starts: Sequence[int], ends: Sequence[int], few: bytes) -> list[bytes]:
        rows = [few[at : at + _ROW.size] for at in range(0, len(few), _ROW.size)]
        for (number, objects), start, end in zip(self._packs, starts, ends, strict=True):
            rows += [objects[at : at + _STEP] + number for at in range(start, end, _STEP)]
        rows.sort()
        if len({row[:32] for row in rows}) < len(rows):
            return _once(rows)
        return rows


def _once(rows: Iterable[bytes]) -> list[bytes]:
    chosen: dict[bytes, bytes] = {}
    for row in sorted(rows, key=lambda row: (row[:32], row[32] != Kind.ATTESTATION, row[_STEP:])):
        chosen.setdefault(row[:32], row)
    return list(chosen.values())


def _in_order(objects: bytes) -> bytes:
    """The rows sorted by digest, as a pack must have them; nothing is appended to an index on trust."""
    digests = [objects[at : at + 32] for at in range(0, len(objects), _STEP)]
    if digests == sorted(digests):
        return objects
    return b"".join(sorted(objects[at : at + _STEP] for at in range(0, len(objects), _STEP)))


def _end(rows: bytes, first: int, step: int) -> int:
    """Where the digests end that begin with this byte, or a smaller one."""
    return bisect_left(range(0, len(rows), step), first + 1, key=lambda at: rows[at]) * step
