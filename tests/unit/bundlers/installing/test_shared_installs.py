"""Which of a channel's two releases is installed: nobody chooses but the consumer; going back is no downgrade."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from attest.core import shares as drawing
from attest.digests import sha256
from attest.errors import FormatError, VerificationError
from bundlers.consuming import install_ids
from bundlers.consuming.service import TrustSettings
from bundlers.consuming.state import ConsumerState
from bundlers.installing import install, updating
from bundlers.installing.install import InstallReport
from bundlers.installing.updating import Plan, Update
from casstore import promotion
from tests.support.shared import SharedWorld
from tests.support.worlds import signer


@pytest.fixture
def world(tmp_path: Path) -> SharedWorld:
    made = SharedWorld.make(str(tmp_path / "store"))
    made.begin()
    made.step("1.1.0", 5)
    made.publish("prod", str(tmp_path / "public"))
    return made


def _do(
    world: SharedWorld, tmp_path: Path, *, into: str = "core", state: str = "state", **more: object
) -> InstallReport:
    trust = TrustSettings(str(tmp_path / state))
    options = {"channel": "prod", "into": str(tmp_path / into), "trust": trust, "at": world.now, **more}
    return install.install(str(tmp_path / "public"), "core", **options)  # type: ignore[arg-type]


def _draw(world: SharedWorld, tmp_path: Path, least: int, below: int, state: str = "state") -> None:
    (tmp_path / state).mkdir(exist_ok=True)
    (tmp_path / state / "install-id").write_bytes(world.drawn(least, below))


def test_the_draw_says_who_gets_it_and_a_wider_share_reaches_more(world: SharedWorld, tmp_path: Path) -> None:
    _draw(world, tmp_path, 0, 5, "in")
    _draw(world, tmp_path, 5, 50, "later")
    _draw(world, tmp_path, 50, 99, "out")
    states = ("in", "later", "out")
    first = {state: _do(world, tmp_path, into=f"at-{state}", state=state) for state in states}
    assert [first[state].receipt.version for state in states] == ["1.1.0", "1.0.0", "1.0.0"]
    assert first["in"].share == "5% of prod get 1.1.0, and this installation was drawn"
    assert first["out"].share == "5% of prod get 1.1.0, and this installation was not drawn"
    world.later(days=1)
    world.step("1.1.0", 50)
    world.publish("prod", str(tmp_path / "public"))
    assert [_do(world, tmp_path, into=f"at-{s}", state=s).receipt.version for s in states] == [
        "1.1.0",
        "1.1.0",
        "1.0.0",
    ]
    world.later(days=1)
    world.step("1.1.0", None)
    world.publish("prod", str(tmp_path / "public"))
    last = {state: _do(world, tmp_path, into=f"at-{state}", state=state) for state in states}
    assert {one.receipt.version for one in last.values()} == {"1.1.0"} and not any(one.share for one in last.values())


def test_what_is_taken_back_goes_back_and_is_no_downgrade(world: SharedWorld, tmp_path: Path) -> None:
    _draw(world, tmp_path, 0, 5)
    assert _do(world, tmp_path).receipt.version == "1.1.0"
    world.later(hours=1).rollback("prod")
    world.publish("prod", str(tmp_path / "public"))
    back = _do(world, tmp_path)
    assert (back.receipt.version, back.receipt.previous is not None, back.share) == ("1.0.0", True, "")
    pins = ConsumerState(str(tmp_path / "state")).pins(world.store.store_id, "main")
    assert pins is not None and pins.channels["prod"].number == world.state.channel("prod").number


def test_a_revoked_canary_is_left_for_what_the_channel_names(world: SharedWorld, tmp_path: Path) -> None:
    _draw(world, tmp_path, 0, 5)
    assert _do(world, tmp_path).receipt.version == "1.1.0"
    digest = world.made["1.1.0"].digest
    place = (world.store, world.ledger, digest)
    promotion.revoke(*place, kind="artifact", signer=signer("aud"), now=world.now, reason="it leaks")
    world.publish("prod", str(tmp_path / "public"))
    trust = TrustSettings(str(tmp_path / "state"))
    with pytest.raises(VerificationError, match="which is installed, was revoked: it leaks"):
        install.verify_installed(str(tmp_path / "core"), trust=trust, at=world.now)
    back = _do(world, tmp_path)
    assert back.receipt.version == "1.0.0" and "had was withdrawn: it leaks" in back.share
    with pytest.raises(VerificationError, match="may be used no more"):
        install.install_rollback(str(tmp_path / "core"), trust=trust, at=world.now)


def test_either_is_still_good_once_it_is_installed(world: SharedWorld, tmp_path: Path) -> None:
    for state, (least, below) in {"in": (0, 5), "out": (50, 99)}.items():
        _draw(world, tmp_path, least, below, state)
        _do(world, tmp_path, into=f"at-{state}", state=state)
        trust = TrustSettings(str(tmp_path / state))
        assert not install.verify_installed(str(tmp_path / f"at-{state}"), trust=trust, at=world.now).changed


@pytest.mark.parametrize(("wish", "version"), [("never", "1.0.0"), ("always", "1.1.0")])
def test_the_consumers_own_settings_say_it(world: SharedWorld, tmp_path: Path, wish: str, version: str) -> None:
    plan = Plan(str(tmp_path / "public"), "core", "prod", str(tmp_path / "core"), share=wish)
    trust = TrustSettings(str(tmp_path / "state"))
    done = Update("core", plan, trust, world.now).run()
    assert (done.outcome, done.version, done.exit_code) == (updating.UPDATED, version, 0)
    assert done.share == f'5% of prod get 1.1.0: share is "{wish}" here'
    assert not (tmp_path / "state/install-id").exists(), "nothing was drawn"


def test_an_update_that_was_drawn_fails_its_check_and_goes_back(world: SharedWorld, tmp_path: Path) -> None:
    plan = Plan(str(tmp_path / "public"), "core", "prod", str(tmp_path / "core"), share="never")
    trust = TrustSettings(str(tmp_path / "state"))
    assert Update("core", plan, trust, world.now).run().version == "1.0.0"
    _draw(world, tmp_path, 0, 5)
    check = ("sh", "-c", 'test "$CASSTORE_VERSION" = 1.0.0')
    drawn = Plan(plan.source, "core", "prod", plan.into, check=check, check_tries=1)
    done = Update("core", drawn, trust, world.now).run()
    assert (done.outcome, done.version, done.exit_code) == (updating.RETURNED, "1.0.0", 10)
    assert Update("core", drawn, trust, world.now).run().outcome == updating.HELD


def test_an_install_id_is_drawn_once_and_is_its_owners_alone(tmp_path: Path) -> None:
    state = ConsumerState(str(tmp_path / "state"))
    first = state.install_id()
    path = tmp_path / "state/install-id"
    assert state.install_id() == first and len(first) == 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert ConsumerState(str(tmp_path / "other")).install_id() != first
    path.write_bytes(path.read_bytes().replace(b'"id":"', b'"id":"0'))
    with pytest.raises(VerificationError, match="install-id"):
        state.install_id()


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"8f14", install_ids.made()[:-1], install_ids.made().replace(b"casstore", b"cassturd")]
)
def test_no_install_id(data: bytes) -> None:
    with pytest.raises(FormatError):
        install_ids.parse(data)


def test_the_draw_is_even_grows_with_the_share_and_differs_from_move_to_move() -> None:
    ids = [sha256(str(n).encode()).removeprefix("sha256:") for n in range(4000)]
    one, other = sha256(b"a move"), sha256(b"another")
    reached = {share: {n for n in ids if drawing.reaches(share, bytes.fromhex(n), one)} for share in (1, 5, 25, 50, 99)}
    for share, whom in reached.items():
        assert abs(len(whom) / len(ids) - share / 100) < 0.02
    assert reached[1] < reached[5] < reached[25] < reached[50] < reached[99]
    again = {n for n in ids if drawing.reaches(25, bytes.fromhex(n), other)}
    assert abs(len(again & reached[25]) / len(ids) - 0.0625) < 0.02
