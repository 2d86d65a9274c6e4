"""Entries kept in the local index, so that a replay needs no request per entry.

Correctness never depends on it: `log` checks the chain of what comes out, and that the last
row is what the storage holds. The base class keeps nothing.
"""

from __future__ import annotations

from collections.abc import Sequence


class EntryCache:
    """Keeps nothing: every entry is read from the storage."""

    def load(self) -> Sequence[bytes]:
        """Bytes of the entries 0, 1, ... as far as they are kept without a gap."""
        return ()

    def put(self, start: int, raws: Sequence[bytes]) -> None:
        """Keep entries from number `start` on."""


def cache_of(store: object, ledger: str) -> EntryCache:  # noqa: ARG001 - rows of the index come with it
    """The cache that this store offers."""
    return EntryCache()
