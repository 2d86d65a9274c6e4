"""The way back to a version that counts no more: whoever broke the newest one would have people go there."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from attest.digests import Digest
from attest.errors import VerificationError
from bundlers.consuming.service import TrustSettings
from bundlers.installing.install import InstallReport, install, install_rollback, verify_installed
from bundlers.installing.installed import InstalledFolder
from casstore import promotion
from tests.support.published import PublishedWorld
from tests.support.worlds import signer


@pytest.fixture
def world(tmp_path: Path) -> PublishedWorld:
    """1.0.0, then 1.1.0 are installed from prod; 1.1.0 is in force."""
    made = PublishedWorld.make(str(tmp_path / "store"))
    for version in ("1.0.0", "1.1.0"):
        made.ship(version, content=version.encode())
        made.to_prod(version)
        made.publish("prod", str(tmp_path / "public"))
        get(made, tmp_path)
        made.later(hours=1)
    return made


def get(world: PublishedWorld, tmp_path: Path) -> InstallReport:
    trust = TrustSettings(str(tmp_path / "st"))
    return install(
        str(tmp_path / "public"), "core", channel="prod", into=str(tmp_path / "core"), trust=trust, at=world.now
    )


def back(world: PublishedWorld, tmp_path: Path, *, offline: bool = False) -> InstallReport:
    trust = TrustSettings(str(tmp_path / "st"))
    return install_rollback(str(tmp_path / "core"), trust=trust, at=world.now, offline=offline)


def in_force(tmp_path: Path) -> str:
    folder = InstalledFolder(str(tmp_path / "core"))
    name = folder.current()
    return folder.receipt(name).version if name else ""


def revoke(world: PublishedWorld, subject: str, kind: str = "artifact") -> None:
    promotion.revoke(
        world.store, world.ledger, subject, kind=kind, reason="it leaks", signer=signer("aud"), now=world.now
    )


def tree(world: PublishedWorld) -> Digest:
    return world.made["1.0.0"].components["core-bin"]


def other_archive(world: PublishedWorld) -> Digest:
    return world.made["1.0.0"].builds["agent"].archive.digest


def a_file(world: PublishedWorld) -> Digest:
    from attest.digests import sha256

    return sha256(b"core" * 1000 + b"1.0.0" + b"1.0.0")


@pytest.mark.parametrize("what", [tree, other_archive, a_file], ids=["tree", "archive of another product", "file"])
def test_never_to_what_was_revoked(world: PublishedWorld, tmp_path: Path, what: object) -> None:
    revoke(world, what(world))  # type: ignore[operator]
    world.publish("prod", str(tmp_path / "public"))
    with pytest.raises(VerificationError, match=r"the version before, 1.0.0, may be used no more: it leaks"):
        back(world, tmp_path)
    assert in_force(tmp_path) == "1.1.0"


def test_never_to_what_a_leaked_key_approved(world: PublishedWorld, tmp_path: Path) -> None:
    """ann approved both; bob and paul approve 1.2.0, and then her key leaks."""
    world.ship("1.2.0", content=b"x")
    world.promote("1.2.0", "dev")
    for channel in ("staging", "prod"):
        for who in ("bob", "builder-bob") if channel == "prod" else ("bob",):
            world.approve("1.2.0", channel, who)
        world.promote("1.2.0", channel)
    world.revoke_identity(signer("ann").identity, reason="ann's key leaked")
    world.publish("prod", str(tmp_path / "public"))
    assert get(world, tmp_path).receipt.version == "1.2.0"
    with pytest.raises(VerificationError, match=r"1.1.0, may be used no more: ann's key leaked \(identity key:"):
        back(world, tmp_path)
    assert in_force(tmp_path) == "1.2.0"


def test_a_builder_who_leaked_from_an_entry_on(world: PublishedWorld, tmp_path: Path) -> None:
    """What ci made before the leak stays good to go back to; what it made after is withdrawn, and left."""
    leaked = next(info.number for info in world.state.releases.values() if info.version == "1.1.0")
    world.revoke_identity("ci", from_entry=leaked, reason="ci leaked")
    world.publish("prod", str(tmp_path / "public"))
    with pytest.raises(VerificationError, match="ci leaked"):
        get(world, tmp_path)
    assert back(world, tmp_path).receipt.version == "1.0.0" and in_force(tmp_path) == "1.0.0"


def test_a_builder_whose_key_leaked(world: PublishedWorld, tmp_path: Path) -> None:
    world.revoke_identity("ci", reason="ci leaked")
    world.publish("prod", str(tmp_path / "public"))
    with pytest.raises(VerificationError, match=r"1\.0\.0, may be used no more: ci leaked"):
        back(world, tmp_path)


def test_what_was_heard_is_not_forgotten(world: PublishedWorld, tmp_path: Path) -> None:
    """The source is gone, or an old mirror stands in its place: what was heard once counts."""
    shutil.copytree(tmp_path / "public", tmp_path / "mirror")
    revoke(world, world.made["1.0.0"].builds["core"].archive.digest)
    world.publish("prod", str(tmp_path / "public"))
    assert verify_installed(str(tmp_path / "core"), trust=TrustSettings(str(tmp_path / "st")), at=world.now)
    shutil.rmtree(tmp_path / "public")
    for there in (False, True):
        if there:
            shutil.copytree(tmp_path / "mirror", tmp_path / "public")
        with pytest.raises(VerificationError, match="it leaks"):
            back(world, tmp_path)
    assert in_force(tmp_path) == "1.1.0"


def test_where_nobody_can_be_asked_it_goes_and_says_so(world: PublishedWorld, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "public")
    report = back(world, tmp_path)
    assert "public" in report.unasked and in_force(tmp_path) == "1.0.0"
    assert report.to_json()["unasked"] == report.unasked


def test_a_suspension_ends(world: PublishedWorld, tmp_path: Path) -> None:
    promotion.suspend(world.store, world.ledger, "ci", reason="odd", signer=signer("aud"), now=world.now)
    world.publish("prod", str(tmp_path / "public"))
    for _ in range(2):
        with pytest.raises(VerificationError, match=r"odd \(identity .* suspended until"):
            back(world, tmp_path)
        shutil.rmtree(tmp_path / "public", ignore_errors=True)
    world.now += timedelta(hours=73)
    assert back(world, tmp_path).receipt.version == "1.0.0"


def test_the_publisher_went_back_himself(world: PublishedWorld, tmp_path: Path) -> None:
    """prod holds 1.0.0 again by paul; pam, who moved it first, is revoked since: decided anew it holds."""
    moved = world.state.count
    world.rollback("prod", by="paul")
    world.revoke_identity("pam", from_entry=moved, reason="pam left in anger")
    world.publish("prod", str(tmp_path / "public"))
    report = back(world, tmp_path)
    assert report.receipt.version == "1.0.0" and not report.unasked
