"""A ledger's state as rows, and the two tries over them that a seal names (docs/formats/state.md).

Promises: the rows follow from the state alone, so every reader has the same roots; from the state that the
last seal stands for only what changed is made anew. Leaves to others: who signs the roots.

    made = tries_of(state)
    made.state_root, made.full_root
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from attest.core import times
from attest.digests import Digest
from attest.judging.decisions import Record
from attest.trust.trust_roots import RULES
from casstore.ledger.row_trie import Trie
from casstore.ledger.state import LedgerState
from casstore.ledger.state_tries import SealedForm, StateTries
from casstore.ledger.tables import Table
from casstore.ledger.views import ChannelState, ReleaseInfo

Rows = dict[str, Any]


def tries_of(state: LedgerState) -> StateTries:
    """The tries of a state, from those of the last seal that held."""
    before = state.tries
    if before is None:
        tries, empty = (Trie(SealedForm()), Trie(SealedForm())), None
    else:
        tries, empty = (before.state, before.full), before.of
    shown, gone = _changes(state, empty, _few_state_rows, _STATE_TABLES)
    more, lost = _changes(state, empty, _few_full_rows, _FULL_TABLES)
    return StateTries(state, tries[0].changed(shown, gone), tries[1].changed({**shown, **more}, [*gone, *lost]))


def kept(made: StateTries) -> StateTries:
    """As the state after the seal has it: without what came before."""
    return replace(made, of=replace(made.of, tries=None, epoch=None, bound=None))


_RowOf = Callable[[LedgerState, Any], Any]


def _changes(
    state: LedgerState,
    before: LedgerState | None,
    few: Callable[[LedgerState], Rows],
    tables: Mapping[str, tuple[str, _RowOf]],
) -> tuple[Rows, list[str]]:
    """(rows that are new or others, names of rows that are gone) since a state."""
    rows, olds = few(state), few(before) if before is not None else {}
    shown = {name: value for name, value in rows.items() if name not in olds or olds[name] != value}
    gone = [name for name in olds if name not in rows]
    for field, (prefix, row) in tables.items():
        table: Table[Any, Any] = getattr(state, field)
        keys = table if before is None else table.changed(getattr(before, field))
        for key in keys:
            name = prefix + _told(key)
            if key in table:
                shown[name] = row(state, key)
            else:
                gone.append(name)
    return shown, gone


def _told(key: Any) -> str:
    return "/".join(key) if isinstance(key, tuple) else str(key)


def _component(state: LedgerState, key: tuple[str, str]) -> Any:
    return {"statement": state.component_statements[key], "tree": state.components[key]}


def _release(state: LedgerState, key: Digest) -> Any:
    info: ReleaseInfo = state.releases[key]
    return {"builder": info.builder, "entry": info.number, "version": info.version}


def _record(state: LedgerState, key: Digest) -> Any:
    record: Record = state.recorded[key]
    ends = {} if record.ends is None else {"ends": times.format(record.ends)}
    row = {"entry": record.number, "time": times.format(record.at), "trustRoot": record.trust_root.version}
    return {**row, **ends}


_STATE_TABLES: Mapping[str, tuple[str, _RowOf]] = {
    "codes": ("void/", lambda state, key: {"code": state.codes[key]}),
}
_FULL_TABLES: Mapping[str, tuple[str, _RowOf]] = {
    "versions": ("version/", lambda state, key: {"release": state.versions[key]}),
    "releases": ("release/", _release),
    "components": ("component/", _component),
    "component_statements": ("component/", _component),
    "evidence": ("evidence/", lambda state, key: {"attestations": list(state.evidence[key])}),
    "recorded": ("recorded/", _record),
}


def state_rows(state: LedgerState) -> Rows:
    """What consumers ask."""
    return _changes(state, None, _few_state_rows, _STATE_TABLES)[0]


def full_rows(state: LedgerState) -> Rows:
    """What a writer needs beside them."""
    return _changes(state, None, _few_full_rows, _FULL_TABLES)[0]


def _few_full_rows(state: LedgerState) -> Rows:
    rows: Rows = {}
    if state.sealed is not None:
        older = times.format(state.sealed.older) if state.sealed.older else None
        clocks = [[number, times.format(clock)] for number, clock in state.sealed.clocks]
        rows["clocks"] = {"older": older, "seals": clocks}
    for pack, condemned in state.condemned.items():
        rows[f"condemned/{pack}"] = {"entry": condemned.number, "until": times.format(condemned.until)}
    return rows | {f"condemned/{pack}": {"entry": None, "until": None} for pack in state.given_up}


def _few_state_rows(state: LedgerState) -> Rows:
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
    return {
        "brought": {"digest": brought.entry, "number": brought.number},
        "move": {"digest": head.entry, "kind": head.kind, "number": head.number},
        "pinned": found.pinned,
        "release": found.release,
        "version": found.version,
    }


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
