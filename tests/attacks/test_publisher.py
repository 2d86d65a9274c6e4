"""Whoever signs TUF metadata with a key that the trust root does not know, or knows no more; and a key that is lost."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from attest.errors import CasstoreError, SignerError, TrustError, VerificationError
from attest.keys import keys
from attest.signers import Signer, from_private_key
from bundlers.consuming.service import TrustSettings, VerifyReport, verify
from bundlers.publishing.layout import tuf_bond, tuf_repository
from bundlers.publishing.layout.destinations import DestinationSettings
from bundlers.publishing.layout.tuf_repository import TufSigners
from bundlers.publishing.publication import PublishSigners, publish_to
from bundlers.publishing.reports import PublishReport
from tests.support.published import PublishedWorld
from tests.support.worlds import signer


@pytest.fixture
def world(tmp_path: Path) -> PublishedWorld:
    """1.0.0 is in prod and was published by pete."""
    made = PublishedWorld.make(str(tmp_path / "store"))
    made.ship("1.0.0")
    made.to_prod("1.0.0")
    made.publish("prod", str(tmp_path / "public"))
    return made


def look(world: PublishedWorld, folder: Path, state: Path, *, pin: bool = True, **options: Any) -> VerifyReport:
    root = world.state.trust_roots[0].digest if pin else None
    return verify(str(folder), "prod", trust=TrustSettings(str(state), root, **options), at=world.now)


def publish(world: PublishedWorld, folder: Path, by: str, *root: str, reset: bool = False) -> PublishReport:
    settings = DestinationSettings("cdn", str(folder))
    signers = PublishSigners(signer(by), signer("log"), tuple(map(signer, root)), reset)
    return publish_to(world.store, world.ledger, "prod", settings, signers, now=world.now)


def sign_anew(folder: Path, by: Signer, world: PublishedWorld, *, number: int | None = None, anew: int = 0) -> None:
    """TUF metadata by any key over the very targets; `anew`: as the root of that version, which says that it starts."""
    top = folder / "metadata"
    shown = tuf_repository.version_of((top / "timestamp.json").read_bytes())
    targets = tuf_repository.targets_of((top / f"{shown}.targets.json").read_bytes())
    signers = TufSigners.single(by)
    previous = (top / f"{anew - 1}.root.json").read_bytes() if anew else None
    root = tuf_repository.next_root(previous, signers, now=world.now, publishers={by.identity} if anew else None)
    assert root is not None
    number = number or shown
    for name in (f"{anew or 1}.root.json", f"{number}.targets.json", f"{number}.snapshot.json"):
        (top / name).unlink(missing_ok=True)
    (top / f"{anew or 1}.root.json").write_bytes(root)
    made = tuf_repository.make_metadata(number, root, targets, signers, now=world.now, existing=lambda _: None)
    for file in made:
        (top / file.name).write_bytes(file.data)


@pytest.mark.parametrize("pin", [True, False])
def test_a_repository_under_a_made_up_key(world: PublishedWorld, tmp_path: Path, pin: bool) -> None:
    """Every target is genuine; who fetches for the first time has the one pin, or none."""
    assert look(world, tmp_path / "public", tmp_path / "honest", pin=pin).verdict == "valid"
    sign_anew(tmp_path / "public", from_private_key(keys.generate()), world)
    with pytest.raises(TrustError, match="is no publisher of trust root version 1") as caught:
        look(world, tmp_path / "public", tmp_path / "st", pin=pin)
    assert caught.value.exit_code == 3 and not (tmp_path / "st/ledgers").exists()


def test_somebody_elses_chain_of_trust_roots(world: PublishedWorld, tmp_path: Path) -> None:
    """A stranger's plain trust root beside genuine targets: the given digest is another's."""
    other = PublishedWorld.make(str(tmp_path / "other"))
    other.ship("1.0.0")
    other.to_prod("1.0.0")
    other.publish("prod", str(tmp_path / "others"))
    shutil.copy(tmp_path / "others/trust-root/1.json", tmp_path / "public/trust-root/1.json")
    with pytest.raises(TrustError, match="that was given or pinned"):
        look(world, tmp_path / "public", tmp_path / "st")


def test_a_publisher_who_was_revoked(world: PublishedWorld, tmp_path: Path) -> None:
    """pete's key leaked: what pia published for another place is signed anew by him."""
    world.revoke_identity("pete", reason="leaked")
    settings = DestinationSettings("else", str(tmp_path / "else"))
    publish_to(world.store, world.ledger, "prod", settings, PublishSigners(signer("pia"), signer("log")), now=world.now)
    assert look(world, tmp_path / "else", tmp_path / "honest").verdict == "valid"
    sign_anew(tmp_path / "else", signer("pete"), world)
    with pytest.raises(TrustError, match="was revoked"):
        look(world, tmp_path / "else", tmp_path / "st")


