"""A clock that is wrong, by accident or on purpose: it blocks nobody, and it revives nobody."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from worlds import NOW, World, identity, signer

from attest.digests import Digest
from attest.errors import CasstoreError, PolicyDenied, TrustError
from attest.statements import statements
from attest.statements.predicates import seal as seals
from attest.trust.policies import ChannelPolicy
from attest.trust.trust_roots import Clock, Role, Settlement
from casstore.errors import SealDisputed, SettledOtherwise
from casstore.ledger import sealing
from casstore.ledger.entries import EntryKind
from casstore.ledger.folding import replay_all
from casstore.ledger.states.rows import tries_of
from casstore.ledger.states.state import LedgerState

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


def _codes(world: World) -> list[str]:
    return list(world.state.codes.values())


def test_a_clock_that_runs_ahead_meets_no_soak_time(tmp_path: Path) -> None:
    """Until the next seal it looks as if; then the move is judged at that seal, by every fold."""
    channels = {"dev": ChannelPolicy(None, 0), "prod": ChannelPolicy("dev", 0, soak=48 * 3600)}
    world = World.make(str(tmp_path / "store"), channels=channels)
    world.release("1.0.0")
    world.promote("1.0.0", "dev")
    sealed(world)
    honest = world.later(hours=1).now
    world.now = honest + timedelta(days=3)
    assert world.promote("1.0.0", "prod").moved, "provisional"
    world.now = honest + timedelta(minutes=1)
    sealed(world)
    assert _codes(world) == ["policy"] and "prod" not in world.state.channels
    assert replay_all(world.ledger, world.store).codes == world.state.codes
    world.now = honest + timedelta(days=2)
    assert world.promote("1.0.0", "prod").moved, "who waits is let in"
    sealed(world)
    assert _codes(world) == ["policy"]


def test_what_a_clock_ahead_made_void_holds_once_it_is_bounded(world: World) -> None:
    """The builder's clock ran past the end of the trust root: nothing is void because of a clock."""
    world.ledger.append(
        EntryKind.EVIDENCE, world.state.releases[world.made["1.0.0"].digest].statement, now=world.now + 2 * YEAR
    )
    assert _codes(world) == ["signer"]
    sealed(world.later())
    assert _codes(world) == []


def roots(state: LedgerState) -> tuple[Digest, Digest]:
    """What a seal over it would name."""
    made = tries_of(state)
    return made.state_root, made.full_root


def test_an_epoch_is_bounded_alike_from_a_saved_state(world: World) -> None:
    world.release("1.1.0")
    honest, world.now = world.now, world.now + timedelta(days=1)
    world.promote("1.1.0", "dev")
    world.now = honest
    sealed(world)
    kept, anew = world.state, replay_all(world.ledger, world.store)
    assert kept == anew and roots(kept) == roots(anew)
    assert kept.channels["dev"].history[-1].time == honest


@pytest.mark.parametrize("gap", [None, timedelta(days=30)])
def test_an_approval_that_ended_in_an_epoch_nobody_sealed_had_ended(world: World, gap: timedelta | None) -> None:
    """Whoever dates a move back in a long epoch is not believed, unless the owners said that such epochs are usual."""
    if gap:
        world.next_root(clock=Clock(gap))
    sealed(world)
    world.release("1.1.0")
    world.promote("1.1.0", "dev")
    world.approve("1.1.0", "staging", "ann", expires=world.now + timedelta(days=2))
    honest = world.now
    world.now = honest + timedelta(days=1)  # it is the 9th in truth
    world.promote("1.1.0", "staging")
    world.now = honest + timedelta(days=9)
    sealed(world)
    assert _codes(world) == ([] if gap else ["policy"])


def test_who_ended_while_nobody_sealed_had_ended(world: World) -> None:
    sealed(world)
    ends = world.now + timedelta(days=2)
    people = world.state.require_trust_root().identities
    world.next_root(identities=tuple(replace(e, valid_until=ends) if e.name == "pam" else e for e in people))
    world.release("1.1.0")
    world.now = ends - timedelta(hours=1)
    world.promote("1.1.0", "dev")
    world.now = ends + timedelta(days=3)
    sealed(world)
    assert _codes(world) == ["signer"] and world.state.channels["dev"].version == "1.0.0"


