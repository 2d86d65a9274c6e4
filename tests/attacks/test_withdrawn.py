"""A bad state can be told: after a revocation with nothing to roll back to, nobody goes on to be shown `valid`."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from attest.errors import PolicyDenied, VerificationError
from bundlers.consuming.kits import export
from bundlers.consuming.service import TrustSettings, VerifyReport, verify
from bundlers.consuming.withdrawn import Withdrawn
from bundlers.installing.install import install, verify_installed
from bundlers.publishing.layout import tuf_repository
from casstore import promotion
from casstore.ledger.entries import EntryKind
from tests.support.adversary import Public
from tests.support.published import PublishedWorld
from tests.support.worlds import signer


@pytest.fixture
def world(tmp_path: Path) -> PublishedWorld:
    """1.0.0 is in prod and in dev, and published in both: there is nothing to roll back to."""
    made = PublishedWorld.make(str(tmp_path / "store"))
    made.ship("1.0.0")
    made.to_prod("1.0.0")
    for channel in ("prod", "dev"):
        made.publish(channel, str(tmp_path / "public"))
    return made.later()


def look(world: PublishedWorld, source: Path, state: Path, channel: str = "prod") -> VerifyReport:
    root = world.state.trust_roots[0].digest
    return verify(str(source), channel, trust=TrustSettings(str(state), root), at=world.now)


def revoke(world: PublishedWorld, what: str) -> str:
    """The reason in the words that consumers read."""
    made = world.made["1.0.0"]
    subjects = {
        "artifact": made.builds["core"].archive.digest,
        "identity": signer("ci").identity,
        "attestation": made.evidence[0],
    }
    reason = f"the {what} leaked"
    if what == "identity":
        world.revoke_identity(subjects[what], reason=reason)
        return reason
    store, ledger = world.store, world.ledger
    promotion.revoke(store, ledger, subjects[what], kind=what, reason=reason, signer=signer("aud"), now=world.now)
    return reason


@pytest.mark.parametrize("what", ["artifact", "identity", "attestation"])
def test_consumers_hear_it_at_once(world: PublishedWorld, tmp_path: Path, what: str) -> None:
    public = tmp_path / "public"
    look(world, public, tmp_path / "st")
    reason = revoke(world, what)
    report = world.publish("prod", str(public))
    assert report.withdrawn and report.number == 3 and not world.state.void
    for state in ("st", "fresh"):
        with pytest.raises(Withdrawn, match=rf"prod 1.0.0 was withdrawn: {reason}") as caught:
            look(world, public, tmp_path / state)
        assert caught.value.exit_code == 3
    assert world.publish("prod", str(public)).unchanged


def test_its_files_are_targets_no_more(world: PublishedWorld, tmp_path: Path) -> None:
    public = tmp_path / "public"
    revoke(world, "artifact")
    world.publish("prod", str(public))
    targets = tuf_repository.targets_of((public / "metadata/3.targets.json").read_bytes())
    assert not [path for path in targets if path.startswith(("releases/", "channels/prod.objects"))]
    with pytest.raises(Withdrawn, match=r"dev 1.0.0 was withdrawn"):
        look(world, public, tmp_path / "st", "dev")


def test_what_another_channel_may_still_show_stays(world: PublishedWorld, tmp_path: Path) -> None:
    """The approver's key leaked: prod leans on it, dev does not."""
    who = signer("ann").identity
    world.revoke_identity(who, reason="x")
    world.publish("prod", str(tmp_path / "public"))
    with pytest.raises(Withdrawn, match="identity key:sha256:"):
        look(world, tmp_path / "public", tmp_path / "st")
    assert look(world, tmp_path / "public", tmp_path / "st", "dev").verdict == "valid"


def test_by_way_of_another_channel(world: PublishedWorld, tmp_path: Path) -> None:
    """Another channel is published; the bad one is told beside it."""
    revoke(world, "artifact")
    world.ship("1.1.0", content=b"x")
    world.promote("1.1.0", "dev")
    assert not world.publish("dev", str(tmp_path / "public")).withdrawn
    assert look(world, tmp_path / "public", tmp_path / "st", "dev").verified.channel.version == "1.1.0"
    with pytest.raises(Withdrawn, match="the artifact leaked"):
        look(world, tmp_path / "public", tmp_path / "st")


