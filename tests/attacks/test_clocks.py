"""A clock that is wrong, by accident or on purpose: it blocks nobody, and it revives nobody."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from worlds import NOW, World, identity, signer

from attest.errors import CasstoreError, TrustError
from attest.trust.trust_roots import Role
from casstore.ledger import sealing

YEAR = timedelta(days=300)


def sealed(world: World) -> None:
    sealing.seal(world.store, world.ledger, signer=signer("log"), now=world.now)


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World.make(str(tmp_path / "store"))
    world.release("1.0.0")
    world.to_staging("1.0.0")
    return world


def test_a_promoter_a_year_ahead_does_not_block_the_way_back(world: World) -> None:
    world.release("1.1.0")
    honest = world.now
    world.now = honest + YEAR
    world.promote("1.1.0", "dev")
    world.now = honest
    assert world.rollback("dev").version == "1.0.0"
    world.release("1.2.0")


def test_a_seal_a_year_ahead_blocks_neither_work_nor_the_next_seal(world: World) -> None:
    honest = world.now
    world.now = honest + YEAR
    sealed(world)
    world.now = honest
    world.release("1.1.0")
    assert world.promote("1.1.0", "dev").moved
    world.approve("1.1.0", "staging", "ann")
    assert world.promote("1.1.0", "staging").moved, "an approval lives as long as it says, from the seal on"
    sealed(world)
    assert world.state.void == ()
    assert world.state.floor == honest + YEAR, "a seal never lowers the floor"


@pytest.mark.parametrize("who", ["ci", "pam"])
def test_who_has_ended_does_not_come_back_by_a_clock_that_is_set_back(world: World, who: str) -> None:
    world.release("1.1.0")
    ends = world.now + timedelta(days=10)
    people = world.state.require_trust_root().identities
    world.next_root(identities=tuple(replace(e, valid_until=ends) if e.name == who else e for e in people))
    world.now = ends + timedelta(days=1)
    sealed(world)
    world.now = ends - timedelta(days=1)
    with pytest.raises(CasstoreError):
        world.release("1.2.0") if who == "ci" else world.promote("1.1.0", "dev")
    assert world.state.channels["dev"].version == "1.0.0"


def test_an_owner_who_has_ended_takes_nothing_over(world: World) -> None:
    ends = world.now + timedelta(days=10)
    root = world.state.require_trust_root()
    owners = Role("owner", ("olga", "otto", "ann"), 2)
    people = tuple(replace(e, valid_until=ends) if e.name == "olga" else e for e in root.identities)
    world.next_root(identities=people, roles={**root.roles, "owner": owners})
    world.now = ends + timedelta(days=1)
    sealed(world)
    world.now = ends - timedelta(days=1)
    before = world.state.require_trust_root().version
    with pytest.raises(TrustError, match="owner signatures"):
        world.next_root(identities=(*people, replace(identity("ci"), name="mallory")))
    assert world.state.require_trust_root().version == before


def test_a_seal_that_is_dated_ahead_locks_not_all_owners_out(world: World) -> None:
    """Their windows have ended by the seal, all of them: then they count as they are, for nobody else could go on."""
    honest, root = world.now, world.state.require_trust_root()
    ends = honest + timedelta(days=10)
    people = tuple(replace(e, valid_until=ends) if e.name in root.holders("owner") else e for e in root.identities)
    world.next_root(identities=people)
    world.now = honest + YEAR
    sealed(world)
    world.now = honest + timedelta(days=1)
    assert world.next_root().version == world.state.require_trust_root().version


def test_honest_work_is_never_void_whatever_the_clocks_say(world: World) -> None:
    for number, days in enumerate((0, 200, -300, 5, -1, 90), start=1):
        world.now = NOW + timedelta(days=max(days, 0), minutes=number)
        world.release(f"2.0.{number}")
        world.promote(f"2.0.{number}", "dev")
        if number % 2:
            sealed(world)
    assert world.state.void == ()
