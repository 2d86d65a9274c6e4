"""Entries and folded states kept in the local index, so that a replay needs neither a request nor a look per entry.

Correctness never depends on it: `log` checks the chain of what comes out, and that the last
row is what the storage holds. A cache that cannot be read or written is an empty one.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Protocol, cast

from casstore.errors import NotWritable, StorageUnavailable, StoreDamaged
from casstore.index.rows import IndexDoubt
from casstore.ledger.book import seen as seen_tips
from casstore.ledger.book.seen import Seen

_UNKEPT = (IndexDoubt, NotWritable, StorageUnavailable, StoreDamaged)
"""Why nothing can be kept, a full disk too: no reason to fail."""


_NONE: Mapping[bytes, bytes] = MappingProxyType({})


class MetaTable(Protocol):
    """The part of the local index that is used."""

    def meta_put(self, items: Iterable[tuple[bytes, bytes]]) -> None:
        """Keep rows."""

    def meta_get(self, key: bytes) -> bytes | None:
        """One row."""

    def meta_swap(
        self,
        key: bytes,
        before: bytes | None,
        items: Sequence[tuple[bytes, bytes]],
        gone: Sequence[bytes],
        under: bytes,
    ) -> bool:
        """Keep rows and take others away, if the row of `key` is still `before`."""

    def meta_scan(self, prefix: bytes, start: bytes = b"") -> list[tuple[bytes, bytes]]:
        """Rows whose keys start with a prefix, sorted, from a key on."""


class IndexHolder(Protocol):
    """A store; its index may be replaced by a new one at any time."""

    @property
    def url(self) -> str:
        """Where it lies."""

    @property
    def store_id(self) -> str:
        """Which store it is."""

    @property
    def index(self) -> MetaTable:
        """The present index."""


class EntryCache:
    """Keeps nothing: every entry is read from the storage."""

    def load(self, start: int = 0) -> Sequence[bytes]:
        """Bytes of the entries from a number on, as far as they are kept without a gap."""
        return ()[start:]

    def put(self, start: int, raws: Sequence[bytes]) -> None:
        """Keep entries from number `start` on."""

    keeps = False
    """Whether anything is kept at all."""

    def load_state(self, name: bytes) -> bytes | None:
        """A saved state; whether it is to be believed is left to `saved_state`."""

    def put_state(
        self,
        name: bytes,
        data: bytes,
        *,
        before: bytes | None = None,
        rows: Mapping[bytes, bytes] = _NONE,
        gone: Sequence[bytes] = (),
    ) -> bool | None:
        """Keep a state and rows of it in place of `before`, and let rows go; not done when another lies there.

        Who knows of none before takes the place of whatever lies there, with all rows of it.
        """

    def put_rows(self, name: bytes, rows: Mapping[bytes, bytes]) -> None:
        """Put back rows that were kept with the state of that name."""

    def row(self, name: bytes, key: bytes) -> bytes | None:
        """A row that was kept with the state of that name."""

    def seen(self) -> Seen | None:
        """How far this user has seen the ledger, by what lies in the user's own folder."""

    def saw(self, seen: Seen) -> None:
        """Keep how far."""

    def told_in(self) -> str:
        """The file that says how far."""
        return ""


class IndexCache(EntryCache):
    """Rows `ledger/<name>/<8 bytes, big-endian>`, `state/ledger/<name>/<...>`, `row/...` of the index's meta table."""

    keeps = True

    def __init__(self, holder: IndexHolder, ledger: str) -> None:
        self._holder = holder
        self._place = (holder.url, holder.store_id, ledger)
        self._prefix = b"ledger/%s/" % ledger.encode()

    def load(self, start: int = 0) -> Sequence[bytes]:
        """See `EntryCache.load`."""
        rows: list[bytes] = []
        with contextlib.suppress(IndexDoubt, StoreDamaged):
            for key, raw in self._holder.index.meta_scan(self._prefix, self._key(start)):
                if key != self._key(start + len(rows)):
                    break
                rows.append(raw)
        return rows

    def put(self, start: int, raws: Sequence[bytes]) -> None:
        """See `EntryCache.put`."""
        with contextlib.suppress(*_UNKEPT):
            self._holder.index.meta_put([(self._key(start + place), raw) for place, raw in enumerate(raws)])

    def load_state(self, name: bytes) -> bytes | None:
        """See `EntryCache.load_state`."""
        with contextlib.suppress(IndexDoubt, StoreDamaged):
            return self._holder.index.meta_get(b"state/" + self._prefix + name)
        return None

    def put_state(
        self,
        name: bytes,
        data: bytes,
        *,
        before: bytes | None = None,
        rows: Mapping[bytes, bytes] = _NONE,
        gone: Sequence[bytes] = (),
    ) -> bool:
        """See `EntryCache.put_state`."""
        key, place = b"state/" + self._prefix + name, b"row/" + self._prefix + name
        new = [(place + digest, row) for digest, row in sorted(rows.items())]
        with contextlib.suppress(*_UNKEPT):
            left = [place + digest for digest in gone]
            return self._holder.index.meta_swap(key, before, [*new, (key, data)], left, place)
        return False

    def put_rows(self, name: bytes, rows: Mapping[bytes, bytes]) -> None:
        """See `EntryCache.put_rows`."""
        place = b"row/" + self._prefix + name
        with contextlib.suppress(*_UNKEPT):
            self._holder.index.meta_put([(place + digest, row) for digest, row in sorted(rows.items())])

    def row(self, name: bytes, key: bytes) -> bytes | None:
        """See `EntryCache.row`."""
        with contextlib.suppress(IndexDoubt, StoreDamaged):
            return self._holder.index.meta_get(b"row/" + self._prefix + name + key)
        return None

    def seen(self) -> Seen | None:
        """See `EntryCache.seen`."""
        return seen_tips.load(*self._place)

    def saw(self, seen: Seen) -> None:
        """See `EntryCache.saw`."""
        seen_tips.keep(*self._place, seen)

    def told_in(self) -> str:
        """See `EntryCache.told_in`."""
        return seen_tips.path_of(*self._place)

    def _key(self, number: int) -> bytes:
        return self._prefix + number.to_bytes(8, "big")


def cache_of(store: object, ledger: str) -> EntryCache:
    """The cache that this store offers."""
    return IndexCache(cast("IndexHolder", store), ledger) if hasattr(store, "index") else EntryCache()
