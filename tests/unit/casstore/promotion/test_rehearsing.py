"""A rehearsal plays with the real code, touches nothing real, and counts for nothing but itself."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from attest.digests import to_raw
from attest.errors import PolicyDenied
from attest.statements.predicates import rehearsal
from attest.trust.policies import ChannelPolicy
from attest.trust.policy_parts import Freeze
from casstore.errors import MoveDenied, NoSuchObject, StoreDamaged
from casstore.ledger.entries import EntryKind
from casstore.objects.pack_format import piece_at
from casstore.promotion.rehearsing import RehearsalReport, rehearse
from casstore.storage import open_storage
from casstore.storage.memory import MemoryStorage
from casstore.storage.overlay import OverlayStorage
from casstore.store.attestations import find
from tests.support.published import PublishedWorld
from tests.support.worlds import CHANNELS, signer


@pytest.fixture
def world(tmp_path: Path) -> PublishedWorld:
    made = PublishedWorld.make(str(tmp_path / "store"))
    made.ship("1.0.0")
    made.to_prod("1.0.0")
    return made


def played(world: PublishedWorld, channel: str = "prod", **options: str) -> RehearsalReport:
    return rehearse(world.store, world.ledger, channel, signer=signer("pam"), now=world.now, **options)


def next_one(world: PublishedWorld) -> None:
    world.later().ship("1.1.0", content=b"x")
    world.to_staging("1.1.0")


def listing(world: PublishedWorld) -> set[str]:
    return {os.path.join(at, name) for at, _, names in os.walk(world.store.url) for name in names if "index" not in at}


def test_the_next_release_and_back(world: PublishedWorld) -> None:
    next_one(world)
    before = world.state
    report = played(world)
    assert (report.result, report.version, report.back) == ("PASSED", "1.1.0", "1.0.0")
    assert [step.name for step in report.steps] == ["clone", "snapshot", "promote", "rollback", "read", "restore"]
    after = world.state
    assert after.channels == before.channels and after.void == before.void and after.count == before.count + 1
    (found,) = find(world.store, world.made["1.1.0"].digest, rehearsal.TYPE)
    said = rehearsal.parse(dict(found.statement.predicate))
    assert (said.tip, said.back, said.channel) == (before.count - 1, world.made["1.0.0"].digest, "prod")


def test_nothing_of_the_clone_stays(world: PublishedWorld, tmp_path: Path) -> None:
    next_one(world)
    before, entries = listing(world), world.state.count
    played(world)
    new = listing(world) - before
    assert len([name for name in new if name.endswith(".pack")]) == 1, "the record"
    assert len([name for name in new if "/ledgers/" in name]) == world.state.count - entries == 1


def test_without_a_newer_release_it_goes_back_from_where_it_is(world: PublishedWorld) -> None:
    next_one(world)
    world.approve("1.1.0", "prod", "ann")
    world.approve("1.1.0", "prod", "bob")
    world.promote("1.1.0", "prod")
    report = played(world)
    assert (report.result, report.version, report.back) == ("PASSED", "1.1.0", "1.0.0")
    assert "promote" not in [step.name for step in report.steps]


def test_a_pinned_channel_can_be_rehearsed(world: PublishedWorld) -> None:
    next_one(world)
    world.approve("1.1.0", "prod", "ann")
    world.approve("1.1.0", "prod", "bob")
    world.promote("1.1.0", "prod")
    world.rollback("prod")
    world.later().ship("1.2.0", content=b"y")
    world.to_staging("1.2.0")
    report = played(world)
    assert report.result == "PASSED" and "unpin" in [step.name for step in report.steps]
    assert world.state.channel("prod").pinned


def test_a_first_release_has_nothing_to_go_back_to(tmp_path: Path) -> None:
    world = PublishedWorld.make(str(tmp_path / "store"))
    with pytest.raises(NoSuchObject, match="nothing to rehearse with"):
        played(world, "dev")
    world.ship("1.0.0")
    report = played(world, "dev")
    assert (report.result, report.back) == ("PASSED", "")
    with pytest.raises(NoSuchObject, match="no such channel"):
        played(world, "none")


def test_only_a_promoter_rehearses(world: PublishedWorld) -> None:
    with pytest.raises(PolicyDenied):
        rehearse(world.store, world.ledger, "prod", signer=signer("ann"), now=world.now)


def test_approvals_of_the_clone_count_for_nothing_real(world: PublishedWorld) -> None:
    next_one(world)
    played(world)
    with pytest.raises(MoveDenied) as caught:
        world.promote("1.1.0", "prod")
    assert [rule.id for rule in caught.value.decision.rules if rule.status != "satisfied"] == ["approvals"]


def test_what_real_people_approved_is_no_part_of_it(world: PublishedWorld) -> None:
    """The clone's people approve by themselves; missing real approvals are no obstacle, missing evidence is."""
    next_one(world)
    policy = replace(CHANNELS["prod"], require=("sbom",))
    world.next_root(channels={**CHANNELS, "prod": policy})
    report = played(world)
    assert report.result == "FAILED" and isinstance(report.error, MoveDenied)
    assert report.steps[-1].name == "promote" and "missing for agent-1.1.0.zip" in report.steps[-1].outcome
    assert world.state.channel("prod").version == "1.0.0" and not world.state.void


def test_what_only_a_promotion_brings_is_not_asked(world: PublishedWorld) -> None:
    next_one(world)
    names = ("baseline", "branch-protection", "rollback-capability")
    gates = tuple(f"gate:{name}" for name in names)
    frozen = (Freeze(world.now - timedelta(days=1), world.now + timedelta(days=1), reason="holidays"),)
    policy = ChannelPolicy(
        "staging", 2, gates, rollback_approvals=1, soak=10**6, freeze=frozen, gates=dict.fromkeys(names)
    )
    world.next_root(channels={**CHANNELS, "prod": policy})
    assert played(world).result == "PASSED"


def test_bytes_that_are_gone_make_it_fail(world: PublishedWorld) -> None:
    next_one(world)
    archive = world.made["1.0.0"].archives["core-1.0.0.tar.gz"]
    located = world.store.catalog.locate(to_raw(archive))
    assert located is not None
    path = Path(world.store.url) / "packs" / located.pack.hex()[:2] / f"{located.pack.hex()}.pack"
    raw = bytearray(path.read_bytes())
    raw[piece_at(located.pieces, located.place.piece).offset + located.place.inner] ^= 1
    path.chmod(0o644)
    path.write_bytes(raw)
    report = played(world)
    assert report.result == "FAILED" and isinstance(report.error, StoreDamaged)
    assert report.steps[-1].name == "read"
    assert world.state.count == report.number + 1, "a failure is recorded"


def test_the_record_is_an_entry_that_every_reader_takes(world: PublishedWorld) -> None:
    next_one(world)
    report = played(world)
    entries = list(world.ledger.entries())
    assert (entries[-1].kind, entries[-1].statement) == (EntryKind.REHEARSAL, report.attestation)
    assert not world.state.void


def test_an_overlay_never_writes_below(tmp_path: Path) -> None:
    lower = open_storage(str(tmp_path / "low"), create=True)
    assert lower.create("a/one", b"1")
    clone = OverlayStorage(lower, MemoryStorage())
    assert clone.create("a/two", b"2") and not clone.create("a/one", b"x") and clone.create("a/one", b"1")
    assert (clone.read("a/one"), clone.read("a/two"), clone.size("a/none")) == (b"1", b"2", None)
    assert sorted(clone.list("a/")) == ["a/one", "a/two"] and list(lower.list("a/")) == ["a/one"]
