"""Folds the entries of a ledger into its state, each one judged by the same rules for everybody.

`fold` is a function of a state, entries and the stored bytes that these name; it reads no clock.
Bytes that are gone or damaged stop it (StoreDamaged), because readers would disagree.

Law: fold(fold(s, a), b) == fold(s, a + b).

    state = replay(ledger, store)
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from itertools import islice

from casstore.ledger import saved_state
from casstore.ledger.book.log import Ledger
from casstore.ledger.entries import Entry
from casstore.ledger.states.state import LedgerState, ObjectReader, start


def fold(
    state: LedgerState, entries: Iterable[Entry], objects: ObjectReader, *, sigstore_root: bytes | None = None
) -> LedgerState:
    """The state after some more entries, which must follow it. Raises StoreDamaged.

    `sigstore_root` is the trusted_root.json that keyless signatures are judged by.
    """
    rest = iter(entries)
    first = next(rest, None)
    if first is None:
        return state
    from casstore.ledger import ahead, rules  # most commands find that nothing is new

    reader = rules.Reader(objects, sigstore_root)
    with closing(ahead.entries(first, rest, reader.recent, state.trust_roots)) as following:
        for entry in following:
            state = rules.step(state, entry, reader)
    return state


def replay(
    ledger: Ledger, store: ObjectReader, state: LedgerState | None = None, *, sigstore_root: bytes | None = None
) -> LedgerState:
    """The newest state; from `state` on, if one is given, else from what this handle, or this user, folded before.

    Where nobody here has folded anything, from the newest seal whose state lies in the store; `begun` says which.
    """
    return _replay(ledger, store, state, sigstore_root, believing=True)


def replay_whole(ledger: Ledger, store: ObjectReader, *, sigstore_root: bytes | None = None) -> LedgerState:
    """As `replay`, with no seal believed: for what one signs for others, proves, or takes away for good."""
    return _replay(ledger, store, None, sigstore_root, believing=False)


def _replay(
    ledger: Ledger, store: ObjectReader, state: LedgerState | None, sigstore_root: bytes | None, *, believing: bool
) -> LedgerState:
    opened, name = ledger.opener(), ledger.name

    def again(count: int) -> LedgerState:
        entries = islice(opened().entries(), count)
        return fold(start(store.store_id, name), entries, store, sigstore_root=sigstore_root)

    own, given = ledger.lies_in(store), state is not None
    if state is None and own:
        state = ledger.folded.get(sigstore_root)
        if state is None and (fields := saved_state.load(ledger, store.store_id, sigstore_root, again)):
            state = LedgerState(**fields)
        if state is not None and state.begun is not None and not believing:
            state = None
            ledger.saved.pop(sigstore_root, None)
        elif state is None and believing:
            from casstore.ledger import sealed_states

            state = sealed_states.begin(ledger, store, sigstore_root, again)
    state = state or start(store.store_id, ledger.name)
    state = fold(state, ledger.entries(state.count), store, sigstore_root=sigstore_root)
    if own:
        if not given or sigstore_root in ledger.saved:  # what lies there is known to this handle
            saved_state.keep(ledger, state, sigstore_root)
        ledger.folded[sigstore_root] = state
        _tell(ledger, store, state)
    return state


def replay_all(ledger: Ledger, store: ObjectReader, *, sigstore_root: bytes | None = None) -> LedgerState:
    """The newest state, from the first entry on: nothing that was folded before is believed."""
    return fold(start(store.store_id, ledger.name), ledger.entries(), store, sigstore_root=sigstore_root)


def _tell(ledger: Ledger, store: ObjectReader, state: LedgerState) -> None:
    """A real store must know on which packs nobody may lean; told when it changed, and once per handle."""
    follow = getattr(store, "follow", None)
    told = state.condemned, state.given_up
    if follow is not None and told != ledger.told:
        packs = dict.fromkeys(state.condemned, False) | dict.fromkeys(state.given_up, True)
        follow(state.ledger, packs, state.count)
        ledger.told = told
