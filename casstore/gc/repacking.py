"""Writes objects of packs that shall go into a new pack, every byte verified on the way.

A new pack is durable and known to the index before anything of the old ones is condemned or
given up; a crash in between leaves two copies, of which a later collection drops one.

    names = move(store, contents, wanted)
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from casstore.gc.contents import Contents
from casstore.ingest.worker import PACK_LIMIT
from casstore.objects.kinds import Kind
from casstore.objects.pack_format import SOLO, PackTable
from casstore.objects.pack_writer import PackWriter
from casstore.objects.packs import wrapped
from casstore.store.store import Store


def move(store: Store, contents: Contents, wanted: Iterable[tuple[bytes, bytes]]) -> list[bytes]:
    """Copy (object, pack that holds it) into new packs; their names. Raises ObjectDamaged, StorageUnavailable."""
    made: list[bytes] = []
    writer: PackWriter | None = None
    try:
        for raw, name in sorted(wanted, key=lambda item: (item[1], contents.place(*item).piece, item[0])):
            if writer is not None and writer.size > PACK_LIMIT:
                _end(store, writer, made)
                writer = None
            writer = writer or _begin(store)
            with wrapped(writer.path):
                _copy(contents, raw, name, writer)
        if writer is not None:
            _end(store, writer, made)
    except BaseException:
        if writer is not None:
            writer.abandon()
        raise
    return made


def _begin(store: Store) -> PackWriter:
    path = store.packs.new_path()
    with wrapped(path):
        return PackWriter(path, level=store.options.level, nonce=os.urandom(16))


def _end(store: Store, writer: PackWriter, made: list[bytes]) -> None:
    with wrapped(writer.path):
        sealed = writer.finish()
    store.packs.adopt(sealed)
    store.take_pack(sealed.name)
    made.append(sealed.name)


def _copy(contents: Contents, raw: bytes, name: bytes, writer: PackWriter) -> None:
    place, table = contents.place(raw, name), contents.found[name].table
    subjects = _subjects(table, raw) if place.kind == Kind.ATTESTATION else []
    if subjects or place.length <= SOLO:
        writer.add(raw, b"".join(contents.chunks(raw, name)), place.kind, subjects)
        return
    run = writer.begin_run(place.kind)
    try:
        for chunk in contents.chunks(raw, name):
            run.write(chunk)
    except BaseException:
        run.rollback()
        raise
    run.commit(raw)


def _subjects(table: PackTable, raw: bytes) -> list[bytes]:
    return [about for about, attestation in table.iter_subjects() if attestation == raw]