def test_a_trust_root_that_is_dated_ahead_bars_no_other(world: World) -> None:
    honest = world.now
    world.now = honest + timedelta(days=200)
    ahead = world.next_root()
    world.now = honest + timedelta(hours=1)
    assert world.next_root(expires=ahead.expires).version == ahead.version + 1
    sealed(world)
    assert _codes(world) == []


def test_owners_set_the_clock_of_a_seal_right(world: World) -> None:
    sealed(world)
    world.release("1.0.1")
    honest = world.later().now
    world.now = honest + YEAR
    sealed(world)
    wrong = world.state.count - 1
    world.now = honest + timedelta(hours=1)
    for number, shown in ((wrong, honest - timedelta(days=1)), (2, honest)):
        with pytest.raises(CasstoreError, match="sets the clock"):
            world.next_root(clock=Clock(None, number, shown))
    world.next_root(clock=Clock(None, wrong, honest))
    assert world.state.floor == honest
    world.release("1.1.0")
    sealed(world)
    assert world.state.floor == world.now and _codes(world) == []
    assert replay_all(world.ledger, world.store) == world.state


def test_an_owner_who_has_ended_sets_no_clock_back(world: World) -> None:
    root = world.state.require_trust_root()
    ends = world.now + timedelta(days=10)
    people = tuple(replace(e, valid_until=ends) if e.name == "olga" else e for e in root.identities)
    world.next_root(identities=people, roles={**root.roles, "owner": Role("owner", ("olga", "otto", "ann"), 2)})
    world.now = ends + timedelta(days=1)
    sealed(world)
    world.now = ends - timedelta(days=1)
    with pytest.raises(TrustError, match="owner signatures"):
        world.next_root(clock=Clock(None, world.state.count - 1, world.now))


def test_a_refusal_by_time_names_window_and_clocks(world: World) -> None:
    ends = world.now + timedelta(days=10)
    people = world.state.require_trust_root().identities
    world.next_root(identities=tuple(replace(e, valid_until=ends) if e.name == "pam" else e for e in people))
    world.release("1.1.0")
    world.now = ends + timedelta(days=1)
    sealed(world)
    world.now = ends - timedelta(days=1)
    clock = world.now.strftime("%Y-%m-%dT%H:%M:%SZ")
    with pytest.raises(PolicyDenied, match=rf"pam counts from .* until 2026-03-11.*clock shows {clock}.*last seal"):
        world.promote("1.1.0", "dev")


@pytest.mark.parametrize("honest", [True, False])
def test_owners_settle_a_dispute_by_the_state_that_was_true(world: World, honest: bool) -> None:
    """A seal by the right key with a wrong state; whose fold is another than the owners say stops (7)."""
    sealed(world)
    world.release("1.1.0")
    state = world.state
    true = tries_of(state).state_root
    root = state.require_trust_root()
    claim = seals.Seal(
        state.store, "main", 2, state.count, state.tip, world.now, root.digest, root.version,
        root.digest, root.digest, state.sealed.number if state.sealed else None, world.now,
    )  # fmt: skip
    payload = statements.of_digests(claim.subjects, seals.TYPE, claim.to_json()).to_bytes()
    world.force(EntryKind.SEAL, signer("log").sign_statement(payload))
    with pytest.raises(SealDisputed):
        world.promote("1.1.0", "dev")
    found = world.state.disputed
    assert found is not None and found.own_state == true
    if not honest:
        with pytest.raises(SettledOtherwise) as caught:
            world.next_root(settle=Settlement(found.number, root.digest))
        assert caught.value.exit_code == 7
        return
    world.next_root(settle=Settlement(found.number, true))
    assert world.state.disputed is None and world.promote("1.1.0", "dev").moved
    sealed(world)
    assert replay_all(world.ledger, world.store) == world.state
