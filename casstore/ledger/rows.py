"""A ledger's state as rows, and the two tries over them that a seal names (docs/formats/state.md).

Promises: the rows follow from the state alone, so every reader has the same roots; a trie is
changed where rows changed since it was made last. Leaves to others: who signs the roots.

    made = Tries().of(state)
    made.state.root, made.full.root
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from attest.core import times
from attest.log import state_trie
from attest.log.state_trie import Trie
from attest.trust.trust_roots import RULES
from casstore.ledger.state import LedgerState
from casstore.ledger.views import ChannelState

_HEADS = ("promote", "rollback")
Rows = dict[str, Any]


@dataclass(frozen=True, slots=True)
class StateTries:
    """Both tries; `blobs` of each are all its leaves and nodes."""

    state: Trie
    full: Trie


@dataclass(slots=True)
class _Kept:
    """A trie that is kept up to date with rows."""

    rows: Rows = field(default_factory=dict)
    trie: Trie | None = None

    def to(self, rows: Rows) -> Trie:
        if self.trie is None:
            self.trie = state_trie.build(rows)
        else:
            changes = {name: value for name, value in rows.items() if self.rows.get(name) != value}
            gone = frozenset(self.rows.keys() - rows.keys())
            before = self.trie.blobs
            made = state_trie.change(self.trie.root, before.__getitem__, changes, gone)
            self.trie = Trie(made.root, {**before, **made.blobs})
        self.rows = rows
        return self.trie


@dataclass(slots=True)
class Tries:
    """Makes the tries of states that follow each other."""

    _state: _Kept = field(default_factory=_Kept)
    _full: _Kept = field(default_factory=_Kept)

    def of(self, state: LedgerState) -> StateTries:
        """The tries of a state."""
        rows = state_rows(state)
        return StateTries(self._state.to(rows), self._full.to({**rows, **full_rows(state)}))


def state_rows(state: LedgerState) -> Rows:
    """What consumers ask."""
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
    return rows | {f"void/{number}": {"code": code} for number, code in state.codes.items()}


def full_rows(state: LedgerState) -> Rows:
    """What a writer needs beside them."""
    rows: Rows = {f"version/{version}": {"release": digest} for version, digest in state.versions.items()}
    for digest, info in state.releases.items():
        rows[f"release/{digest}"] = {"builder": info.builder, "entry": info.number, "version": info.version}
    for (version, name), tree in state.components.items():
        statement = state.component_statements[version, name]
        rows[f"component/{version}/{name}"] = {"statement": statement, "tree": tree}
    rows |= {f"evidence/{subject}": {"attestations": list(of)} for subject, of in state.evidence.items()}
    for attestation, record in state.recorded.items():
        time, under = times.format(record.at), record.trust_root.version
        ends = {} if record.ends is None else {"ends": times.format(record.ends)}
        rows[f"recorded/{attestation}"] = {"entry": record.number, "time": time, "trustRoot": under, **ends}
    if state.sealed is not None:
        older = times.format(state.sealed.older) if state.sealed.older else None
        clocks = [[number, times.format(clock)] for number, clock in state.sealed.clocks]
        rows["clocks"] = {"older": older, "seals": clocks}
    for pack, condemned in state.condemned.items():
        rows[f"condemned/{pack}"] = {"entry": condemned.number, "until": times.format(condemned.until)}
    return rows | {f"condemned/{pack}": {"entry": None, "until": None} for pack in state.given_up}


def _channel(found: ChannelState) -> Mapping[str, Any]:
    head = found.history[-1]
    brought = next(move for move in reversed(found.history) if move.kind in _HEADS)
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
