"""The objects that a fold asks for and the copy does not have: from the feed, part by part, as far as it has come.

Promises: what nobody asked for is not kept, and what was fetched is gone after the run, however it ended: a source
without a key fills no disk for good; each object is checked by its digest; what a source withholds or damages makes no
entry void. Leaves to others: the fold (`replica`).

    with Incoming(folder, store, log, first=40) as incoming:
        incoming.reach(41)
        incoming.read(digest)
        incoming.keep()
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from functools import cached_property
from typing import Self

from attest.digests import Digest, hex_of, sha256
from attest.errors import CasstoreError
from bundlers.consuming.state import read_file
from bundlers.publishing.layout.kit_files import KitFile
from bundlers.witnessing.logs import PublishedLog
from casstore.errors import NoSuchObject, StorageUnavailable, StoreDamaged
from casstore.objects.kinds import NewObject
from casstore.storage.base import os_error
from casstore.store.store import Store

_AT_ONCE = 64
"""Objects that are put with one commit."""


class Incoming:
    """A folder of one run; an object reader for the fold. The entries before `first` were folded in an earlier run."""

    def __init__(self, folder: str, store: Store, log: PublishedLog, first: int) -> None:
        self.store_id = store.store_id
        self._folder, self._store, self._log = folder, store, log
        self._first = first
        self._tars: list[KitFile] = []
        self._asked: dict[Digest, None] = {}

    def __enter__(self) -> Self:
        shutil.rmtree(self._folder, ignore_errors=True)  # of a run that was killed
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    @cached_property
    def _coming(self) -> list[tuple[int, int]]:
        return [row for row in self._log.parts if row[1] > self._first and row[0] < self._log.size]

    @cached_property
    def _before(self) -> list[tuple[int, int]]:
        return [row for row in self._log.parts if row[1] <= self._first]

    def reach(self, number: int) -> None:
        """Fetch the parts that begin up to an entry: each part holds what no part before it did."""
        while self._coming and self._coming[0][0] <= number:
            self._fetch(self._coming.pop(0))

    def read(self, digest: Digest, *, max_bytes: int | None = None) -> bytes:
        """Bytes with this digest. Raises NoSuchObject, StoreDamaged, StorageUnavailable."""
        try:
            return self._store.read(digest) if max_bytes is None else self._store.read(digest, max_bytes=max_bytes)
        except NoSuchObject:
            pass
        try:
            data = self._fetched(digest)
        except (NoSuchObject, StoreDamaged, StorageUnavailable):
            raise
        except CasstoreError as exc:  # which a rule would take for a fault of the entry
            raise StoreDamaged(f"{self._log.url}: its feed cannot be read: {exc.message}") from exc
        self._asked[digest] = None
        return data

    def keep(self) -> None:
        """Put what was asked for into the copy."""
        asked = list(self._asked)
        for at in range(0, len(asked), _AT_ONCE):
            self._store.put_many([NewObject(self._fetched(digest)) for digest in asked[at : at + _AT_ONCE]])

    def _fetched(self, digest: Digest) -> bytes:
        if (large := read_file(self._path(digest))) is not None:
            return large
        name = f"objects/{hex_of(digest)}"
        for tar in self._all_tars():
            if name in tar.names:
                data = tar.read(name)
                if sha256(data) != digest:
                    raise StoreDamaged(f"{self._log.url}: {name} of its feed has other bytes than its name says")
                return data
        return self._fetch_large(digest)

    def _all_tars(self) -> Iterator[KitFile]:
        """Those at hand, then those of earlier runs: what was not asked for then may be now."""
        yield from reversed(self._tars)
        while self._before:
            self._fetch(self._before.pop())
            yield self._tars[-1]

    def _fetch(self, row: tuple[int, int]) -> None:
        path = os.path.join(self._folder, f"{row[0]}-{row[1]}.tar")
        _write(path, self._log.part(*row))
        self._tars.append(KitFile(path, head=False))

    def _fetch_large(self, digest: Digest) -> bytes:
        data = self._log.large(digest)
        _write(self._path(digest), data)
        return data

    def _path(self, digest: Digest) -> str:
        return os.path.join(self._folder, hex_of(digest))


def _write(path: str, data: bytes) -> None:
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(data)
    except OSError as exc:
        raise os_error(exc, path, writing=True) from exc
