"""A ledger's state as the rows that consumers ask, and what a seal names of it (docs/formats/state.md).

Promises: the rows follow from the state alone, so every reader has the same roots; from the state that the
last seal stands for only what changed is made anew. Leaves to others: who signs the roots.

    made = tries_of(state)
    made.state_root, made.full_root
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from attest.core import times
from attest.digests import Digest, sha256
from attest.trust.trust_roots import RULES
from casstore.ledger.states import state_records
from casstore.ledger.states.channel_states import ChannelState, Move
from casstore.ledger.states.row_trie import Trie
from casstore.ledger.states.state import LedgerState, changed
from casstore.ledger.states.state_tries import SealedForm, StateTries

Rows = dict[str, Any]


def tries_of(state: LedgerState) -> StateTries:
    """The tries of a state, from those of the last seal that held."""
    before = state.tries
    if before is None:
        trie, empty = Trie(SealedForm()), None
    else:
        trie, empty = before.state, before.of
    full = sha256(state_records.record(state.fields()))
    return StateTries(state, trie.changed(*_changes(state, empty)), full)


def kept(made: StateTries) -> StateTries:
    """As the state after the seal has it: without what came before."""
    return replace(made, of=changed(made.of, tries=None, epoch=None, bound=None))


def state_rows(state: LedgerState) -> Rows:
    """What consumers ask."""
    return _changes(state, None)[0]


def _changes(state: LedgerState, before: LedgerState | None) -> tuple[Rows, list[str]]:
    """(rows that are new or others, names of rows that are gone) since a state."""
    rows, olds = _few_rows(state), _few_rows(before) if before is not None else {}
    shown = {name: value for name, value in rows.items() if name not in olds or olds[name] != value}
    gone = [name for name in olds if name not in rows]
    for number in state.codes if before is None else state.codes.changed(before.codes):
        if number in state.codes:
            shown[f"void/{number}"] = {"code": state.codes[number]}
        else:
            gone.append(f"void/{number}")
    return shown, gone


def _few_rows(state: LedgerState) -> Rows:
    """Those of which there are few, or that no table holds."""
    rows: Rows = {"line": {"rules": RULES, "seal": None, "floor": None, "healed": list(state.healed)}}
    if state.sealed is not None:
        rows["line"] |= {"seal": state.sealed.number, "floor": times.format(state.sealed.time)}
    rows |= {f"channel/{name}": _channel(found) for name, found in state.channels.items() if found.history}
    for revoked in reversed(state.revocations):  # the first one counts
        for name in (revoked.name, *revoked.holders):
            rows[f"revoked/{name}"] = {"entry": revoked.entry, "kind": revoked.kind}
    for name in state.limited.keys() - state.revoked:
        rows[f"revoked/{name}"] |= {"from": state.limited[name]}
    for row in state.suspensions:  # the last one counts
        rows[f"suspended/{row.identity}"] = {"entry": row.entry, "until": times.format(row.until)}
    for root, number in zip(state.trust_roots, state.trust_root_entries, strict=True):
        rows[f"root/{root.version}"] = {"digest": root.digest, "entry": number}
    rows |= dict(_identities(state))
    for name, of in state.publications.items():
        rows[f"destination/{name}"] = {"entry": of[-1].entry, "number": of[-1].number, "record": of[-1].statement}
    return rows


def _channel(found: ChannelState) -> Mapping[str, Any]:
    head = found.history[-1]
    brought = found.head or head
    canary = found.canary_moves
    beside = {} if not canary else {"canary": canary_row(*_began(canary))}
    return {
        **beside,
        "brought": {"digest": brought.entry, "number": brought.number},
        "move": {"digest": head.entry, "kind": head.kind, "number": head.number},
        "pinned": found.pinned,
        "release": found.release,
        "version": found.version,
    }


def _began(canary: Sequence[Move]) -> tuple[Digest, int, Digest, str, int | None]:
    first, last = canary[0], canary[-1]
    return first.entry, first.number, last.release, last.version, last.share


def canary_row(began: Digest, number: int, release: Digest, version: str, share: int | None) -> Mapping[str, Any]:
    """A canary as the row of its channel has it."""
    return {"began": {"digest": began, "number": number}, "release": release, "share": share, "version": version}


def _identities(state: LedgerState) -> Iterator[tuple[str, Any]]:
    names: dict[str, set[str]] = {}
    first: dict[str, int] = {}
    ended: dict[str, int | None] = {}
    for root, number in zip(state.trust_roots, state.trust_root_entries, strict=True):
        there = {entry.identity for entry in root.identities}
        for holder in root.identities:
            names.setdefault(holder.identity, set()).add(holder.name)
            first.setdefault(holder.identity, number)
            ended[holder.identity] = None
        ended |= {identity: number for identity, end in ended.items() if end is None and identity not in there}
    for identity, known in names.items():
        yield f"identity/{identity}", {"ended": ended[identity], "first": first[identity], "names": sorted(known)}
