"""The history of a whole ledger: what its state knows is asked there, and no entry is read to find another.

What it answers is what `channel_proof.History` would find among all entries, void ones left out.

    history = ledger_history(ledger, store, state)
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Protocol

from attest.digests import Digest
from attest.errors import VerificationError
from bundlers.publishing.proofs.channel_proof import History
from casstore.ledger.book.all_entries import AllEntries
from casstore.ledger.book.log import Ledger
from casstore.ledger.entries import Entry
from casstore.ledger.states.state import LedgerState

_NUMBER = attrgetter("number")


class ReadsObjects(Protocol):
    """What is needed of a store."""

    def read(self, digest: Digest) -> bytes:
        """An object's bytes."""


class LedgerHistory(History):
    """See the module."""

    def __init__(self, entries: AllEntries, read: Callable[[Digest], bytes], state: LedgerState) -> None:
        super().__init__(entries, read, state.codes)
        self.all = entries
        self._state = state

    def by_digest(self, digest: Digest) -> Entry:
        """See `History`."""
        number = self.all.number_of(digest)
        if number is None:
            raise VerificationError(f"the ledger entry {digest} is missing")
        return self.all[number]

    def release_entry(self, release: Digest) -> int:
        """See `History`."""
        info = self._state.releases.get(release)
        if info is None:
            raise VerificationError(f"the ledger entry of release {release} is missing")
        return int(info.number)

    def last_head(self, channel: str, release: Digest, before: int) -> int | None:
        """See `History`."""
        found = self._state.channels.get(channel)
        been = None if found is None else found.been.get(release)
        if found is None or been is None:
            return None
        places = range(min(been[1], bisect_left(found.history, before, key=_NUMBER) - 1), been[0] - 1, -1)
        moves = (found.history[place] for place in places)
        return next((move.number for move in moves if move.brings and move.release == release), None)

    def next_head(self, channel: str, after: int, before: int) -> int | None:
        """See `History`."""
        found = self._state.channels.get(channel)
        if found is None:
            return None
        place = bisect_right(found.history, after, key=_NUMBER)
        move = found.after(place - 1)
        return move.number if move is not None and move.number < before else None

    @property
    def seals(self) -> Sequence[int]:
        """See `History`."""
        return self._state.seals

    def trust(self) -> frozenset[int]:
        """See `History`."""
        return frozenset(self._state.trust_entries)


def ledger_history(ledger: Ledger, store: ReadsObjects, state: LedgerState) -> LedgerHistory:
    """Of all that a ledger holds at a state of it."""
    return LedgerHistory(ledger.all_entries(), store.read, state)
