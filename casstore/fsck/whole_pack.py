"""Takes a whole pack from another store, and puts packs away without losing a byte.

A damaged pack's bytes are first copied to `quarantine/`, under a name made of the pack's and
of those bytes; only then is its place given to good bytes, or left.

    if take_whole(store, source, name): ...
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager

from attest import digests
from attest.digests import Digest
from attest.errors import FormatError, TooNew
from casstore.errors import NoSuchObject
from casstore.fsck import part
from casstore.objects.pack_reader import read_table
from casstore.objects.packs import key_of, wrapped
from casstore.store.store import Store

QUARANTINE = "quarantine"
_COPY = 1024 * 1024


def take_whole(store: Store, source: Store, name: bytes) -> bool:
    """Whether the other store had the same pack, whole; it is in its place then, durable."""
    if source.packs.size(name) is None:
        return False
    with _fetched(store, source, name) as (path, digest):
        if not _is_whole(path, name):
            return False
        put_away(store, name)
        store.storage.mend(key_of(name), path, digest)
    store.packs.forget(name)
    return True


def put_away(store: Store, name: bytes) -> None:
    """Copy the bytes that are there now to `quarantine/`; no bytes, no copy."""
    if store.packs.size(name) is not None:
        with _fetched(store, store, name) as (path, digest):
            short = digest.removeprefix(digests.PREFIX)[:16]
            store.storage.put_file(f"{QUARANTINE}/{name.hex()}-{short}.pack", path, digest)


@contextmanager
def _fetched(store: Store, source: Store, name: bytes) -> Iterator[tuple[str, Digest]]:
    """A local copy of a pack's file, and what its bytes are."""
    path, hasher, offset = store.packs.new_path(), hashlib.sha256(), 0
    try:
        with wrapped(path), open(path, "xb") as file:
            while data := source.packs.read(name, offset, _COPY):
                hasher.update(data)
                file.write(data)
                offset += len(data)
        yield path, digests.from_hex(hasher.hexdigest())
    finally:
        with contextlib.suppress(OSError):
            os.unlink(path)


def _is_whole(path: str, name: bytes) -> bool:
    """Whether the file is this very pack, to its last byte."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        size = os.fstat(fd).st_size
        table = read_table(lambda offset, length: os.pread(fd, length, offset), size, name)

        def read(_: bytes, offset: int, length: int) -> bytes:
            return os.pread(fd, length, offset)

        if any(True for _ in part.whole(read, table, size)):
            return False
        return all(wrong is None for _, _, wrong in part.objects(read, table, part.in_order(table), 0, 1))
    except (FormatError, NoSuchObject, TooNew):
        return False
    finally:
        os.close(fd)
