"""When what a channel holds may be installed no more, and nothing better is there: that is published, at once.

Promises: a withdrawal takes away and never adds, so it needs no approval, no evidence and no archive: the record says
so, the revocations are in the ledger proof, and the sealed state shows that the channel still names this move.
Leaves to others: how it is recorded (`publication`), how a consumer is told (`consuming.verification`).

    because(store, state, history, "prod", now)       # (44,): what took it away; () while it may be installed
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from attest.digests import Digest
from attest.errors import PolicyDenied, VerificationError
from bundlers.publishing.layout import published_paths
from bundlers.publishing.layout.records import ChannelRecord
from bundlers.publishing.proofs import absence, channel_proof, gathering, proof_gathering
from bundlers.publishing.proofs.channel_proof import History
from bundlers.publishing.proofs.gathering import Gathered, ReadStore
from bundlers.publishing.proofs.ways import way
from casstore.errors import Conflict
from casstore.ledger import release_objects
from casstore.ledger.rules import Reader
from casstore.ledger.rules.moves import check_not_revoked
from casstore.ledger.states import state as states
from casstore.ledger.states.state import LedgerState
from casstore.ledger.states.views import Revocation, Suspension


def because(
    store: ReadStore,
    state: LedgerState,
    history: History,
    channel: str,
    now: datetime,
    *,
    sigstore_root: bytes | None = None,
) -> tuple[int, ...]:
    """The entries that took away what the channel holds; none while it may be installed. Raises VerificationError."""
    return _because(store, state, history, channel, now, sigstore_root, canary=False)


def because_of_canary(
    store: ReadStore,
    state: LedgerState,
    history: History,
    channel: str,
    now: datetime,
    *,
    sigstore_root: bytes | None = None,
) -> tuple[int, ...]:
    """Likewise of what a share of the channel has; none where it has nothing."""
    if state.channel(channel).canary is None:
        return ()
    return _because(store, state, history, channel, now, sigstore_root, canary=True)


def _because(
    store: ReadStore,
    state: LedgerState,
    history: History,
    channel: str,
    now: datetime,
    sigstore_root: bytes | None,
    *,
    canary: bool,
) -> tuple[int, ...]:
    head = gathering.require_moved(state, channel)
    moves = absence.by_release(way(history, channel, head))[canary]
    brought = moves[0]
    release = release_objects.parse(store.read(history.release_of(brought)))
    asked = absence.leaning(history, moves, release, state.trust_roots, store.read)
    if direct := tuple(row.entry for row in state.revocations if row.name in asked.made):
        return direct
    later = [row.entry for row in state.revocations if row.name in asked.leaned_on and row.entry > brought.number]
    out = {row.identity: row.entry for row in _suspended(state, now) if row.identity in asked.leaned_on}
    why = tuple(sorted({*later, *out.values()}))
    holds = _holds(store, state, history, channel, head, frozenset(out), sigstore_root, canary=canary) if why else True
    return () if holds else why


def told(state: LedgerState, entries: tuple[int, ...]) -> str:
    """The reasons in a line."""
    rows: list[Revocation | Suspension] = [*state.revocations, *state.suspensions]
    return "; ".join(absence.told(row) for row in rows if row.entry in entries)


def _suspended(state: LedgerState, now: datetime) -> Iterator[Suspension]:
    """Who counts for nothing now, as consumers see it by their own clocks."""
    return (row for row in state.suspensions if now < row.until)


def _holds(
    store: ReadStore,
    state: LedgerState,
    history: History,
    channel: str,
    head: int,
    suspended: frozenset[str],
    sigstore_root: bytes | None,
    *,
    canary: bool,
) -> bool:
    roots = {root.digest: root for root in state.trust_roots}
    chosen = channel_proof.select(history, channel, head, roots.get, gathering.recorder(state))
    start, reader = states.start(state.store, state.ledger), Reader(store, sigstore_root)
    try:
        judged = channel_proof.judge_channel(start, history, channel, head, chosen, reader, suspended, canary=canary)
        decided = judged.canary if canary else judged.brought
        assert decided is not None  # noqa: S101 - a canary was asked for where one runs
        check_not_revoked(judged.state, judged.state.releases[history.release_of(decided)])
    except (PolicyDenied, VerificationError, Conflict):
        return False
    return True


def gather(
    into: Gathered, store: ReadStore, state: LedgerState, history: History, channel: str, why: tuple[int, ...]
) -> Digest:
    """Add the record and the sealed rows of a channel that holds nothing; returns the release that it names."""
    found, root = state.channel(channel), state.require_trust_root()
    assert found.release is not None and found.move is not None  # noqa: S101 - `because` says so
    record = ChannelRecord(
        state.store,
        state.ledger,
        channel,
        found.version,
        found.release,
        found.number,
        found.move,
        root.version,
        root.digest,
        {},
        withdrawn=why,
    )
    into.add(published_paths.channel_path(channel), record.to_bytes())
    names = absence.names_of_withdrawal(channel, state.trust_roots)
    proof_gathering.add_rows(into, store, history, channel, names, state.count)
    return found.release