def test_who_has_it_installed_hears_it(world: PublishedWorld, tmp_path: Path) -> None:
    public, into, trust = str(tmp_path / "public"), str(tmp_path / "opt"), TrustSettings(str(tmp_path / "st"))
    install(public, "core", channel="prod", into=into, trust=trust, at=world.now)
    assert verify_installed(into, trust=trust, at=world.now).receipt.version == "1.0.0"
    revoke(world, "artifact")
    world.publish("prod", public)
    with pytest.raises(Withdrawn, match=rf"it is installed: {into}"):
        install(public, "core", channel="prod", into=into, trust=trust, at=world.now)
    with pytest.raises(Withdrawn, match=r"the artifact leaked.*it is installed"):
        verify_installed(into, trust=trust, at=world.now)
    world.ship("1.1.0", content=b"x")
    world.to_prod("1.1.0")
    world.publish("prod", public)
    with pytest.raises(VerificationError, match=r"1.0.0, which is installed, was revoked: the artifact leaked"):
        verify_installed(into, trust=trust, at=world.now)
    install(public, "core", channel="prod", into=into, trust=trust, at=world.now)
    assert verify_installed(into, trust=trust, at=world.now).receipt.version == "1.1.0"


def test_nobody_shows_the_time_before_again(world: PublishedWorld, tmp_path: Path) -> None:
    """A mirror that stayed behind, to who has heard it."""
    shutil.copytree(tmp_path / "public", tmp_path / "mirror")
    revoke(world, "artifact")
    world.publish("prod", str(tmp_path / "public"))
    with pytest.raises(Withdrawn):
        look(world, tmp_path / "public", tmp_path / "st")
    with pytest.raises(VerificationError, match="were seen before"):
        look(world, tmp_path / "mirror", tmp_path / "st")


@pytest.mark.parametrize("dropped", [set(), {EntryKind.REVOKE}])
def test_a_kit_that_leaves_the_withdrawal_out(world: PublishedWorld, tmp_path: Path, dropped: set[EntryKind]) -> None:
    """The record of the time before, under the newest checkpoint, with and without the revocation's entry."""
    old = Public.of(tmp_path / "public").record("prod", "1.0.0")
    revoke(world, "artifact")
    world.publish("prod", str(tmp_path / "public"))
    kit = Public.of(tmp_path / "public").kit(tmp_path / "k.tar", "prod", "1.0.0", record=old, drop=dropped)
    with pytest.raises(VerificationError, match=r"revoked|not shown that nothing speaks against it"):
        look(world, kit, tmp_path / "st")


def test_a_withdrawal_without_its_reason(world: PublishedWorld, tmp_path: Path) -> None:
    """The revocation's entry is taken out of the proof: refused all the same, and nothing is pinned."""
    revoke(world, "artifact")
    world.publish("prod", str(tmp_path / "public"))
    public = Public.of(tmp_path / "public")
    record = public.record("prod", "1.0.0")
    assert record.withdrawn
    kit = public.kit(tmp_path / "k.tar", "prod", "1.0.0", record=record, drop={EntryKind.REVOKE})
    with pytest.raises(VerificationError, match="revokes nothing"):
        look(world, kit, tmp_path / "st")
    assert not (tmp_path / "st/ledgers").exists()


def test_an_old_withdrawal_of_what_holds_again(world: PublishedWorld, tmp_path: Path) -> None:
    """The channel has moved on; the old record is served under the newest checkpoint."""
    revoke(world, "artifact")
    world.publish("prod", str(tmp_path / "public"))
    old = Public.of(tmp_path / "public").record("prod", "1.0.0")
    world.ship("1.1.0", content=b"x")
    world.to_prod("1.1.0")
    world.publish("prod", str(tmp_path / "public"))
    kit = Public.of(tmp_path / "public").kit(tmp_path / "k.tar", "prod", "1.0.0", record=old)
    with pytest.raises(VerificationError, match="names another move"):
        look(world, kit, tmp_path / "st")


@pytest.mark.parametrize("key", ["log", None])
def test_it_is_not_exported(world: PublishedWorld, tmp_path: Path, key: str | None) -> None:
    """With the ledger's key, or under the newest published checkpoint, which is older than the revocation."""
    revoke(world, "artifact")
    with pytest.raises(PolicyDenied, match=r"1.0.0 may be used no more in dev: the artifact leaked") as caught:
        export(
            world.store,
            world.ledger,
            "1.0.0",
            str(tmp_path / "k.tar"),
            signer=signer(key) if key else None,
            now=world.now,
        )
    assert caught.value.exit_code == 4 and not (tmp_path / "k.tar").exists()


def suspend(world: PublishedWorld, who: str) -> str:
    """By the auditor, alone; returns the reason in the words that consumers read."""
    promotion.suspend(world.store, world.ledger, who, reason=f"{who} is odd", signer=signer("aud"), now=world.now)
    return f"{who} is odd"


