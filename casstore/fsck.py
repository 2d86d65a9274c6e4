"""Checks every stored byte of a store's packs, and heals the index; damage is named object by object.

A pack is read once from its first byte to its last: header, pieces, what lies between them,
table, footer, and the digest of every object. What cannot be found because a table is
damaged is named by its pack. The index is compared with what the packs hold; one that is
missing, lags or errs is filled again, which is no damage.

    report = fsck(store)
    report.damaged        # () when all is well
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from operator import itemgetter
from typing import Any

from attest.digests import Digest, from_raw
from attest.errors import CasstoreError, FormatError
from casstore.errors import NoSuchObject, StoreTooNew
from casstore.index import Index
from casstore.objects.codec import RAW
from casstore.objects.kinds import Kind
from casstore.objects.pack_format import ALIGN, FOOTER, FRAME, HEADER, NO_CHECK, OBJECT, SUBJECT, PackTable, Piece
from casstore.objects.pack_reader import decode_piece
from casstore.packs import Packs, table_of
from casstore.progress import NullProgress, Progress
from casstore.store import Store

_KINDS = frozenset(int(kind) for kind in Kind)


@dataclass(frozen=True, slots=True)
class Damage:
    """Something that is not what was stored. `object` is None when a whole pack cannot be searched."""

    pack: Digest
    object: Digest | None
    offset: int
    what: str

    def to_json(self) -> dict[str, Any]:
        """Plain values, keys in camelCase."""
        return {"pack": self.pack, "object": self.object, "offset": self.offset, "what": self.what}


@dataclass(frozen=True, slots=True)
class FsckReport:
    """`damaged` is empty when every byte is right; `healed` says what was wrong with the index and is right now."""

    packs: int
    objects: int
    bytes: int
    damaged: tuple[Damage, ...]
    healed: tuple[str, ...]
    seconds: float

    @property
    def ok(self) -> bool:
        """Whether nothing is damaged."""
        return not self.damaged

    def to_json(self) -> dict[str, Any]:
        """Plain values, keys in camelCase."""
        return {
            "ok": self.ok,
            "packs": self.packs,
            "objects": self.objects,
            "bytes": self.bytes,
            "damaged": [one.to_json() for one in self.damaged],
            "healed": list(self.healed),
            "seconds": round(self.seconds, 3),
        }


def fsck(store: Store, *, progress: Progress | None = None) -> FsckReport:
    """Read and check everything. Raises StorageUnavailable; damage is reported, not raised."""
    started = time.monotonic()
    heard = progress or NullProgress()
    catalog, packs = store.catalog, store.packs
    names = sorted(packs.names())
    heard.start("fsck", len(names), None)
    damaged: list[Damage] = []
    seen = _Seen()
    for name in names:
        damaged += check_pack(packs, name, seen)
        heard.advance(1, packs.size(name) or 0, 0)
    damaged += _gone(store, set(names), seen)
    damaged += [Damage(from_raw(name), None, 0, "this pack is gone") for name in catalog.lost()]
    reason = catalog.ask(lambda index: _index_fault(index, packs, seen))
    if reason is not None:
        catalog.rebuild(reason)
    heard.finish()
    healed = tuple(dict.fromkeys(catalog.healed))
    catalog.healed.clear()
    return FsckReport(len(names), len(seen.good), seen.bytes, tuple(damaged), healed, time.monotonic() - started)


class _Seen:
    """What one fsck has found in all packs."""

    def __init__(self) -> None:
        self.good: set[bytes] = set()
        self.tables: dict[bytes, int] = {}
        self.bytes = 0


def check_pack(packs: Packs, name: bytes, seen: _Seen | None = None) -> list[Damage]:
    """Every fault of one pack."""
    pack = from_raw(name)
    found = seen or _Seen()
    try:
        table, size = table_of(packs, name)
    except (FormatError, NoSuchObject, StoreTooNew) as exc:
        return [Damage(pack, None, 0, exc.message)]
    found.tables[name] = table.object_count
    found.bytes += size
    try:
        check_table(table, size)
        damage = [Damage(pack, None, at, what) for at, what in _between(packs, name, table)]
    except CasstoreError as exc:
        return [Damage(pack, None, 0, exc.message)]
    for raw, offset, what in _objects(packs, name, table):
        if what is None:
            found.good.add(raw)
        else:
            damage.append(Damage(pack, from_raw(raw), offset, what))
    return damage


def check_table(table: PackTable, size: int) -> None:
    """Everything that docs/formats/pack.md says of a table. Raises FormatError."""
    end = HEADER.size
    for number, piece in enumerate(table.iter_pieces()):
        gap = piece.offset - end
        if gap and (gap < 0 or gap >= ALIGN or piece.offset % ALIGN):
            raise FormatError(f"pack: piece {number} does not follow the one before")
        if not 0 < piece.stored <= piece.raw <= FRAME or (piece.codec == RAW) != (piece.check == NO_CHECK):
            raise FormatError(f"pack: piece {number} has sizes or a check that cannot be")
        end = piece.offset + piece.stored
    if end + len(table.pieces) + len(table.objects) + len(table.subjects) + FOOTER.size != size:
        raise FormatError("pack: bytes between the last piece and the table")
    _check_rows(table.objects, OBJECT.size, 32, "objects")
    _check_rows(table.subjects, SUBJECT.size, SUBJECT.size, "subjects")
    _check_cover(table)
    for _, raw in table.iter_subjects():
        place = table.find(raw)
        if place is None or place.kind != Kind.ATTESTATION:
            raise FormatError("pack: subjects of what is no attestation")


def _check_rows(rows: bytes, size: int, key: int, what: str) -> None:
    last = b""
    for at in range(0, len(rows), size):
        here = rows[at : at + key]
        if here <= last:
            raise FormatError(f"pack: its {what} are not sorted, or one stands twice")
        last = here


def _check_cover(table: PackTable) -> None:
    """The objects fill the pieces, one after the other, with nothing left over."""
    sizes = [piece.raw for piece in table.iter_pieces()]
    starts = [0, *accumulate(sizes)]
    position = 0
    for _, kind, piece, inner, length in sorted(table.iter_objects(), key=itemgetter(2, 3, 4)):
        if kind not in _KINDS or (not length and (piece or inner)):
            raise FormatError("pack: an object of an unknown kind, or an empty one with a place")
        if not length:
            continue
        if piece >= len(sizes) or starts[piece] + inner != position:
            raise FormatError("pack: objects overlap, or bytes belong to none")
        position += length
        if inner + length > sizes[piece]:
            _check_run(sizes, piece, inner, length)
    if position != starts[-1]:
        raise FormatError("pack: bytes that belong to no object, or an object that ends after the last piece")


def _check_run(sizes: list[int], piece: int, inner: int, length: int) -> None:
    """A large object: full frames and a last one, all its own."""
    full, rest = divmod(length, FRAME)
    expected = [FRAME] * full + ([rest] if rest else [])
    if inner or sizes[piece : piece + len(expected)] != expected:
        raise FormatError("pack: an object runs over pieces that are not full")


def _between(packs: Packs, name: bytes, table: PackTable) -> Iterator[tuple[int, str]]:
    """Padding that is not zero."""
    end = HEADER.size
    for piece in table.iter_pieces():
        gap = piece.offset - end
        if gap and packs.read(name, end, gap) != bytes(gap):
            yield end, "padding that is not zero"
        end = piece.offset + piece.stored


def _objects(packs: Packs, name: bytes, table: PackTable) -> Iterator[tuple[bytes, int, str | None]]:
    """(raw digest, offset, what is wrong or None) of every object; each piece is read once."""
    rows = sorted(table.iter_objects(), key=lambda row: (row[2], row[3]))
    number, data, fault, offset = -1, b"", None, HEADER.size
    for raw, _, first, inner, length in rows:
        hasher = hashlib.sha256()
        left, at, wrong = length, first, None
        while left:
            if at != number:
                piece = table.piece(at)
                number, offset = at, piece.offset
                data, fault = _decode(packs, name, piece)
            part = memoryview(data)[inner : inner + left]
            hasher.update(part)
            wrong = wrong or fault
            left -= len(part)
            if not len(part):
                break
            at, inner = at + 1, 0
        if wrong is None and hasher.digest() != raw:
            wrong = "its bytes do not have its digest"
        yield raw, offset, wrong


def _decode(packs: Packs, name: bytes, piece: Piece) -> tuple[bytes, str | None]:
    try:
        return decode_piece(piece, packs.read(name, piece.offset, piece.stored)), None
    except FormatError as exc:
        return b"", exc.message


def _gone(store: Store, there: set[bytes], seen: _Seen) -> list[Damage]:
    """Packs that the index knows and that are not there any more, unless their objects are elsewhere."""

    def question(index: Index) -> list[Damage]:
        missing = sorted((name, number) for name, number in index.packs().items() if name not in there)
        return [
            Damage(from_raw(name), None, 0, "this pack is gone")
            for name, number in missing
            if not index.objects_of(number) <= seen.good
        ]

    return store.catalog.ask(question)


def _index_fault(index: Index, packs: Packs, seen: _Seen) -> str | None:
    """What is wrong with the index, compared with the packs' own tables."""
    known = index.packs()
    if set(known) != set(seen.tables):
        return "the index knew other packs than there are"
    digests = 0
    with index.reader() as rows:
        for name, number in sorted(known.items()):
            table, _ = table_of(packs, name)
            if index.pieces(number) != table.pieces:
                return "the index had other pieces than a pack"
            for raw, kind, piece, inner, length in table.iter_objects():
                row = rows.get(raw)
                if row is None:
                    return "the index lacked an object"
                if row.pack == number:
                    digests += 1
                    if row != (number, piece, inner, length, kind):
                        return "a row of the index led to another place"
            if any(raw not in index.subjects(subject) for subject, raw in table.iter_subjects()):
                return "the index lacked a subject"
    return None if digests == index.count() else "the index had objects that no pack has"


__all__ = ["Damage", "FsckReport", "check_pack", "check_table", "fsck"]
