"""The objects of many packs as one sorted run: an empty index is filled by appending, leaf after full leaf.

Adding pack after pack in their own order dirties every leaf again and again and leaves the file two and a
half times as large. One 256th of all digests is sorted at a time, so memory stays small beside the tables.

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


class SortedRun:
    """See the module; `items` is read once."""

    def __init__(self, packs: Iterable[tuple[int, PackTable]]) -> None:
        self._packs = [(number.to_bytes(4, "big"), _in_order(table.objects)) for number, table in packs]
        self.large: set[int] = set()

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """(raw digest, the index's value), each digest once: an attestation where it is one, else the first pack's."""
        packer = msgpack.Packer().pack
        starts = [0] * len(self._packs)
        for first in range(256):
            ends = [_end(objects, first) for _, objects in self._packs]
            rows = self._rows(starts, ends)
            starts = ends
            for raw, kind, piece, inner, length, number in _ROW.iter_unpack(b"".join(rows)):
                record = packer((number, piece, inner, length, kind))
                if length > FRAME:
                    self.large.add(length)
                yield raw, record + crc32(record, crc32(raw)).to_bytes(4, "big")

    def _rows(self, starts: Sequence[int], ends: Sequence[int]) -> list[bytes]:
        rows: list[bytes] = []
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


def _end(objects: bytes, first: int) -> int:
    """Where the digests end that begin with this byte, or a smaller one."""
    rows = range(0, len(objects), _STEP)
    return bisect_left(rows, first + 1, key=lambda at: objects[at]) * _STEP
