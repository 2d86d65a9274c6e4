"""Seals: every fold comes to the roots that were signed, step by step or at once, and a lost race makes another one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from attest.digests import sha256
from attest.errors import PolicyDenied
from attest.log import state_trie
from attest.statements.predicates import seal as seals
from casstore import promotion
from casstore.errors import StoreDamaged
from casstore.ledger import saved_state, sealing
from casstore.ledger.book.log import Ledger
from casstore.ledger.entries import EntryKind
from casstore.ledger.folding import fold, replay_all
from casstore.ledger.states import state_records
from casstore.ledger.states.rows import state_rows, tries_of
from casstore.ledger.states.state import LedgerState, start
from casstore.store.attestations import parse_unverified
from tests.support.worlds import World, signer


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World.make(str(tmp_path / "store"))


def _seal(world: World, ledger: Ledger | None = None) -> LedgerState:
    return sealing.seal(world.store, ledger or world.ledger, signer=signer("log"), now=world.now)


def _busy(world: World) -> None:
    """Some of everything, with seals between."""
    for version in ("1.0.0", "1.1.0"):
        world.release(version)
        world.to_prod(version)
        _seal(world)
        world.later()
    world.ledger.append(EntryKind.EVIDENCE, world.store.put_bytes(b"noise"), now=world.now)
    world.rollback("prod")
    world.rotate("ann")
    promotion.revoke(
        world.store, world.ledger, "1.1.0", kind="artifact", reason="leaked", signer=signer("aud"), now=world.now
    )
    world.revoke_identity("bob", reason="left")
    _seal(world)


def test_each_way_to_fold_comes_to_the_same_roots(world: World) -> None:
    _busy(world)
    state = start(world.store.store_id, "main")
    for entry in world.ledger.entries():
        before, state = state, fold(state, [entry], world.store)
        made = tries_of(before)
        assert made.state_root == state_trie.build(state_rows(before)).root
        assert made.full_root == sha256(state_records.record(before.fields()))
        if entry.kind is EntryKind.SEAL:
            claim = seals.parse(parse_unverified(world.store.read(entry.statement)).predicate)
            assert (claim.state, claim.full, claim.size) == (made.state_root, made.full_root, entry.number)
    assert state == world.state == replay_all(world.ledger, world.store)
    assert state.sealed is not None and state.sealed.number == state.count - 1
    assert list(state.codes.values()) == ["format"]


def test_rows_of_a_busy_line(world: World) -> None:
    _busy(world)
    rows, state = state_rows(world.state), world.state
    assert rows["channel/prod"]["move"]["kind"] == "rollback" and rows["channel/prod"]["version"] == "1.0.0"
    assert rows[f"revoked/{state.versions['1.1.0']}"]["kind"] == "artifact"
    assert rows[f"revoked/{signer('bob').identity}"]["kind"] == "identity"
    assert rows["root/2"]["digest"] == state.require_trust_root().digest and "root/3" not in rows
    assert rows[f"identity/{signer('ann').identity}"]["ended"] == rows["root/2"]["entry"]
    assert rows[f"identity/{signer('ann#2').identity}"] == {
        "ended": None,
        "first": rows["root/2"]["entry"],
        "names": ["ann"],
    }
    assert {name: row for name, row in rows.items() if name.startswith("void/")} == {
        f"void/{number}": {"code": "format"} for number in state.codes
    }


def not_again(_: int) -> LedgerState:
    raise AssertionError("every row is there")


def test_a_saved_state_keeps_seal_and_codes(world: World) -> None:
    _busy(world)
    fields = world.state.fields()
    body = saved_state.encode(fields, "code", None)
    rows = saved_state.SavedRows(
        "main", saved_state.rows_of(world.state).get, lambda start, *_: world.ledger.entries(start), not_again, dict
    )
    found = saved_state.decode(body, "code", None, world.store.store_id, rows)
    assert found is not None and LedgerState(**found[0]) == world.state
    assert tries_of(LedgerState(**found[0])).full_root == tries_of(world.state).full_root


def test_an_entry_between_makes_another_seal(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.release("1.0.0")
    ledger, offer, rivals = world.ledger, Ledger.offer, ["first"]

    def late(self: Ledger, entry: Any) -> bool:
        if self is ledger and rivals:
            rivals.clear()
            world.promote("1.0.0", "dev")
        return offer(self, entry)

    monkeypatch.setattr(Ledger, "offer", late)
    state = _seal(world, ledger)
    kinds = [entry.kind for entry in world.ledger.entries()][-2:]
    assert kinds == [EntryKind.PROMOTE, EntryKind.SEAL] and state.void == ()
    assert _seal(world).count == state.count, "a sealed ledger is not sealed again"


def test_only_the_ledger_role_seals(world: World) -> None:
    with pytest.raises(PolicyDenied, match="has not the role ledger"):
        sealing.seal(world.store, world.ledger, signer=signer("pam"), now=world.now)


def test_whatever_else_goes_wrong_stops_the_fold(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from casstore.ledger import rules

    def broken(*_: object) -> LedgerState:
        raise KeyError("a bug")

    monkeypatch.setitem(rules.RULES, EntryKind.GENESIS, broken)
    with pytest.raises(StoreDamaged, match="entry 0 cannot be judged: KeyError") as caught:
        replay_all(world.ledger, world.store)
    assert caught.value.exit_code == 7


def test_a_seal_of_another_place_is_void_and_disputes_nothing(world: World) -> None:
    state = _seal(world)
    entry = list(world.ledger.entries())[-1]
    again = world.store.read(entry.statement)
    assert "another place" in world.force(EntryKind.SEAL, again)
    assert world.state == replace(
        state, count=state.count + 1, tip=world.state.tip, void=world.state.void, codes=world.state.codes
    )
