"""A witness's own copy of the ledger: all entries under a checkpoint, folded with what the feed brings.

Promises: an entry is kept only when all of them make the signed root hash, the fold holds, and each seal is what its
entries add up to; what is refused leaves the copy as it was. Leaves to others: whether the line is signed (`witness`).

    with Replica.open(memory, log) as replica:
        state = replica.follow(log, now=now)
        replica.keep()
"""

from __future__ import annotations

from datetime import datetime, timedelta
from types import TracebackType
from typing import Self

from attest.core import times
from attest.digests import Digest
from attest.errors import VerificationError
from bundlers.witnessing import histories
from bundlers.witnessing.logs import PublishedLog
from bundlers.witnessing.memory import Memory
from casstore.errors import NoSuchObject, StoreDamaged
from casstore.ledger import entries as formats
from casstore.ledger import folding
from casstore.ledger.entries import Entry
from casstore.ledger.folding import replay
from casstore.ledger.log import Ledger
from casstore.ledger.state import LedgerState
from casstore.objects.kinds import NewObject
from casstore.store.store import Store

_SKEW = timedelta(minutes=10)
LIE = "a seal that its entries do not add up to"


class _Fed:
    """The copy's objects; one that is too large for the parts is fetched when it is asked for."""

    def __init__(self, store: Store, log: PublishedLog) -> None:
        self._store, self._log, self.store_id = store, log, store.store_id

    def read(self, digest: Digest, *, max_bytes: int | None = None) -> bytes:
        try:
            return self._store.read(digest) if max_bytes is None else self._store.read(digest, max_bytes=max_bytes)
        except NoSuchObject:
            pass
        data = self._log.large(digest)
        self._store.put_bytes(data)
        return data


class Replica:
    """The copy of one ledger."""

    def __init__(self, store: Store, ledger: str, sigstore_root: bytes | None) -> None:
        self._store, self._ledger, self._sigstore_root = store, Ledger(store, ledger), sigstore_root
        self._new: list[Entry] = []

    @staticmethod
    def open(memory: Memory, log: PublishedLog, sigstore_root: bytes | None) -> Replica:
        """That of a witness's memory."""
        return Replica(memory.open_store(log.root.store), log.ledger, sigstore_root)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, at: TracebackType | None) -> None:
        self._store.close()

    def root_at(self, size: int) -> bytes:
        """The root hash over the first entries that are kept."""
        return histories.root_of_entries(self._raws()[:size])

    def _raws(self) -> list[bytes]:
        return [entry.raw for entry in self._ledger.entries()]

    def follow(self, log: PublishedLog, memory: Memory, *, now: datetime) -> LedgerState:
        """Fold up to the log's checkpoint. Raises VerificationError, SealDisputed."""
        raws = self._raws()[: log.size]
        new = log.entries(len(raws), log.size)
        if histories.root_of_entries([*raws, *new]) != log.checkpoint.root:
            raise VerificationError(
                f"{log.url}: its entries are not those of its checkpoint over {log.size} entries",
                hint="nothing was signed; ask the publisher: casstore publish CHANNEL --to NAME --repair",
            )
        for objects in log.feed(len(raws)):
            self._store.put_many([NewObject(data) for _, data in sorted(objects.items())])
        state = replay(self._ledger, self._store, sigstore_root=self._sigstore_root)
        self._new = [formats.parse(raw) for raw in new]
        try:
            state = folding.fold(state, self._new, _Fed(self._store, log), sigstore_root=self._sigstore_root)
        except (NoSuchObject, StoreDamaged) as exc:
            raise VerificationError(
                f"{log.url}: what its entries name is not published, so the ledger cannot be folded: {exc.message}",
                hint="nothing was signed; ask the publisher: casstore publish CHANNEL --to NAME --repair",
            ) from exc
        _check(state, log, memory, now)
        return state

    def keep(self) -> None:
        """The entries that were folded, durable on return."""
        for entry in self._new:
            self._ledger.offer(entry)


def _check(state: LedgerState, log: PublishedLog, memory: Memory, now: datetime) -> None:
    if state.disputed is not None:
        memory.accuse(LIE, (log.note,), now)
        raise state.disputed.error()
    sealed = state.sealed
    if sealed is None or sealed.number != log.size - 1:
        raise VerificationError(f"{log.url}: the last entry of its checkpoint is no seal that holds")
    if sealed.time > now + _SKEW:
        raise VerificationError(
            f"{log.url}: it was sealed at {times.format(sealed.time)}, this machine's clock says {times.format(now)}",
            hint="one of the two clocks is wrong; nothing was signed",
        )
    if [root.digest for root in state.trust_roots] != [root.digest for root in log.roots[: len(state.trust_roots)]]:
        raise VerificationError(f"{log.url}: its trust roots are not those of its entries")
    if gone := sorted(log.signed_by & state.out(now)):
        raise VerificationError(f"{log.url}: its checkpoint is signed by {gone[0]}, which was revoked")
