"""Seal a ledger: sign what it adds up to, as its next entry, at that very number.

When another writer takes the number, the state is another one and the seal is made anew. The
leaves and nodes of the state that the last seal had not are kept in the store, where the others lie
since then, so that publications can show rows of it.

    entry, state = seal(store, ledger, state, signer=ledger_key, now=now)
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from attest.digests import Digest
from attest.errors import PolicyDenied
from attest.signers import Signer
from attest.statements import statements
from attest.statements.predicates import seal as seals
from attest.statements.predicates.seal import Seal
from attest.trust.trust_roots import RULES
from casstore.ledger import sealed_states
from casstore.ledger.book.log import Ledger, LedgerStore
from casstore.ledger.commit import check_settled
from casstore.ledger.entries import EntryKind
from casstore.ledger.folding import replay, replay_whole
from casstore.ledger.rules import Reader, bounded, judge
from casstore.ledger.rules.reader import judged_at
from casstore.ledger.rules.seals import sealed_by
from casstore.ledger.states.rows import tries_of
from casstore.ledger.states.state import LedgerState, ObjectReader
from casstore.ledger.states.state_tries import StateTries
from casstore.objects.kinds import Kind, NewObject

_PAUSE = 0.02
_random = secrets.SystemRandom()


class SealStore(LedgerStore, ObjectReader, Protocol):
    """What is needed of a store."""

    def put_many(self, items: Sequence[NewObject]) -> list[Digest]:
        """Keep several objects with one commit."""


def seal(
    store: SealStore, ledger: Ledger, *, signer: Signer, now: datetime, sigstore_root: bytes | None = None
) -> LedgerState:
    """The state after a seal that holds and is the newest entry. Raises PolicyDenied, SealDisputed."""
    reader, losses, now = Reader(store, sigstore_root), 0, now.replace(microsecond=0)
    state = replay_whole(ledger, store, sigstore_root=sigstore_root)
    while state.sealed is None or state.sealed.number != state.count - 1:
        check_settled(state, EntryKind.SEAL)
        require_role(state, signer, now)
        ended = bounded(state, now, reader)
        statement = _signed(store, ended, tries_of(ended), signer, now)
        entry = ledger.place(ledger.draft(EntryKind.SEAL, statement, now=now))
        if entry.number == state.count:
            after = judge(state, entry, reader)
            if ledger.offer(entry):
                if sealed_states.is_due(None if state.sealed is None else state.sealed.number, entry.number):
                    sealed_states.keep(ledger.storage, after)
                return after
        losses += 1
        time.sleep(_random.uniform(0, _PAUSE * min(losses, 8)))
        state = replay(ledger, store, state, sigstore_root=sigstore_root)
    return state


def _signed(store: SealStore, state: LedgerState, made: StateTries, signer: Signer, now: datetime) -> Digest:
    root = state.require_trust_root()
    claim = Seal(
        store=state.store,
        ledger=state.ledger,
        rules=RULES,
        size=state.count,
        tip=state.tip,
        time=now,
        trust_root=root.digest,
        trust_root_version=root.version,
        state=made.state_root,
        full=made.full_root,
        before=state.sealed.number if state.sealed else None,
        floor=(floor := sealed_by(state, state.count, now).time),
        long=state.is_long(floor),
    )
    raw = signer.sign_statement(statements.of_digests(claim.subjects, seals.TYPE, claim.to_json()).to_bytes())
    blobs = [NewObject(data) for _, data in sorted(made.new_blobs().items())]
    return store.put_many([*blobs, NewObject(raw, Kind.ATTESTATION, tuple(sorted(claim.subjects.values())))])[-1]


def require_role(state: LedgerState, signer: Signer, now: datetime) -> None:
    """Raises PolicyDenied for a key that may not seal."""
    root = state.require_trust_root()
    if "ledger" not in root.roles_of(signer.identity, judged_at(state, now)):
        raise PolicyDenied(
            "this key has not the role ledger, its seals and checkpoints would count for nobody",
            hint=f"one of them must sign: {', '.join(root.holders('ledger')) or 'nobody has the role'}",
        )
