"""Entries kept in the local index, so that a replay needs no request per entry.

Correctness never depends on it: `log` checks the chain of what comes out, and that the last
row is what the storage holds. A cache that cannot be read or written is an empty one.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from typing import Protocol, cast

from casstore.errors import NotWritable, StoreDamaged
from casstore.index.rows import IndexDoubt


class MetaTable(Protocol):
    """The part of the local index that is used."""

    def meta_put(self, items: Iterable[tuple[bytes, bytes]]) -> None:
        """Keep rows."""

    def meta_scan(self, prefix: bytes) -> list[tuple[bytes, bytes]]:
        """Rows whose keys start with a prefix, sorted."""


class IndexHolder(Protocol):
    """A store; its index may be replaced by a new one at any time."""

    @property
    def index(self) -> MetaTable:
        """The present index."""


class EntryCache:
    """Keeps nothing: every entry is read from the storage."""

    def load(self) -> Sequence[bytes]:
        """Bytes of the entries 0, 1, ... as far as they are kept without a gap."""
        return ()

    def put(self, start: int, raws: Sequence[bytes]) -> None:
        """Keep entries from number `start` on."""


class IndexCache(EntryCache):
    """Rows `ledger/<name>/<8 bytes, big-endian>` of the index's meta table."""

    def __init__(self, holder: IndexHolder, ledger: str) -> None:
        self._holder = holder
        self._prefix = b"ledger/%s/" % ledger.encode()

    def load(self) -> Sequence[bytes]:
        """See `EntryCache.load`."""
        rows: list[bytes] = []
        with contextlib.suppress(IndexDoubt, StoreDamaged):
            for key, raw in self._holder.index.meta_scan(self._prefix):
                if key != self._key(len(rows)):
                    break
                rows.append(raw)
        return rows

    def put(self, start: int, raws: Sequence[bytes]) -> None:
        """See `EntryCache.put`."""
        with contextlib.suppress(IndexDoubt, NotWritable, StoreDamaged):
            self._holder.index.meta_put([(self._key(start + place), raw) for place, raw in enumerate(raws)])

    def _key(self, number: int) -> bytes:
        return self._prefix + number.to_bytes(8, "big")


def cache_of(store: object, ledger: str) -> EntryCache:
    """The cache that this store offers."""
    return IndexCache(cast("IndexHolder", store), ledger) if hasattr(store, "index") else EntryCache()
