"""Good copies of objects: in this store's own packs, or in another store; verified while they are copied.

copies = Copies.of(store, wanted)
copies.homes[raw]                       # packs that hold it whole
copies.chunks(raw, name)                # raises ObjectDamaged at the end when they are other bytes
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator
from dataclasses import field

from attest.core.values import dataclass
from attest.digests import from_raw
from attest.errors import CasstoreError, FormatError
from casstore.errors import NoSuchObject, ObjectDamaged
from casstore.objects.kinds import Kind
from casstore.objects.pack_format import SOLO, PackTable
from casstore.objects.pack_reader import decode_piece, object_chunks
from casstore.objects.pack_writer import PackWriter
from casstore.store.store import Store


@dataclass(frozen=True, slots=True)
class Copies:
    """Where some objects lie, by the packs' own tables; packs that are given up soon do not count."""

    store: Store
    tables: dict[bytes, PackTable] = field(default_factory=dict)
    homes: dict[bytes, list[bytes]] = field(default_factory=dict)

    @staticmethod
    def of(store: Store, wanted: Collection[bytes]) -> Copies:
        """A look into every table. Damaged tables are passed over."""
        copies = Copies(store)
        doomed = store.catalog.doomed()
        for name in sorted(store.packs.names()):
            if name in doomed:
                continue
            try:
                table, _ = store.packs.table(name)
            except (FormatError, NoSuchObject):
                continue
            held = [raw for raw in wanted if table.find(raw) is not None]
            for raw in held:
                copies.homes.setdefault(raw, []).append(name)
            if held:
                copies.tables[name] = table
        return copies

    def whole(self, raw: bytes, name: bytes) -> bool:
        """Whether this pack has the object's very bytes."""
        try:
            for _ in self.chunks(raw, name):
                pass
        except CasstoreError:
            return False
        return True

    def chunks(self, raw: bytes, name: bytes) -> Iterator[bytes]:
        """The bytes as this pack has them. Raises ObjectDamaged, NoSuchObject."""
        table, hasher = self.tables[name], hashlib.sha256()
        place = table.find(raw)
        if place is None:
            raise NoSuchObject(f"{from_raw(raw)}: is not in pack {name.hex()}")
        try:
            for chunk in object_chunks(
                table.pieces,
                place,
                lambda _, piece: decode_piece(piece, self.store.packs.read(name, piece.offset, piece.stored)),
            ):
                hasher.update(chunk)
                yield chunk
        except FormatError as exc:
            raise ObjectDamaged(f"{from_raw(raw)}: {exc.message}") from exc
        if hasher.digest() != raw:
            raise ObjectDamaged(f"{from_raw(raw)}: damaged in pack {name.hex()}")

    def copy(self, raw: bytes, name: bytes, writer: PackWriter) -> None:
        """Into a pack that is being written; nothing of it stays when it is damaged."""
        table = self.tables[name]
        place = table.find(raw)
        if place is None:
            raise NoSuchObject(f"{from_raw(raw)}: is not in pack {name.hex()}")
        about = [subject for subject, attestation in table.iter_subjects() if attestation == raw]
        write(writer, raw, place.kind, place.length, about, self.chunks(raw, name))


def copy_from(source: Store, raw: bytes, writer: PackWriter) -> None:
    """One object of another store. Raises NoSuchObject, ObjectDamaged."""
    digest = from_raw(raw)
    located = source.catalog.locate(raw)
    if located is None:
        raise NoSuchObject(f"{digest}: is not in {source.url} either")
    table, _ = source.packs.table(located.pack)
    about = [subject for subject, attestation in table.iter_subjects() if attestation == raw]
    write(writer, raw, located.place.kind, located.place.length, about, source.chunks(digest))


def write(writer: PackWriter, raw: bytes, kind: int, length: int, about: list[bytes], chunks: Iterator[bytes]) -> None:
    """One object whose chunks verify themselves."""
    if about or length <= SOLO or kind == Kind.ATTESTATION:
        writer.add(raw, b"".join(chunks), kind, about)
        return
    run = writer.begin_run(kind)
    try:
        for chunk in chunks:
            run.write(chunk)
    except BaseException:
        run.rollback()
        raise
    run.commit(raw)
