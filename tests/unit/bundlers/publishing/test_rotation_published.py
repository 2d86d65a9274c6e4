"""A consumer judges old evidence as every reader of the ledger does: by the trust root that recorded it."""

from __future__ import annotations

from pathlib import Path

import pytest

from attest.statements import statements
from attest.statements.predicates import vsa
from attest.trust.policies import ChannelPolicy
from bundlers.consuming.service import TrustSettings, verify
from bundlers.consuming.verified import VerifiedChannel
from bundlers.consuming.withdrawn import Withdrawn
from casstore.network.network import NetworkGuard
from casstore.store.attestations import put_attestation
from tests.support.published import PublishedWorld
from tests.support.worlds import CHANNELS, signer


@pytest.fixture
def world(tmp_path: Path) -> PublishedWorld:
    made = PublishedWorld.make(str(tmp_path / "store"))
    for version in ("1.0.0", "1.1.0"):
        made.ship(version)
        made.to_prod(version)
        made.later(hours=1)
    return made


def checked(world: PublishedWorld, url: str, tmp_path: Path, channel: str = "prod") -> VerifiedChannel:
    trust = TrustSettings(str(tmp_path / "state"))
    return verify(url, channel, at=world.now, trust=trust, network=NetworkGuard(())).verified.channel


def test_a_rollback_after_a_rotation_is_published_and_verified(world: PublishedWorld, tmp_path: Path) -> None:
    public = str(tmp_path / "public")
    world.rotate("ci")
    world.later().rollback("prod")
    world.publish("prod", public)
    found = checked(world, public, tmp_path)
    assert found.version == "1.0.0"
    assert all(item.names for item in found.evidence), "the signers of then are named"


def test_after_a_revocation_it_is_refused(world: PublishedWorld, tmp_path: Path) -> None:
    public = str(tmp_path / "public")
    world.rotate("ci")
    world.later().rollback("prod")
    old = signer("ci").identity
    world.revoke_identity(old, reason="x")
    assert world.publish("prod", public).withdrawn
    with pytest.raises(Withdrawn, match=r"prod 1.0.0 was withdrawn: x .identity"):
        checked(world, public, tmp_path)


def test_soak_is_judged_the_same_by_a_consumer(tmp_path: Path) -> None:
    channels = {**CHANNELS, "prod": ChannelPolicy("staging", 0, soak=3600)}
    world = PublishedWorld.make(str(tmp_path / "store"), channels=channels)
    for version in ("1.0.0", "1.1.0"):
        world.ship(version)
        world.to_staging(version)
        world.later(hours=2)
    assert world.promote("1.0.0", "prod").moved
    public = str(tmp_path / "public")
    world.publish("prod", public)
    assert checked(world, public, tmp_path).version == "1.0.0"


def test_the_entries_that_recorded_evidence_are_witnesses(tmp_path: Path) -> None:
    """Put and released under one trust root, moved for the first time under the next."""
    channels = {**CHANNELS, "dev": ChannelPolicy(None, 0, ("slsa-provenance",))}
    world = PublishedWorld.make(str(tmp_path / "store"), channels=channels)
    world.ship("1.0.0")
    world.later(hours=1).rotate("ci")
    assert world.promote("1.0.0", "dev").moved
    public = str(tmp_path / "public")
    world.publish("dev", public)
    assert checked(world, public, tmp_path, "dev").version == "1.0.0"


def test_a_move_of_another_channel_is_a_witness(tmp_path: Path) -> None:
    """What was only kept in the store, one channel's move took in first; another channel leans on it later."""
    policy = ChannelPolicy(None, 0, ("vsa",), signers={"vsa": ("auditor",)})
    world = PublishedWorld.make(str(tmp_path / "store"), channels={**CHANNELS, "dev": policy, "beta": policy})
    made = world.ship("1.0.0")
    claim = vsa.VerificationSummary("https://audit.example", world.now, "pkg:x", "urn:p", made.digest, "PASSED")
    statement = statements.of_digests(made.archives, vsa.TYPE, claim.to_json())
    put_attestation(world.store, signer("aud").sign_statement(statement.to_bytes()))
    world.promote("1.0.0", "dev")
    world.later(hours=1).rotate("aud")
    assert world.promote("1.0.0", "beta").moved
    public = str(tmp_path / "public")
    world.publish("beta", public)
    assert checked(world, public, tmp_path, "beta").version == "1.0.0"
