"""Append what holds: an entry is judged on the newest state before it is created, at that very number.

When another writer takes the number, the new entries are folded in and the statement is judged
again on the state that they leave: it holds still, or the reason is raised. No void entry is
written knowingly.

    entry, state = commit(ledger, store, state, EntryKind.PROMOTE, digest, channel="prod", now=now)
"""

from __future__ import annotations

import secrets
import time
from datetime import datetime

from attest.digests import Digest
from casstore.ledger import presence
from casstore.ledger.book.log import Ledger
from casstore.ledger.entries import MOVES, Entry, EntryKind
from casstore.ledger.folding import replay
from casstore.ledger.rules import Reader, judge
from casstore.ledger.states.state import LedgerState, ObjectReader

_WAITS = MOVES | {EntryKind.PUBLISH, EntryKind.SEAL}
"""What is not written while a seal is disputed."""
_PAUSE = 0.02
_random = secrets.SystemRandom()


def commit(
    ledger: Ledger,
    store: ObjectReader,
    state: LedgerState,
    kind: EntryKind,
    statement: Digest,
    *,
    channel: str | None = None,
    now: datetime,
    sigstore_root: bytes | None = None,
) -> tuple[Entry, LedgerState]:
    """The entry and the state after it. Raises what makes it void (PolicyDenied, Conflict, ...)."""
    reader = Reader(store, sigstore_root)
    draft = ledger.draft(kind, statement, channel=channel, now=now)
    losses = 0
    while True:
        state = replay(ledger, store, state, sigstore_root=sigstore_root)
        check_settled(state, kind)
        entry = ledger.place(draft)
        with presence.looked_for(store, statement):
            after = judge(state, entry, reader)
        presence.check(store, statement, state, after)
        if ledger.offer(entry):
            return entry, after
        losses += 1
        time.sleep(_random.uniform(0, _PAUSE * min(losses, 8)))


def check_settled(state: LedgerState, kind: EntryKind) -> None:
    """Raises SealDisputed for a move, publication or seal while a seal is not settled."""
    if state.disputed is not None and kind in _WAITS:
        raise state.disputed.error()
