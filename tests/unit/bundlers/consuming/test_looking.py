"""A destination is looked at as a consumer looks, and mended from the store."""

from __future__ import annotations

from pathlib import Path

import pytest

from bundlers.consuming import looking, readback
from bundlers.consuming.looking import Look
from bundlers.publishing.layout.destinations import DestinationSettings
from bundlers.publishing.publication import publish_to
from bundlers.publishing.reports import PublishReport
from casstore import promotion
from tests.support.published import PublishedWorld
from tests.support.worlds import signer


@pytest.fixture
def world(tmp_path: Path) -> PublishedWorld:
    made = PublishedWorld.make(str(tmp_path / "store"))
    made.ship("1.0.0")
    made.to_prod("1.0.0")
    made.publish("prod", str(tmp_path / "public"))
    return made


def look(world: PublishedWorld, public: Path) -> Look:
    first = world.state.trust_roots[0].digest
    return looking.look("cdn", str(public), "prod", first=first, at=world.now, network=None, archives=True)


def repaired(world: PublishedWorld, public: Path) -> PublishReport:
    settings = DestinationSettings("cdn", str(public))
    return publish_to(
        world.store,
        world.ledger,
        "prod",
        settings,
        world.signers,
        now=world.now,
        read_back=readback.check,
        repair=True,
    )


def test_it_says_what_is_shown_and_until_when(world: PublishedWorld, tmp_path: Path) -> None:
    seen = look(world, tmp_path / "public")
    assert (seen.verdict, seen.version, seen.exit_code) == ("valid", "1.0.0", 0)
    assert not seen.ends_soon(world.now) and "until 2026-03-31" in seen.told
    world.later(days=25)
    assert look(world, tmp_path / "public").ends_soon(world.now)
    world.later(days=10)
    seen = look(world, tmp_path / "public")
    assert (seen.verdict, seen.exit_code) == ("refused", 3) and "expired" in seen.told
    assert look(world, tmp_path / "nowhere").exit_code == 8


def test_a_withdrawal_is_well(world: PublishedWorld, tmp_path: Path) -> None:
    store, ledger = world.store, world.ledger
    promotion.revoke(store, ledger, "1.0.0", kind="artifact", reason="bad", signer=signer("aud"), now=world.now)
    seen = look(world, tmp_path / "public")
    assert seen.verdict == "valid", "it was not told yet"
    world.publish("prod", str(tmp_path / "public"))
    seen = look(world, tmp_path / "public")
    assert (seen.verdict, seen.exit_code) == ("withdrawn", 0) and "bad" in seen.told


@pytest.mark.parametrize("name", ["timestamp.json", "1.snapshot.json", "1.targets.json"])
@pytest.mark.parametrize("lost", [True, False])
def test_metadata_is_mended_or_followed(world: PublishedWorld, tmp_path: Path, name: str, lost: bool) -> None:
    path = tmp_path / "public/metadata" / name
    path.unlink()
    if not lost:
        path.write_bytes(b"{}")
    assert look(world, tmp_path / "public").exit_code
    repaired(world, tmp_path / "public")
    assert look(world, tmp_path / "public").exit_code == 0
