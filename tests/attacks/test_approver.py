"""One approver of two: what one key alone cannot be made to count for."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from attest.errors import CasstoreError, PolicyDenied
from attest.statements import statements
from attest.statements.predicates import approval
from casstore import promotion
from casstore.errors import MoveDenied
from casstore.ledger.entries import EntryKind
from casstore.ledger.release_diffs import release_diff
from tests.support.worlds import World, identity, signer


@pytest.fixture
def world(tmp_path: Path) -> World:
    """1.0.0 is in staging; prod asks for two approvals."""
    made = World.make(str(tmp_path / "store"))
    made.release("1.0.0")
    made.to_staging("1.0.0")
    return made


def _grant(world: World, **changes: object) -> bytes:
    """An approval by ann, as she likes."""
    state, info = world.state, world.state.find_release("1.0.0")
    claim = approval.Approval(
        store=state.store,
        ledger="main",
        action="promote",
        channel="prod",
        from_move=None,
        diff=release_diff(world.store, None, info.digest).digest,
        expires=world.now + timedelta(days=7),
        id="00" * 16,
        comment="",
    )
    said = replace(claim, **changes).to_json()  # type: ignore[arg-type]
    return signer("ann").sign_statement(statements.of_digests({"release": info.digest}, approval.TYPE, said).to_bytes())


def _refused(world: World, have: int) -> None:
    with pytest.raises(MoveDenied, match=f"{have} of 2 approvals"):
        world.promote("1.0.0", "prod")


def test_one_person_is_one_however_often_they_sign(world: World) -> None:
    for number in range(3):
        world.append(EntryKind.EVIDENCE, _grant(world, id=f"{number:032x}"))
    raw = _grant(world)
    world.append(EntryKind.EVIDENCE, json.dumps(json.loads(raw), indent=2).encode())
    _refused(world, 1)


def test_one_key_under_two_names_is_one(world: World) -> None:
    root = world.state.require_trust_root()
    second = replace(identity("ann"), name="anna")
    roles = {**root.roles, "approver": replace(root.roles["approver"], identities=("ann", "anna", "bob"))}
    world.next_root(identities=(*root.identities, second), roles=roles)
    world.append(EntryKind.EVIDENCE, _grant(world))
    _refused(world, 1)


@pytest.mark.parametrize(
    "changes",
    [
        {"channel": "staging"},
        {"action": "rollback"},
        {"store": "00" * 16},
        {"ledger": "other"},
        {"from_move": "sha256:" + "ab" * 32},
        {"diff": "sha256:" + "ab" * 32},
    ],
)
def test_a_grant_covers_what_it_names_and_nothing_else(world: World, changes: dict[str, object]) -> None:
    world.append(EntryKind.EVIDENCE, _grant(world, **changes))
    _refused(world, 0)


def test_who_built_it_approves_nothing(world: World) -> None:
    world.release("1.1.0", by="builder-bob")
    world.promote("1.1.0", "dev")
    world.approve("1.1.0", "staging", "builder-bob")
    with pytest.raises(MoveDenied, match="0 of 1 approvals"):
        world.promote("1.1.0", "staging")


def test_an_approval_that_has_ended_is_none(world: World) -> None:
    world.append(EntryKind.EVIDENCE, _grant(world, expires=world.now + timedelta(hours=1)))
    world.approve("1.0.0", "prod", "bob")
    world.later(hours=2)
    _refused(world, 1)


def test_who_is_no_approver_signs_none(world: World) -> None:
    with pytest.raises(PolicyDenied, match="has not the role approver"):
        world.approve("1.0.0", "prod", "pam")
    with pytest.raises(CasstoreError):
        promotion.approve(
            world.store, world.ledger, "1.0.0", channel="prod", signer=signer("stranger"), now=world.now,
            expires=world.now + timedelta(days=1),
        )  # fmt: skip
