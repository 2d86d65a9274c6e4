"""A witness's own copy of the ledger: all entries under a checkpoint, folded with what the feed brings.

Promises: an entry is kept only when all of them make the signed root hash, the fold holds, and each seal is what its
entries add up to; what is refused leaves the copy as it was. Leaves to others: whether the line is signed (`witness`).

    with Replica.open(memory, log, sigstore_root) as replica:
        state = replica.follow(now=now)
        replica.keep()
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import datetime, timedelta

from attest.core import times
from attest.errors import VerificationError
from bundlers.witnessing import histories
from bundlers.witnessing.incoming import Incoming
from bundlers.witnessing.logs import PublishedLog
from bundlers.witnessing.memory import Memory
from casstore.errors import NoSuchObject, StoreDamaged
from casstore.ledger import entries as formats
from casstore.ledger import folding
from casstore.ledger.book.log import Ledger
from casstore.ledger.entries import Entry, EntryKind
from casstore.ledger.folding import replay_whole
from casstore.ledger.states import state as states
from casstore.ledger.states.state import LedgerState
from casstore.store.store import Store

_SKEW = timedelta(minutes=10)
LIE = "a seal that its entries do not add up to"


class Replica:
    """The copy of one ledger."""

    def __init__(self, memory: Memory, store: Store, log: PublishedLog, sigstore_root: bytes | None) -> None:
        self._memory, self._store, self._log, self._sigstore_root = memory, store, log, sigstore_root
        self._ledger = Ledger(store, log.ledger)
        self._raws = [entry.raw for entry in self._ledger.entries()]
        self._new: list[Entry] = []
        self._incoming = Incoming(memory.incoming, store, log, len(self._raws))

    @staticmethod
    @contextlib.contextmanager
    def open(memory: Memory, log: PublishedLog, sigstore_root: bytes | None) -> Iterator[Replica]:
        """That of a witness's memory."""
        store = memory.open_store(log.root.store)
        try:
            replica = Replica(memory, store, log, sigstore_root)
            with replica._incoming:
                yield replica
        finally:
            store.close()

    def first(self, size: int) -> list[bytes] | None:
        """The first entries; None where fewer are kept."""
        return self._raws[:size] if size <= len(self._raws) else None

    def follow(self, *, now: datetime) -> LedgerState:
        """Fold up to the log's checkpoint. Raises VerificationError, SealDisputed."""
        log, raws = self._log, self._raws[: self._log.size]
        new = log.entries(len(raws), log.size)
        if histories.root_of_entries([*raws, *new]) != log.checkpoint.root:
            raise VerificationError(
                f"{log.url}: its entries are not those of its checkpoint over {log.size} entries",
                hint="nothing was signed; ask the publisher: casstore publish CHANNEL --to NAME --repair",
            )
        self._new = [formats.parse(raw) for raw in new]
        try:
            state = folding.fold(self._folded(), self._arriving(), self._incoming, sigstore_root=self._sigstore_root)
        except (NoSuchObject, StoreDamaged) as exc:
            raise VerificationError(
                f"{log.url}: what its entries name is not published, so the ledger cannot be folded: {exc.message}",
                hint="nothing was signed; ask the publisher: casstore publish CHANNEL --to NAME --repair",
            ) from exc
        self._check(state, now)
        return state

    def ends_in_seal(self, log: PublishedLog, state: LedgerState, now: datetime) -> bool:
        """Whether the last entry of a smaller checkpoint is a seal that held, in the state after all of them."""
        last, kept = log.size - 1, len(self._raws)
        entry = formats.parse(self._raws[last]) if last < kept else self._new[last - kept]
        held = entry.kind is EntryKind.SEAL and entry.number not in state.codes
        return held and bool(log.signed_by - state.out(now))

    def _arriving(self) -> Iterator[Entry]:
        for entry in self._new:
            self._incoming.reach(entry.number)
            yield entry

    def _folded(self) -> LedgerState:
        """What is kept; anew from the feed where rules that have changed ask for more of it."""
        with contextlib.suppress(NoSuchObject, StoreDamaged):
            return replay_whole(self._ledger, self._store, sigstore_root=self._sigstore_root)
        start, kept = states.start(self._store.store_id, self._log.ledger), map(formats.parse, self._raws)
        return folding.fold(start, kept, self._incoming, sigstore_root=self._sigstore_root)

    def keep(self) -> None:
        """The entries that were folded and what they name, durable on return."""
        self._incoming.keep()
        for entry in self._new:
            self._ledger.offer(entry)

    def _check(self, state: LedgerState, now: datetime) -> None:
        log = self._log
        if state.disputed is not None:
            if _one_meaning(state):
                self._memory.accuse(LIE, (log.note,), now)
            raise state.disputed.error()
        sealed = state.sealed
        if sealed is None or sealed.number != log.size - 1:
            raise VerificationError(f"{log.url}: the last entry of its checkpoint is no seal that holds")
        if sealed.time > now + _SKEW:
            sealed_at, told = times.format(sealed.time), times.format(now)
            raise VerificationError(
                f"{log.url}: it was sealed at {sealed_at}, this machine's clock says {told}",
                hint="one of the two clocks is wrong; nothing was signed",
            )
        if [root.digest for root in state.trust_roots] != [root.digest for root in log.roots[: len(state.trust_roots)]]:
            raise VerificationError(f"{log.url}: its trust roots are not those of its entries")
        if not log.signed_by - state.out(now):
            gone = ", ".join(sorted(log.signed_by))
            raise VerificationError(f"{log.url}: its checkpoint is signed by {gone} alone, which was revoked")


def _one_meaning(state: LedgerState) -> bool:
    """Whether everybody folds alike: without a pinned sigstore root keyless signers are judged by what one has."""
    return all(
        root.sigstore_root is not None or all(entry.public_pem is not None for entry in root.identities)
        for root in state.trust_roots
    )
