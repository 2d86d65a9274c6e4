"""A release comes to a share of a channel first: its steps, their soak, taking it back, and what stands in the way."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from attest.core.times import format as told_time
from attest.errors import FormatError
from attest.statements import statements
from attest.statements.predicates import promotion as promotions
from attest.trust.policies import ChannelPolicy, ShareStep
from casstore import promotion
from casstore.errors import Conflict, MoveDenied, NoSuchObject
from casstore.ledger import sealed_states, sealing
from casstore.ledger.book.cache import EntryCache
from casstore.ledger.book.log import Ledger
from casstore.ledger.entries import EntryKind
from casstore.ledger.folding import replay, replay_all
from casstore.ledger.states import rows, state_records
from casstore.promotion.standings import channel_spans
from tests.support.worlds import CHANNELS, World, signer

DAY = 86400
_NAMES = (f"shares-{number}" for number in itertools.count())
STEPS = (ShareStep(5, DAY), ShareStep(25, 2 * DAY))
LINE = {**CHANNELS, "prod": replace(CHANNELS["prod"], approvals=1, steps=STEPS)}


def _world(**changes: Any) -> World:
    """1.0.0 is in prod, 1.1.0 in staging and may come to prod."""
    world = World.make(f"memory://{next(_NAMES)}", channels=LINE, **changes)
    world.release("1.0.0")
    world.release("1.1.0")
    world.to_staging("1.0.0")
    _step(world, "1.0.0", None)
    world.to_staging("1.1.0")
    return world


def _step(world: World, version: str, share: int | None) -> promotion.MoveReport:
    world.approve(version, "prod", "ann")
    return world.promote(version, "prod", share=share)


def _move(world: World, version: str, **changes: Any) -> str:
    """A signed promotion that nobody judged before it was written; why it is void."""
    state = world.state
    claim = promotions.Promotion(
        store=state.store,
        ledger="main",
        action="promote",
        channel="prod",
        from_move=state.channel("prod").move,
        release=version,
        time=world.now,
        trust_root=state.require_trust_root().digest,
    )
    claim = replace(claim, **changes)
    payload = statements.of_digests({"release": world.made[version].digest}, promotions.TYPE, claim.to_json())
    return world.force(EntryKind(claim.action), signer("pam").sign_statement(payload.to_bytes()), "prod")


def test_a_release_comes_by_steps_each_after_its_soak_and_with_its_own_approval() -> None:
    world = _world()
    first = _step(world, "1.1.0", 5)
    assert first.told.startswith("prod: promote 1.1.0 for 5% (the others keep 1.0.0), ledger entry")
    prod = world.state.channel("prod")
    assert (prod.version, prod.canary.version, prod.canary.share) == ("1.0.0", "1.1.0", 5)  # type: ignore[union-attr]
    began = prod.canary_moves[0].entry
    world.later(hours=23).approve("1.1.0", "prod", "ann")
    with pytest.raises(MoveDenied, match="it ran 23 hours of 24 hours at 5%") as caught:
        world.promote("1.1.0", "prod", share=25)
    assert caught.value.exit_code == 4
    world.later(hours=1).promote("1.1.0", "prod", share=25)
    with pytest.raises(MoveDenied, match="0 of 1 approvals"):
        world.later(days=2).promote("1.1.0", "prod")
    assert world.state.channel("prod").canary_moves[0].entry == began
    _step(world, "1.1.0", None)
    prod = world.state.channel("prod")
    assert (prod.version, prod.canary) == ("1.1.0", None)
    assert [(m.version, m.share) for m in prod.history] == [
        ("1.0.0", None),
        ("1.1.0", 5),
        ("1.1.0", 25),
        ("1.1.0", None),
    ]


@pytest.mark.parametrize("share", [None, 6, 25, 99])
def test_no_step_is_left_out_nor_another_taken(share: int | None) -> None:
    world = _world()
    world.approve("1.1.0", "prod", "ann")
    with pytest.raises(MoveDenied, match="the next step is 5%, not"):
        world.promote("1.1.0", "prod", share=share)
    assert "share" in _move(world, "1.1.0", share=share) or "step" in _move(world, "1.1.0", share=share)
    assert world.state.channel("prod").version == "1.0.0"


def test_the_first_release_of_a_channel_is_for_all() -> None:
    world = World.make(f"memory://{next(_NAMES)}", channels=LINE)
    world.release("1.0.0")
    world.to_staging("1.0.0")
    world.approve("1.0.0", "prod", "ann")
    with pytest.raises(MoveDenied, match="names no release that the others would keep"):
        world.promote("1.0.0", "prod", share=5)


def test_a_channel_without_steps_takes_no_share() -> None:
    world = _world()
    world.release("1.2.0")
    with pytest.raises(MoveDenied, match="the policy of dev has no steps"):
        world.promote("1.2.0", "dev", share=5)


def test_under_a_trust_root_that_knows_no_shares_a_move_with_one_says_nothing() -> None:
    world = World.make(f"memory://{next(_NAMES)}")
    world.release("1.0.0")
    world.to_prod("1.0.0")
    world.release("1.1.0")
    assert "the feature shares" in _move(world, "1.1.0", share=5)
    assert set(world.state.codes.values()) == {"format"}


def test_an_approval_is_for_one_share() -> None:
    world = _world()
    world.approve("1.1.0", "prod", "ann")  # for 5%
    world.next_root(channels={**LINE, "prod": replace(LINE["prod"], steps=())})
    with pytest.raises(MoveDenied, match="0 of 1 approvals") as caught:
        world.promote("1.1.0", "prod")
    assert "it was given for 5%, not for all of it" in {row.reason for row in caught.value.decision.ignored}


def test_taking_it_back_is_a_rollback_to_what_all_others_have() -> None:
    world = _world()
    _step(world, "1.1.0", 5)
    report = world.later(hours=1).rollback("prod")
    assert report.told.startswith("prod: rollback 1.0.0 (1.1.0 is taken back), pinned, ledger entry")
    prod = world.state.channel("prod")
    assert (prod.version, prod.canary, prod.pinned) == ("1.0.0", None, True)
    assert prod.rolled_back(world.made["1.1.0"].digest) is not None
    assert prod.rolled_back(world.made["1.0.0"].digest) is None


def test_a_release_that_was_taken_back_was_in_no_channel_and_is_rolled_back() -> None:
    world = _world()
    _step(world, "1.1.0", 5)
    world.rollback("prod")
    digest = world.made["1.1.0"].digest
    assert "prod" not in world.state.in_channels(digest)
    with pytest.raises(MoveDenied, match="never was in channel prod"):
        world.rollback("prod", release="1.1.0")
    refusing = replace(LINE["prod"], rolled_back="refuse")
    world.next_root(channels={**LINE, "prod": refusing})
    promotion.unpin(world.store, world.ledger, channel="prod", signer=signer("pam"), now=world.now, reason="fixed")
    world.approve("1.1.0", "prod", "ann")
    with pytest.raises(MoveDenied, match="it was rolled back in prod: it crashes"):
        world.promote("1.1.0", "prod", share=5)


def test_one_release_comes_at_a_time_and_nothing_is_pinned_meanwhile() -> None:
    world = _world()
    world.release("1.2.0")
    _step(world, "1.1.0", 5)
    world.to_staging("1.2.0")
    world.approve("1.2.0", "prod", "ann")
    for share in (None, 5, 25):
        with pytest.raises(MoveDenied, match=r"1\.1\.0 reaches 5% of prod: it comes first, or is taken back"):
            world.promote("1.2.0", "prod", share=share)
        assert "one release comes at a time" in _move(world, "1.2.0", share=share)
    with pytest.raises(Conflict, match=r"1\.1\.0 reaches 5% of channel prod: it comes first"):
        promotion.pin(world.store, world.ledger, channel="prod", signer=signer("pam"), now=world.now, reason="x")
    assert not _step_is_there(world)


def _step_is_there(world: World) -> bool:
    """The same share once more is no move."""
    return world.promote("1.1.0", "prod", share=5).moved


def test_a_rollback_further_back_takes_it_back_too() -> None:
    world = _world()
    _step(world, "1.1.0", 5)
    _step(world.later(days=1), "1.1.0", 25)
    _step(world.later(days=2), "1.1.0", None)
    world.release("1.2.0")
    world.to_staging("1.2.0")
    _step(world, "1.2.0", 5)
    world.rollback("prod", steps=2)
    prod = world.state.channel("prod")
    assert (prod.version, prod.canary) == ("1.0.0", None)
    with pytest.raises(NoSuchObject):
        world.rollback("prod")


def test_owners_who_change_the_steps_change_what_comes_next() -> None:
    world = _world()
    _step(world, "1.1.0", 5)
    world.next_root(channels={**LINE, "prod": replace(LINE["prod"], steps=(ShareStep(3, 9 * DAY), ShareStep(50)))})
    world.later(days=8).approve("1.1.0", "prod", "ann")
    with pytest.raises(MoveDenied, match="it ran 8 days of 9 days at 5%"):
        world.promote("1.1.0", "prod", share=50)
    world.later(days=1).promote("1.1.0", "prod", share=50)
    world.next_root(channels={**LINE, "prod": replace(LINE["prod"], steps=())})
    assert _step(world, "1.1.0", None).moved


def test_the_soak_is_judged_by_the_seals_and_not_by_a_claimed_time() -> None:
    world = _world()
    _step(world, "1.1.0", 5)
    world.approve("1.1.0", "prod", "ann")
    later = world.later(minutes=5).now.replace(day=world.now.day + 3)
    assert _move(world, "1.1.0", share=25, time=later) != ""  # no approval in its list: void whatever the time says
    assert told_time(world.state.channel("prod").canary.time) < told_time(later)  # type: ignore[union-attr]


def test_a_share_is_of_a_promotion_and_a_whole_percentage() -> None:
    world = _world()
    assert "a share is a whole percentage from 1 to 99" in _move(world, "1.1.0", share=0)
    assert "a share is a whole percentage from 1 to 99" in _move(world, "1.1.0", share=100)
    assert "has no share" in _move(world, "1.0.0", share=5, action="rollback")


def test_a_revoked_canary_goes_no_further_and_a_revoked_base_is_not_gone_back_to() -> None:
    world = _world()
    _step(world, "1.1.0", 5)
    world.later(days=1).approve("1.1.0", "prod", "ann")
    made = world.made
    for version in ("1.1.0", "1.0.0"):
        promotion.revoke(
            world.store,
            world.ledger,
            made[version].digest,
            kind="artifact",
            signer=signer("aud"),
            now=world.now,
            reason="it leaks",
        )
        if version == "1.1.0":
            with pytest.raises(MoveDenied, match="the release was revoked"):
                world.promote("1.1.0", "prod", share=25)
    with pytest.raises((MoveDenied, NoSuchObject)):
        world.rollback("prod")
    told = {(wait.kind, wait.version) for wait in promotion.waiting(world.store, world.ledger, now=world.now).waits}
    assert {("withdrawn", "1.0.0"), ("withdrawn", "1.1.0")} <= told


def test_a_revocation_tells_whom_it_touches_before_it_is_made() -> None:
    world = _world()
    _step(world, "1.1.0", 5)
    about: dict[str, Any] = {"reason": "it leaks", "now": world.now, "confirm": False}
    told = promotion.revoke(
        world.store, world.ledger, world.made["1.1.0"].digest, kind="artifact", signer=signer("aud"), **about
    )
    assert {"release 1.1.0", "channel prod (5% have 1.1.0)"} <= set(told.affected)


def test_what_waits_is_the_next_step() -> None:
    world = _world()
    _step(world, "1.1.0", 5)
    waits = [w for w in promotion.waiting(world.store, world.ledger, now=world.now).waits if w.channel == "prod"]
    assert [(w.version, w.share, [rule.id for rule in w.needs]) for w in waits] == [
        ("1.1.0", 25, ["share", "approvals"])
    ]


def test_channels_tell_both_and_spans_tell_the_shares() -> None:
    world = _world()
    _step(world, "1.1.0", 5)
    _step(world.later(days=1), "1.1.0", 25)
    row = next(r for r in promotion.channels(world.store, world.ledger).rows if r.channel == "prod")
    assert (row.version, row.canary and (row.canary.version, row.canary.share)) == ("1.0.0", ("1.1.0", 25))
    shown = promotion.standing(world.store, world.ledger, "prod")
    assert shown.row.version == "1.0.0" and shown.row.canary and shown.canary_evidence
    world.later(days=1).rollback("prod")
    spans = channel_spans(world.store, world.state, world.made["1.1.0"].digest, of={"prod"})
    assert [(span.share, span.until is not None, span.approved_by) for span in spans] == [
        (5, True, ("ann",)),
        (25, True, ("ann",)),
    ]
    (whole,) = channel_spans(world.store, world.state, world.made["1.0.0"].digest, of={"prod"})
    assert (whole.share, whole.until) == (None, None)


def test_the_row_of_a_channel_names_both_and_states_are_saved_whole() -> None:
    world = _world()
    _step(world, "1.1.0", 5)
    _step(world.later(days=1), "1.1.0", 25)
    prod = world.state.channel("prod")
    row = rows.state_rows(world.state)["channel/prod"]
    assert (row["version"], row["move"]["number"]) == ("1.0.0", prod.number)
    assert row["canary"] == {
        "began": {"digest": prod.canary_moves[0].entry, "number": prod.canary_moves[0].number},
        "release": world.made["1.1.0"].digest,
        "share": 25,
        "version": "1.1.0",
    }
    saved = state_records.record(world.state.fields())  # of a state that was resumed
    assert saved == state_records.record(replay_all(world.ledger, world.store).fields())


def test_a_machine_that_begins_at_a_seal_goes_on_with_what_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sealed_states, "is_due", lambda *_: True)
    world = World.make(str(tmp_path / "store"), channels=LINE)
    for version in ("1.0.0", "1.1.0"):
        world.release(version)
        world.to_staging(version)
        _step(world, version, None if version == "1.0.0" else 5)
    sealing.seal(world.store, world.ledger, signer=signer("log"), now=world.now)
    begun, whole = replay(Ledger(world.store, cache=EntryCache()), world.store), replay_all(world.ledger, world.store)
    assert begun.begun is not None and begun.channel("prod") == whole.channel("prod")
    assert begun.channel("prod").shared == {world.made["1.1.0"].digest: 1}
    assert _step(world.later(days=1), "1.1.0", 25).moved


@pytest.mark.parametrize(
    "steps",
    [
        [{"share": 25}, {"share": 5}],
        [{"share": 5}, {"share": 5}],
        [{"share": 0}],
        [{"share": 100}],
        [{"share": 5.0}],
        [{"share": 5, "soak": -1}],
        [{"soak": 5}],
        [{"share": n} for n in range(1, 18)],
    ],
)
def test_steps_grow(steps: list[dict[str, Any]]) -> None:
    with pytest.raises(FormatError, match="policy of prod"):
        ChannelPolicy.parse("prod", {"approvals": 0, "steps": steps})


def test_a_trust_root_with_steps_asks_for_the_feature() -> None:
    from attest.trust import trust_roots

    document = _world().state.require_trust_root().to_json()
    assert document["features"] == ["shares"]
    with pytest.raises(FormatError, match="features must be"):
        trust_roots.parse({**document, "features": []})
