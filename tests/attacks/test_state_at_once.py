"""Commands at once, and mirrors that answer late: what was seen stays seen."""

from __future__ import annotations

import shutil
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from attest.digests import sha256
from attest.errors import VerificationError
from bundlers.consuming import service
from bundlers.consuming.service import TrustSettings, Verified, verify
from bundlers.consuming.state import ConsumerState, PinnedMove, Pins, merged
from tests.support.published import PublishedWorld

BASE = Pins("s", "main", sha256(b"1"), 1, sha256(b"r1"), 10, sha256(b"c10"), {"prod": PinnedMove(5, sha256(b"m5"))})


def seen(size: int, **channels: int) -> Pins:
    moves = {name: PinnedMove(number, sha256(b"m%d" % number)) for name, number in channels.items()}
    return replace(BASE, checkpoint_size=size, root_hash=sha256(b"c%d" % size), channels=moves)


def test_channels_of_commands_at_once_are_all_kept(tmp_path: Path) -> None:
    state = ConsumerState(str(tmp_path))
    threads = [
        threading.Thread(target=state.save, args=(seen(10 + n, **{f"c{n}": n, "prod": 5 + n}), None)) for n in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = state.pins("s", "main")
    assert found is not None and set(found.channels) == {"prod", *(f"c{n}" for n in range(12))}
    assert found.channels["prod"].number == 16


def test_an_older_one_that_is_saved_later_turns_nothing_back() -> None:
    now = seen(20, prod=15, dev=3)
    made = merged(now, BASE, seen(12, prod=11))
    assert made == now


def test_a_checkpoint_goes_on_only_from_where_it_was_proven() -> None:
    """A longer one that was held against an older pin may be another branch: the next command finds out."""
    now, longer = seen(20, prod=15), seen(30, prod=25)
    assert merged(now, BASE, longer).checkpoint_size == 20
    assert merged(now, now, longer).checkpoint_size == 30
    assert merged(now, BASE, longer).channels["prod"].number == 25


@pytest.mark.parametrize("field", ["root_hash", "trust_root", "first_trust_root"])
def test_two_histories_are_told(field: str) -> None:
    with pytest.raises(VerificationError, match="another one than was seen meanwhile"):
        merged(BASE, None, replace(BASE, **{field: sha256(b"other")}))
    move = {"prod": PinnedMove(5, sha256(b"other"))}
    with pytest.raises(VerificationError, match="move of prod 5"):
        merged(BASE, None, replace(BASE, channels=move))


def test_a_slow_command_on_an_old_mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It verified the old state; before it remembers, another one has seen the new one. The old mirror is out after."""
    world = PublishedWorld.make(str(tmp_path / "store"))
    public, mirror, trust = tmp_path / "public", tmp_path / "mirror", TrustSettings(str(tmp_path / "st"))
    world.ship("1.0.0")
    world.to_prod("1.0.0")
    world.publish("prod", str(public))
    shutil.copytree(public, mirror)
    world.ship("1.1.0", content=b"x")
    world.to_prod("1.1.0")
    world.publish("prod", str(public))
    real = service.remember

    def late(found: Verified, settings: TrustSettings) -> None:
        monkeypatch.setattr(service, "remember", real)
        verify(str(public), "prod", trust=trust, at=world.now)
        real(found, settings)

    monkeypatch.setattr(service, "remember", late)
    assert verify(str(mirror), "prod", trust=trust, at=world.now).verified.channel.version == "1.0.0"
    with pytest.raises(VerificationError, match="seen before"):
        verify(str(mirror), "prod", trust=trust, at=world.now)
    assert verify(str(public), "prod", trust=trust, at=world.now).verified.channel.version == "1.1.0"
