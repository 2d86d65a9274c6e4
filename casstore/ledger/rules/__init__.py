"""When an entry holds: one rule per kind (the table in docs/formats/ledger-entry.md).

A rule takes the state before, an entry and a reader of the stored bytes; it returns the state
after, or raises why the entry is void. Missing or damaged bytes are no reason to call an entry
void: they stop everything.

    state = step(state, entry, reader)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from attest.errors import BadInput, CasstoreError, FormatError, PolicyDenied, TrustError, VerificationError
from casstore.errors import Conflict, SealDisputed, StoreDamaged
from casstore.ledger.entries import Entry, EntryKind
from casstore.ledger.rules import collections, content, moves, publications, seals, trust
from casstore.ledger.rules.reader import Reader
from casstore.ledger.state import LedgerState
from casstore.ledger.views import Dispute

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
    EntryKind.SEAL: seals.seal,
}

_CODES: tuple[tuple[type[CasstoreError], str], ...] = (
    (SealDisputed, "seal"),
    (TrustError, "signer"),
    (VerificationError, "statement"),
    (FormatError, "format"),
    (BadInput, "format"),
    (PolicyDenied, "policy"),
    (Conflict, "conflict"),
)
"""What makes an entry void; nothing else does."""
_VOID = tuple(kind for kind, _ in _CODES)


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
        return _without(state, entry, exc)
    except CasstoreError:
        raise
    except Exception as exc:
        raise StoreDamaged(
            f"ledger {state.ledger}: entry {entry.number} cannot be judged: {type(exc).__name__}: {exc}",
            hint="this is a bug of casstore: report it; nothing after this entry is believed",
        ) from exc


def _without(state: LedgerState, entry: Entry, exc: CasstoreError) -> LedgerState:
    """The state after a void entry."""
    code = next(code for kind, code in _CODES if isinstance(exc, kind))
    if isinstance(exc, SealDisputed) and state.disputed is None:
        state = replace(state, disputed=Dispute(*exc.dispute))
    void, codes = (*state.void, (entry.number, exc.message)), {**state.codes, entry.number: code}
    return replace(state, void=void, codes=codes, count=entry.number + 1, tip=entry.digest)