@pytest.mark.parametrize(("who", "others"), [("ci", "withdrawn"), ("ann", "valid"), ("pam", "withdrawn")])
def test_a_suspension_is_told_at_once_and_ends(world: PublishedWorld, tmp_path: Path, who: str, others: str) -> None:
    """ci built it and pam moved it everywhere; ann approved it for prod alone."""
    public = tmp_path / "public"
    look(world, public, tmp_path / "st")
    reason = suspend(world, who)
    report = world.publish("prod", str(public))
    assert report.withdrawn and not world.state.void
    for state in ("st", "fresh"):
        with pytest.raises(Withdrawn, match=rf"prod 1.0.0 was withdrawn: {reason} \(.* suspended until ") as told:
            look(world, public, tmp_path / state)
        assert told.value.hint == "do not use it until the owners have settled that"
    targets = tuf_repository.targets_of((public / "metadata/3.targets.json").read_bytes())
    assert any(path.startswith("releases/") for path in targets) is (others == "valid")
    assert world.publish("prod", str(public)).unchanged
    world.later(hours=73)
    with pytest.raises(Withdrawn) as ended:
        look(world, public, tmp_path / "st")
    assert ended.value.hint == "the suspension has ended: ask the publisher to publish again"
    again = world.publish("prod", str(public))
    assert not again.withdrawn and not again.unchanged
    for state in ("st", "fresh2"):
        assert look(world, public, tmp_path / state).verified.channel.version == "1.0.0"
    assert world.publish("prod", str(public)).unchanged


def test_a_suspension_that_is_left_out(world: PublishedWorld, tmp_path: Path) -> None:
    """The record of the time before, under the newest checkpoint, and a withdrawal without its reason."""
    old = Public.of(tmp_path / "public").record("prod", "1.0.0")
    suspend(world, "ci")
    world.publish("prod", str(tmp_path / "public"))
    public = Public.of(tmp_path / "public")
    kit = public.kit(tmp_path / "old.tar", "prod", "1.0.0", record=old, drop={EntryKind.SUSPEND})
    with pytest.raises(VerificationError, match=r"suspended|revoked|not shown that nothing speaks against it"):
        look(world, kit, tmp_path / "st")
    said = public.record("prod", "1.0.0")
    kit = public.kit(tmp_path / "new.tar", "prod", "1.0.0", record=said, drop={EntryKind.SUSPEND})
    with pytest.raises(VerificationError, match="revokes nothing"):
        look(world, kit, tmp_path / "st")
    assert not (tmp_path / "st/ledgers").exists()


def test_what_leans_on_nobody_who_is_suspended_stays(world: PublishedWorld, tmp_path: Path) -> None:
    """ann approved it for prod alone: dev is published as it was, prod is told beside it."""
    suspend(world, "ann")
    assert not world.publish("dev", str(tmp_path / "public")).withdrawn
    assert look(world, tmp_path / "public", tmp_path / "st", "dev").verdict == "valid"
    with pytest.raises(Withdrawn, match="ann is odd"):
        look(world, tmp_path / "public", tmp_path / "st")


def test_a_kit_of_what_leans_on_somebody_suspended(world: PublishedWorld, tmp_path: Path) -> None:
    suspend(world, "ci")
    with pytest.raises(PolicyDenied, match=r"may be used no more in dev: ci is odd \(identity .* suspended until"):
        export(world.store, world.ledger, "1.0.0", str(tmp_path / "k.tar"), signer=signer("log"), now=world.now)
    world.later(hours=73)
    export(world.store, world.ledger, "1.0.0", str(tmp_path / "k.tar"), signer=signer("log"), now=world.now)
    assert look(world, tmp_path / "k.tar", tmp_path / "st").verdict == "valid"


def test_a_suspension_that_ended_is_told_until_the_channel_is_published(world: PublishedWorld, tmp_path: Path) -> None:
    """Only dev is published after it: prod goes on to say why it shows nothing, and who can change that."""
    public = tmp_path / "public"
    suspend(world, "ci")
    world.publish("prod", str(public))
    world.later(hours=73)
    world.publish("dev", str(public))
    assert look(world, public, tmp_path / "st", "dev").verdict == "valid"
    with pytest.raises(Withdrawn, match="ci is odd") as told:
        look(world, public, tmp_path / "st")
    assert told.value.hint == "the suspension has ended: ask the publisher to publish again"
    world.publish("prod", str(public))
    assert {look(world, public, tmp_path / "st", name).verdict for name in ("dev", "prod")} == {"valid"}
