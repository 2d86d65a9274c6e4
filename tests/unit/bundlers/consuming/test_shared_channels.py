"""A channel with two releases: what is published of it, what a consumer verifies, and what nobody can leave out."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from attest.digests import sha256
from attest.errors import PolicyDenied
from bundlers.consuming import kits
from bundlers.consuming.service import TrustSettings, VerifyReport, verify
from bundlers.publishing.layout import published_paths, records
from casstore import promotion
from tests.support.forged import Forged, refuse
from tests.support.shared import LINE, SharedWorld
from tests.support.witnessed import Line, asked
from tests.support.worlds import signer


@pytest.fixture
def world(tmp_path: Path) -> SharedWorld:
    made = SharedWorld.make(str(tmp_path / "store"))
    made.begin()
    made.step("1.1.0", 5)
    return made


def _public(world: SharedWorld, tmp_path: Path, name: str = "public") -> Forged:
    world.publish("prod", str(tmp_path / name))
    return Forged.of(str(tmp_path / name))


def _verify(world: SharedWorld, tmp_path: Path, **options: Any) -> VerifyReport:
    trust = TrustSettings(str(tmp_path / "state"))
    return verify(str(tmp_path / "public"), "prod", trust=trust, at=world.now, **options)


def test_both_are_verified_each_by_its_own_moves_and_bytes(world: SharedWorld, tmp_path: Path) -> None:
    _public(world, tmp_path)
    report = _verify(world, tmp_path, replay=True)
    found = report.verified.channel
    assert found.canary is not None and report.replayed is not None
    beside = found.canary.channel
    assert (found.version, beside.version, found.canary.share) == ("1.0.0", "1.1.0", 5)
    assert found.canary.began == world.began and found.move == beside.move
    assert set(report.archives) == {
        "core-1.0.0.tar.gz",
        "agent-1.0.0.zip",
        "core-1.1.0.tar.gz",
        "agent-1.1.0.zip",
    }
    told = report.to_json()
    assert (told["version"], told["canary"]["version"], told["canary"]["approvedBy"]) == ("1.0.0", "1.1.0", ["ann"])
    prod = world.state.channel("prod")
    assert {one.digest for one in found.evidence} >= set(prod.history[0].evidence)
    assert not set(found.attestations) & {sha256(b"")} and set(prod.history[-1].evidence).isdisjoint(
        {one.digest for one in found.evidence} - {one.digest for one in beside.evidence}
    )


def test_a_wider_share_keeps_its_beginning_and_the_whole_channel_is_proven_by_its_steps(
    world: SharedWorld, tmp_path: Path
) -> None:
    began = world.began
    world.later(days=1)
    world.step("1.1.0", 50)
    found = _public(world, tmp_path).judged(world)
    assert found.canary is not None
    assert (found.canary.share, found.canary.began) == (50, began)
    world.later(days=1)
    world.step("1.1.0", None)
    forged = _public(world, tmp_path)
    whole = forged.judged(world, pins=found.pins)
    assert (whole.version, whole.canary) == ("1.1.0", None)
    numbers = {row.number for row in world.state.channel("prod").history}
    proof = records.LedgerProof.parse(forged.targets[published_paths.PROOF])
    shown = {int(re.findall(rb'"number":(\d+)', item.entry)[0]) for item in proof.entries}
    assert numbers <= shown, "every step is shown, and judged"


def _revoke(world: SharedWorld, version: str) -> None:
    digest = world.made[version].builds["core"].archive.digest
    place = (world.store, world.ledger, digest)
    promotion.revoke(*place, kind="artifact", signer=signer("aud"), now=world.now, reason="it leaks")


def test_a_revoked_canary_is_nobodys_and_the_base_stays(world: SharedWorld, tmp_path: Path) -> None:
    before = _public(world, tmp_path)
    _revoke(world, "1.1.0")
    forged = _public(world, tmp_path)
    found = forged.judged(world)
    assert (found.version, found.canary) == ("1.0.0", None)
    assert "it leaks" in found.canary_withdrawn
    assert set(_verify(world, tmp_path, replay=True).archives) == {"core-1.0.0.tar.gz", "agent-1.0.0.zip"}
    assert not [path for path in forged.targets if path.startswith("releases/1.1.0/")]
    record = records.ChannelRecord.parse(before.targets["channels/prod.json"])
    assert record.canary is not None
    forged.edit("channels/prod.json", lambda v: v.update(canary=record.canary.to_json()))  # type: ignore[union-attr]
    refuse(world, forged, "revoked|not shown")


def test_an_approver_of_the_canary_who_is_revoked_takes_it_away_and_not_the_base(tmp_path: Path) -> None:
    world = SharedWorld.make(str(tmp_path / "store"))
    world.begin()
    world.approve("1.1.0", "prod", "bob")
    world.promote("1.1.0", "prod", share=5)
    assert _public(world, tmp_path).judged(world).canary is not None
    world.revoke_identity("bob")
    found = _public(world, tmp_path).judged(world)
    assert (found.version, found.canary) == ("1.0.0", None) and "leaked" in found.canary_withdrawn
    assert world.publish("prod", str(tmp_path / "public")).unchanged


def test_a_suspended_approver_takes_the_canary_away_for_as_long(tmp_path: Path) -> None:
    world = SharedWorld.make(str(tmp_path / "store"))
    world.begin()
    world.approve("1.1.0", "prod", "bob")
    world.promote("1.1.0", "prod", share=5)
    promotion.suspend(world.store, world.ledger, "bob", reason="odd", signer=signer("aud"), now=world.now)
    found = _public(world, tmp_path).judged(world)
    assert found.canary is None and "bob" not in found.approved_by and "odd" in found.canary_withdrawn
    world.later(hours=73)
    assert Forged.of(str(tmp_path / "public")).judged(world).canary is None, "until it is published again"
    assert _public(world, tmp_path).judged(world).canary is not None


def test_a_revoked_base_withdraws_the_channel(world: SharedWorld, tmp_path: Path) -> None:
    _revoke(world, "1.0.0")
    refuse(world, _public(world, tmp_path), "prod 1.0.0 was withdrawn: it leaks")


def test_another_channels_publication_tells_that_the_canary_was_withdrawn(world: SharedWorld, tmp_path: Path) -> None:
    _public(world, tmp_path)
    _revoke(world, "1.1.0")
    world.promote("1.0.0", "dev")
    world.publish("dev", str(tmp_path / "public"))
    found = Forged.of(str(tmp_path / "public")).judged(world)
    assert (found.version, found.canary) == ("1.0.0", None) and "it leaks" in found.canary_withdrawn


def test_a_kit_of_either_has_both(world: SharedWorld, tmp_path: Path) -> None:
    for version in ("1.0.0", "1.1.0"):
        path = str(tmp_path / f"{version}.tar")
        report = kits.export(world.store, world.ledger, version, path, signer=signer("log"), now=world.now)
        assert report.channels == ("prod",) if version == "1.0.0" else "prod" in report.channels
        trust = TrustSettings(str(tmp_path / f"state-{version}"))
        read = verify(path, "prod", trust=trust, at=world.now, offline=True)
        assert len(read.archives) == 4 and read.verified.channel.canary is not None
    _revoke(world, "1.1.0")
    with pytest.raises(PolicyDenied, match=r"1\.1\.0 may be used no more"):
        kits.export(world.store, world.ledger, "1.1.0", str(tmp_path / "no.tar"), channel="prod", now=world.now)
    path = str(tmp_path / "base.tar")
    kits.export(world.store, world.ledger, "1.0.0", path, signer=signer("log"), now=world.now)
    trust = TrustSettings(str(tmp_path / "state-base"))
    assert verify(path, "prod", trust=trust, at=world.now, offline=True).verified.channel.canary is None


def test_the_release_before_a_share_of_staging_is_what_prod_takes(tmp_path: Path) -> None:
    """A release that only a share of the channel before has was not in it."""
    line = {**LINE, "staging": replace(LINE["staging"], steps=LINE["prod"].steps)}
    world = SharedWorld.make(str(tmp_path / "store"), channels=line)
    world.ship("1.0.0")
    world.ship("1.1.0", content=b"x")
    world.to_staging("1.0.0")
    world.step("1.0.0", None)
    world.promote("1.1.0", "dev")
    world.approve("1.1.0", "staging", "ann")
    world.promote("1.1.0", "staging", share=5)
    world.approve("1.1.0", "prod", "ann")
    with pytest.raises(PolicyDenied, match="it never was in staging"):
        world.promote("1.1.0", "prod", share=5)


def test_a_witness_folds_the_steps_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "home"))
    line = Line.__new__(Line)
    line.at, line.public = tmp_path, tmp_path / "public"
    line.world = world = SharedWorld.make(str(tmp_path / "store"), witnesses=asked(1, "w1"))
    world.begin()
    for share, version in ((5, "1.0.0"), (50, "1.0.0"), (None, "1.1.0")):
        world.step("1.1.0", share)
        assert line.publish("prod").staged
        assert line.witness("w1").new
        assert line.publish("prod").staged is None
        assert line.verify("prod").verified.channel.version == version
        world.later(days=1)
