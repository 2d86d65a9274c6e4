"""A mirror without any key: it has everything that was ever published, and chooses what to show."""

from __future__ import annotations

from pathlib import Path

import pytest

from attest.errors import CasstoreError
from bundlers.consuming.service import TrustSettings, verify
from casstore import promotion
from casstore.ledger.entries import EntryKind
from tests.support.adversary import Public
from tests.support.published import PublishedWorld
from tests.support.worlds import signer


@pytest.fixture
def world(tmp_path: Path) -> PublishedWorld:
    """1.1.0 was in prod, was rolled back and revoked; all of it was published on the way."""
    made = PublishedWorld.make(str(tmp_path / "store"))
    public = str(tmp_path / "public")
    for version in ("1.0.0", "1.1.0"):
        made.ship(version, content=version.encode())
        made.to_prod(version)
        made.publish("prod", public)
        made.later()
    made.rollback("prod")
    promotion.revoke(
        made.store, made.ledger, "1.1.0", kind="artifact", reason="a back door", signer=signer("aud"), now=made.now
    )
    made.publish("prod", public)
    return made


def _verdict(world: PublishedWorld, kit: Path) -> CasstoreError:
    root = world.state.trust_roots[0].digest
    with pytest.raises(CasstoreError) as caught:
        verify(str(kit), "prod", trust=TrustSettings(str(kit) + ".state", root), at=world.now, offline=True)
    return caught.value


def test_the_newest_state_is_shown(world: PublishedWorld, tmp_path: Path) -> None:
    found = verify(str(tmp_path / "public"), "prod", trust=TrustSettings(str(tmp_path / "st")), at=world.now)
    assert found.verified.channel.version == "1.0.0"


@pytest.mark.parametrize("dropped", [{EntryKind.REVOKE}, {EntryKind.REVOKE, EntryKind.ROLLBACK}, set()])
def test_an_old_head_under_the_newest_checkpoint(
    world: PublishedWorld, tmp_path: Path, dropped: set[EntryKind]
) -> None:
    """The revocation and the rollback are left out of the proof; every signature in it is genuine."""
    public = Public.of(tmp_path / "public")
    error = _verdict(world, public.kit(tmp_path / "forged.tar", "prod", "1.1.0", drop=dropped))
    assert error.exit_code == 3 and "names another move" in error.message


def test_an_old_head_with_the_leaves_of_its_time(world: PublishedWorld, tmp_path: Path) -> None:
    """The state that was sealed then does not lead to the root of the newest seal."""
    public = Public.of(tmp_path / "public")
    error = _verdict(world, public.kit(tmp_path / "forged.tar", "prod", "1.1.0", old_leaves=True))
    assert error.exit_code == 3 and "not shown that nothing speaks against it" in error.message


def test_a_checkpoint_that_does_not_end_in_a_seal(world: PublishedWorld, tmp_path: Path) -> None:
    """The proof without its last entry proves nothing of what was left out."""
    public = Public.of(tmp_path / "public")
    error = _verdict(world, public.kit(tmp_path / "forged.tar", "prod", "1.0.0", drop={EntryKind.SEAL}))
    assert error.exit_code == 3 and "does not end in a seal" in error.message


def test_a_genuine_set_of_files_makes_a_kit_that_verifies(world: PublishedWorld, tmp_path: Path) -> None:
    """So the refusals above are those of the lie, not of how the kit was made."""
    kit = Public.of(tmp_path / "public").kit(tmp_path / "true.tar", "prod", "1.0.0")
    found = verify(str(kit), "prod", trust=TrustSettings(str(tmp_path / "st")), at=world.now, offline=True)
    assert found.verified.channel.version == "1.0.0"
