"""When an entry holds: one rule per kind (the table in docs/formats/ledger-entry.md).

A rule takes the state before, an entry and a reader of the stored bytes; it returns the state
after, or raises why the entry is void. Missing or damaged bytes are no reason to call an entry
void: they stop everything.

    state = step(state, entry, reader)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from attest.errors import BadInput, FormatError, PolicyDenied, VerificationError
from casstore.errors import Conflict, StoreDamaged
from casstore.ledger.entries import Entry, EntryKind
from casstore.ledger.rules import collections, content, moves, publications, trust
from casstore.ledger.rules.reader import Reader
from casstore.ledger.state import LedgerState

__all__ = ["Reader", "judge", "step"]

Rule = Callable[[LedgerState, Entry, Reader], LedgerState]

RULES: dict[EntryKind, Rule] = {
    EntryKind.GENESIS: trust.genesis,
    EntryKind.TRUST_ROOT: trust.next_trust_root,
    EntryKind.COMPONENT: content.component,
    EntryKind.RELEASE: content.release,
    EntryKind.EVIDENCE: content.evidence,
    EntryKind.REHEARSAL: content.rehearsal,
    EntryKind.PROMOTE: moves.promote,
    EntryKind.ROLLBACK: moves.rollback,
    EntryKind.PIN: moves.pin,
    EntryKind.UNPIN: moves.unpin,
    EntryKind.PUBLISH: publications.publish,
    EntryKind.REVOKE: trust.revoke,
    EntryKind.CONDEMN: collections.condemn,
    EntryKind.DELETE: collections.delete,
}

_VOID = (BadInput, Conflict, FormatError, PolicyDenied, VerificationError)


def judge(state: LedgerState, entry: Entry, reader: Reader) -> LedgerState:
    """The state after an entry that follows `state`. Raises why it would be void; StoreDamaged."""
    if entry.number != state.count or entry.prev != state.tip:
        raise StoreDamaged(
            f"ledger {state.ledger}: entry {entry.number} does not follow entry {state.count - 1} ({state.tip})"
        )
    after = RULES[entry.kind](state, entry, reader)
    return replace(after, count=entry.number + 1, tip=entry.digest)


def step(state: LedgerState, entry: Entry, reader: Reader) -> LedgerState:
    """The state after an entry, which keeps its place also when it is void. Raises StoreDamaged."""
    try:
        return judge(state, entry, reader)
    except _VOID as exc:
        void = (*state.void, (entry.number, exc.message))
        return replace(state, void=void, count=entry.number + 1, tip=entry.digest)
