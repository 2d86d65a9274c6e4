"""What was good and only ended: refused from a source that is read now, stale offline, and the same from a kit."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from attest.errors import PolicyDenied, VerificationError
from bundlers.consuming.kits import export
from bundlers.consuming.service import TrustSettings, VerifyReport, verify
from bundlers.errors import Ended
from tests.support.published import PublishedWorld
from tests.support.worlds import NOW, ROLES, identity, signer

DAY = timedelta(days=1)


def until(**days: int) -> dict[str, Any]:
    """Identities whose windows end so many days after the world begins."""
    names = sorted({*ROLES, "log"})
    return {
        "identities": tuple(identity(n, **({"valid_until": NOW + days[n] * DAY} if n in days else {})) for n in names)
    }


def look(world: PublishedWorld, source: Path, offline: bool) -> VerifyReport:
    state = source.parent / f"{source.name}-{offline}-{world.now:%m%d}"
    return verify(str(source), "prod", trust=TrustSettings(str(state)), at=world.now, offline=offline)


def made(tmp_path: Path, lifetime: int = 30, **changes: Any) -> tuple[PublishedWorld, Path, Path]:
    """A publication, and a kit of the same entries at the same time."""
    from bundlers.publishing.layout.tuf_repository import Lifetimes

    world = PublishedWorld.make(str(tmp_path / "store"), **changes)
    world.ship("1.0.0")
    world.to_prod("1.0.0")
    public, kit = tmp_path / "public", tmp_path / "k.tar"
    world.publish("prod", str(public), lifetimes=Lifetimes(timestamp=lifetime, snapshot=lifetime, targets=lifetime))
    export(world.store, world.ledger, "1.0.0", str(kit), channel="prod", signer=signer("log"), now=world.now)
    return world, public, kit


@pytest.mark.parametrize(
    ("changes", "online", "offline"),
    [
        ({}, 30, 30),
        ({"expires": NOW + 10 * DAY}, 10, 10),
        (until(log=5), 30, 30),
        (until(pete=5), 30, 30),
        (until(ann=5, pam=5, ci=5), 30, 30),
    ],
)
@pytest.mark.parametrize("days", [0, 6, 9, 11, 29, 31, 200])
def test_a_kit_and_a_folder_have_one_verdict(
    tmp_path: Path, changes: dict[str, Any], online: int, offline: int, days: int
) -> None:
    world, public, kit = made(tmp_path, **changes)
    world.now += days * DAY
    verdicts = {look(world, public, True).verdict, look(world, kit, True).verdict, look(world, kit, False).verdict}
    assert verdicts == {"valid" if days < offline else "stale"}
    if days < online:
        assert look(world, public, False).verdict == "valid"
    else:
        with pytest.raises(VerificationError, match="expired"):
            look(world, public, False)


def test_the_last_second_before_the_root_ended(tmp_path: Path) -> None:
    world, public, _ = made(tmp_path, expires=NOW + 10 * DAY)
    world.now += 20 * DAY
    assert look(world, public, True).as_of == NOW + 10 * DAY - timedelta(seconds=1)


@pytest.mark.parametrize(("who", "told"), [("log", "sealed the ledger"), ("pete", "is a publisher no more")])
def test_thirty_days_after_a_window_ended(tmp_path: Path, who: str, told: str) -> None:
    """Metadata that lives longer than that does not keep an ended key alive."""
    world, public, _ = made(tmp_path, lifetime=90, **until(**{who: 5}))
    world.now = NOW + 34 * DAY
    assert look(world, public, False).verdict == "valid"
    world.now = NOW + 36 * DAY
    with pytest.raises(Ended, match=told):
        look(world, public, False)
    stale = look(world, public, True)
    assert (stale.verdict, stale.as_of) == ("stale", NOW + 35 * DAY - timedelta(seconds=1))


def test_an_ended_key_seals_nothing_new(tmp_path: Path) -> None:
    """Its holder goes on after the end: by the clock it is refused before anything is written."""
    world, public, _ = made(tmp_path, **until(log=5))
    world.now += 6 * DAY
    with pytest.raises(PolicyDenied, match="has not the role ledger"):
        export(world.store, world.ledger, "1.0.0", str(tmp_path / "new.tar"), signer=signer("log"), now=world.now)
    assert look(world, public, False).verdict == "valid"
