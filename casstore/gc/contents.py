"""All packs that lie in a store, read without the index: which objects, where, how old. A listing.

The collector judges by the packs' own tables and never by the index, which may lag or know
doomed packs no more. Every read is verified.

    found = Contents.load(store)
    found.read(raw_digest)
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import field

from attest.core.values import dataclass
from attest.digests import from_raw
from attest.errors import FormatError
from casstore.errors import NoSuchObject, ObjectDamaged, StoreDamaged
from casstore.objects.kinds import Kind
from casstore.objects.pack_format import PackTable, Place
from casstore.objects.pack_reader import decode_piece, object_chunks
from casstore.objects.packs import LocalPacks, Packs
from casstore.store.store import Store

_TREE_LIMIT = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class PackInfo:
    """One pack; `age` in seconds by its file's time, None where the storage tells none."""

    name: bytes
    table: PackTable
    size: int
    age: float | None


@dataclass(slots=True)
class Contents:
    """See the module; `more` holds further copies of an object."""

    packs: Packs
    found: dict[bytes, PackInfo] = field(default_factory=dict)
    first: dict[bytes, bytes] = field(default_factory=dict)
    more: dict[bytes, list[bytes]] = field(default_factory=dict)
    kinds: dict[bytes, set[int]] = field(default_factory=dict)
    """What is no plain blob, as what it was stored."""
    about: dict[bytes, set[bytes]] = field(default_factory=dict)
    """Subject -> attestations."""

    @staticmethod
    def load(store: Store, now: float, before: Mapping[bytes, PackInfo] | None = None) -> Contents:
        """Read every pack's table, but for those read before. Raises StoreDamaged: then nothing may be collected."""
        contents, known = Contents(store.packs), before or {}
        for name in sorted(store.packs.names()):
            contents.add(name, now, known.get(name))
        return contents

    def add(self, name: bytes, now: float, known: PackInfo | None = None) -> None:
        """Take a pack in; one that went away meanwhile is left out. Raises StoreDamaged."""
        try:
            table, size = (known.table, known.size) if known else self.packs.table(name)
        except NoSuchObject:
            return
        except FormatError as exc:
            raise StoreDamaged(
                f"pack {name.hex()}: {exc.message}; nothing is collected while what it holds cannot be known",
                hint="copy the pack back from another copy of the store, then: casstore fsck",
            ) from exc
        self.found[name] = PackInfo(name, table, size, _age(self.packs, name, now))
        for raw, kind, *_ in table.iter_objects():
            if self.first.setdefault(raw, name) != name:
                self.more.setdefault(raw, []).append(name)
            if kind != Kind.BLOB:
                self.kinds.setdefault(raw, set()).add(kind)
        for subject, raw in table.iter_subjects():
            self.about.setdefault(subject, set()).add(raw)

    def packs_of(self, raw: bytes) -> list[bytes]:
        """The packs that hold the object."""
        first = self.first.get(raw)
        return [] if first is None else [first, *self.more.get(raw, ())]

    def place(self, raw: bytes, name: bytes) -> Place:
        """Where it lies in this pack."""
        place = self.found[name].table.find(raw)
        if place is None:
            raise NoSuchObject(f"{from_raw(raw)}: is not in pack {name.hex()}")
        return place

    def is_tree(self, raw: bytes) -> bool:
        """Whether it was stored as a folder."""
        return Kind.TREE in self.kinds.get(raw, ())

    def is_attestation(self, raw: bytes) -> bool:
        """Whether it was stored as an attestation."""
        return Kind.ATTESTATION in self.kinds.get(raw, ())

    def chunks(self, raw: bytes, name: bytes) -> Iterator[bytes]:
        """The bytes as this pack has them; raises ObjectDamaged at the end when they are others."""
        table, hasher = self.found[name].table, hashlib.sha256()
        try:
            for chunk in object_chunks(
                table.pieces,
                self.place(raw, name),
                lambda _, piece: decode_piece(piece, self.packs.read(name, piece.offset, piece.stored)),
            ):
                hasher.update(chunk)
                yield chunk
        except FormatError as exc:
            raise _damaged(raw, name) from exc
        if hasher.digest() != raw:
            raise _damaged(raw, name)

    def read(self, raw: bytes) -> bytes:
        """The verified bytes of any copy. Raises NoSuchObject, ObjectDamaged."""
        names = self.packs_of(raw)
        for number, name in enumerate(names):
            try:
                if self.place(raw, name).length <= _TREE_LIMIT:
                    return b"".join(self.chunks(raw, name))
            except (ObjectDamaged, NoSuchObject):
                if number == len(names) - 1:
                    raise
        raise NoSuchObject(f"{from_raw(raw)}: no such object in this store")


def _age(packs: Packs, name: bytes, now: float) -> float | None:
    if not isinstance(packs, LocalPacks):
        return None
    try:
        return now - os.stat(packs.path(name)).st_mtime
    except OSError:
        return 0.0


def _damaged(raw: bytes, name: bytes) -> ObjectDamaged:
    return ObjectDamaged(
        f"{from_raw(raw)}: damaged in pack {name.hex()}; nothing was collected",
        hint="see casstore fsck; copy that pack back from another copy of the store",
    )
