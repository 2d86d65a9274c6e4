"""Checks one part of a pack: every object that begins in it, read from its first stored byte to its last.

A pack is cut into parts of about the same stored size, so that large ones are shared out too.
Part 0 also checks what belongs to the whole pack: its table's rules and the padding.

    part = PartCheck(packs.read, table, size, 0, 4)
    for raw, kind, offset, what in part.objects(): ...     # what is None when all is well
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from operator import itemgetter

from attest.digests import from_raw
from attest.errors import CasstoreError, FormatError, TooNew
from casstore.errors import NoSuchObject
from casstore.fsck.report import Damage
from casstore.fsck.table import check_table
from casstore.objects.kinds import Kind
from casstore.objects.pack_format import FRAME, HEADER, OBJECT, PackTable, piece_at
from casstore.objects.pack_reader import decode_piece
from casstore.objects.packs import Packs

ReadAt = Callable[[bytes, int, int], bytes]
Tree = Callable[[bytes, bytes], None]
_PLACE = slice(33, 49)
_WRONG = "its bytes do not have its digest"


def in_order(table: PackTable) -> bytes:
    """The rows of the objects by their place in the file: first piece, then where in it."""
    rows = table.objects
    found = [rows[at : at + OBJECT.size] for at in range(0, len(rows), OBJECT.size)]
    found.sort(key=itemgetter(_PLACE))
    return b"".join(found)


def objects(
    read: ReadAt, table: PackTable, ordered: bytes, part: int, parts: int, tree: Tree | None = None
) -> Iterator[tuple[bytes, int, str | None]]:
    """(raw digest, offset, what is wrong or None) of every object that begins in this part; each piece is read once.

    `tree` is handed every folder that is whole.
    """
    first, end = _cut(table, part, parts), _cut(table, part + 1, parts)
    low, high = _row(ordered, first), _row(ordered, end) if part + 1 < parts else len(ordered)
    number, data, fault, offset = -1, memoryview(b""), "", HEADER.size
    sha256, folder = hashlib.sha256, int(Kind.TREE)
    for raw, kind, at, inner, length in OBJECT.iter_unpack(memoryview(ordered)[low:high]):
        if length > FRAME or (length and inner + length > FRAME):
            yield raw, *_large(read, table, raw, at, length)
            continue
        if length and at != number:
            number, (offset, data, fault) = at, _load(read, table, at)
        bytes_ = data[inner : inner + length]
        if length and fault:
            yield raw, offset, fault
        elif sha256(bytes_).digest() != raw:
            yield raw, offset, _WRONG
        else:
            if kind == folder and tree is not None:
                tree(raw, bytes(bytes_))
            yield raw, offset, None


def padding(read: ReadAt, table: PackTable) -> Iterator[tuple[int, str]]:
    """Padding that is not zero."""
    end = HEADER.size
    for piece in table.iter_pieces():
        gap = piece.offset - end
        if gap and read(table.name, end, gap) != bytes(gap):
            yield end, "padding that is not zero"
        end = piece.offset + piece.stored


def whole(read: ReadAt, table: PackTable, size: int) -> Iterator[tuple[int, str]]:
    """What is wrong with the pack as a whole."""
    try:
        check_table(table, size)
        yield from padding(read, table)
    except (CasstoreError, OverflowError) as exc:
        yield 0, str(exc)


def check_pack(packs: Packs, name: bytes) -> list[Damage]:
    """Every fault of one pack, in one go."""
    pack = from_raw(name)
    try:
        table, size = packs.table(name)
    except (FormatError, NoSuchObject, TooNew) as exc:
        return [Damage(pack, None, 0, exc.message)]
    found = [Damage(pack, None, at, what) for at, what in whole(packs.read, table, size)]
    if any(not damage.offset for damage in found):
        return found
    for raw, offset, wrong in objects(packs.read, table, in_order(table), 0, 1):
        if wrong is not None:
            found.append(Damage(pack, from_raw(raw), offset, wrong))
    return found


def _cut(table: PackTable, part: int, parts: int) -> int:
    """The piece that a part begins with: by number, as most pieces of a pack are of a size."""
    return table.piece_count * part // parts


def _row(ordered: bytes, piece: int) -> int:
    """Where the first row stands whose object begins in this piece or later."""
    low, high, wanted = 0, len(ordered) // OBJECT.size, piece.to_bytes(4, "big")
    while low < high:
        middle = (low + high) // 2
        at = middle * OBJECT.size + _PLACE.start
        if ordered[at : at + 4] < wanted:
            low = middle + 1
        else:
            high = middle
    return low * OBJECT.size


def _load(read: ReadAt, table: PackTable, number: int) -> tuple[int, memoryview, str]:
    """(offset, bytes, fault) of a piece."""
    offset = 0
    try:
        piece = piece_at(table.pieces, number)
        offset = piece.offset
        return offset, memoryview(decode_piece(piece, read(table.name, offset, piece.stored))), ""
    except (FormatError, NoSuchObject) as exc:
        return offset, memoryview(b""), exc.message


def _large(read: ReadAt, table: PackTable, raw: bytes, first: int, length: int) -> tuple[int, str | None]:
    """(offset, what is wrong or None) of an object in several pieces; the offset is that of the wrong piece."""
    hasher, start = hashlib.sha256(), 0
    for number in range(first, first - -length // FRAME):
        offset, data, fault = _load(read, table, number)
        start = start or offset
        if fault:
            return offset, fault
        hasher.update(data)
    return start, None if hasher.digest() == raw else _WRONG
