"""When an entry holds: one rule per kind (the table in docs/formats/ledger-entry.md).

In: a state, one entry, a reader. Out: the next state. Called by `casstore.ledger.folding`, and of one rule by whoever
is about to append, publish, audit or follow.

A rule takes the state before, an entry and a reader of the stored bytes; it returns the state
after, or raises why the entry is void. Missing or damaged bytes are no reason to call an entry
void: they stop everything.

    state = step(state, entry, reader)
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from attest.errors import BadInput, CasstoreError, FormatError, PolicyDenied, TrustError, VerificationError
from casstore.errors import Conflict, SealDisputed, StoreDamaged
from casstore.ledger.entries import TRUST, Entry, EntryKind
from casstore.ledger.rules import collections, content, moves, publications, seals, trust
from casstore.ledger.rules.epochs import grown
from casstore.ledger.rules.reader import Reader, judged_at
from casstore.ledger.states.state import LedgerState, changed
from casstore.ledger.states.views import Bound, Dispute

__all__ = ["Reader", "bounded", "judge", "step"]

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
    EntryKind.SUSPEND: trust.suspend,
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
    before = state
    if entry.kind is EntryKind.SEAL:
        claim, _ = seals.signed(state, entry, reader)
        before = bounded(state, claim.time, reader)
    return _placed(before, RULES[entry.kind](before, entry, reader), entry, reader)


def bounded(state: LedgerState, time: datetime, reader: Reader) -> LedgerState:
    """The state as a seal of this time ends it: its epoch folded again where the time bounds what was claimed."""
    epoch, end = state.epoch, judged_at(state, time)
    if epoch is None or state.bound is not None:
        return state
    bound = Bound(end, state.is_long(end))
    if epoch.latest <= end and not bound.long:
        return state
    again: LedgerState = changed(epoch.base(), bound=bound)
    for entry in epoch.entries:
        again = _still_void(again, entry, state) if entry.kind is EntryKind.SEAL else step(again, entry, reader)
    return changed(again, bound=None)


def _still_void(again: LedgerState, entry: Entry, first: LedgerState) -> LedgerState:
    """A seal that did not hold when it was made holds no more under another one's time."""
    why = next(why for number, why in first.void.newest() if number == entry.number)
    dispute = first.disputed if first.disputed is not None and first.disputed.number == entry.number else None
    return changed(
        again,
        void=again.void.plus((entry.number, why)),
        codes=again.codes.plus({entry.number: first.codes[entry.number]}),
        disputed=again.disputed or dispute,
        count=entry.number + 1,
        tip=entry.digest,
    )


def _placed(before: LedgerState, after: LedgerState, entry: Entry, reader: Reader) -> LedgerState:
    """The state after an entry, void or not: one more of its epoch, or the end of it."""
    trust = after.trust_entries.plus(entry.number) if entry.kind in TRUST else after.trust_entries
    epoch = after.epoch
    if before.bound is None:
        ended = after.sealed is not None and after.sealed.number == entry.number
        epoch = None if ended else grown(before, entry, reader)
    return changed(after, count=entry.number + 1, tip=entry.digest, trust_entries=trust, epoch=epoch)


def step(state: LedgerState, entry: Entry, reader: Reader) -> LedgerState:
    """The state after an entry, which keeps its place also when it is void. Raises StoreDamaged."""
    try:
        return judge(state, entry, reader)
    except _VOID as exc:
        return _placed(state, _without(state, entry, exc), entry, reader)
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
        state = changed(state, disputed=Dispute(*exc.dispute))
    return changed(
        state, void=state.void.plus((entry.number, exc.message)), codes=state.codes.plus({entry.number: code})
    )