def test_a_lost_key_ends_no_destination(world: PublishedWorld, tmp_path: Path) -> None:
    """Nobody has pete's key any more. The owners name another; who pinned TUF's first root follows."""
    public = tmp_path / "public"
    look(world, public, tmp_path / "old")
    entries = world.state.count
    with pytest.raises(SignerError, match="TUF root"):
        publish(world, public, "pia", "pia")
    assert world.state.count == entries
    world.rotate("pete")
    assert publish(world, public, "pete#2").number == 2
    assert tuf_bond.ANEW in (public / "metadata/2.root.json").read_text()
    for state in ("old", "old", "new"):
        assert look(world, public, tmp_path / state).verdict == "valid"
    world.later(days=16)
    assert publish(world, public, "pete#2").number == 3, "and it goes on from there"
    assert look(world, public, tmp_path / "old").verified.channel.version == "1.0.0"
    assert not (public / "metadata/3.root.json").exists()


def test_an_interrupted_publication_of_a_lost_key_is_left_behind(
    world: PublishedWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its files are there, signed by the old key, but for the pointer."""
    public = tmp_path / "public"
    before = (public / "metadata/timestamp.json").read_bytes()
    world.later(days=16)
    publish(world, public, "pete")
    (public / "metadata/timestamp.json").write_bytes(before)
    world.rotate("pete")
    assert publish(world, public, "pete#2").number == 3
    assert look(world, public, tmp_path / "st").verdict == "valid"


def test_who_starts_tuf_anew_is_a_publisher_of_today(world: PublishedWorld, tmp_path: Path) -> None:
    """The same file under a stranger's key, or while the old key is a publisher still."""
    public = tmp_path / "public"
    look(world, public, tmp_path / "st")
    for by in (from_private_key(keys.generate()), signer("pia")):
        shutil.rmtree(tmp_path / "forged", ignore_errors=True)
        shutil.copytree(public, tmp_path / "forged")
        sign_anew(tmp_path / "forged", by, world, anew=2)
        with pytest.raises(CasstoreError) as caught:
            look(world, tmp_path / "forged", tmp_path / f"st-{by.identity[-6:]}")
        assert caught.value.exit_code == 3


def test_starting_anew_turns_nothing_back(world: PublishedWorld, tmp_path: Path) -> None:
    """Numbers that were seen stay the least, unless the new root says that somebody counted them up."""
    public = tmp_path / "public"
    for _ in range(2):
        world.later(days=16)
        publish(world, public, "pete")
    look(world, public, tmp_path / "st")
    world.rotate("pete")
    shutil.copytree(public, tmp_path / "mirror")
    publish(world, tmp_path / "mirror", "pete#2")
    sign_anew(tmp_path / "mirror", signer("pete#2"), world, number=2, anew=2)
    url = tmp_path / "mirror"
    shutil.rmtree(public)
    url.rename(public)
    with pytest.raises(VerificationError, match="3 was seen before TUF was started anew"):
        look(world, public, tmp_path / "st")
    assert look(world, public, tmp_path / "fresh").verdict == "valid"


def test_numbers_that_a_thief_counted_up_are_forgotten(world: PublishedWorld, tmp_path: Path) -> None:
    """With pete's key somebody published number 9000 over his targets, which a consumer saw."""
    public = tmp_path / "public"
    thief = tmp_path / "keep"
    shutil.copytree(public, thief)
    sign_anew(public, signer("pete"), world, number=9000)
    shutil.copy(thief / "metadata/1.root.json", public / "metadata/1.root.json")
    assert look(world, public, tmp_path / "st").verdict == "valid"
    world.rotate("pete")
    with pytest.raises(CasstoreError, match="9000"):
        publish(world, public, "pete#2")
    assert publish(world, public, "pete#2", reset=True).number == 2
    assert look(world, public, tmp_path / "st").verdict == "valid"
