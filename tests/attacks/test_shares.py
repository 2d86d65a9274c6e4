"""Who picks the luck of others, or their own: a mirror, a publisher, a promoter, while a release comes to a share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bundlers.consuming.service import TrustSettings, verify
from bundlers.consuming.state import ConsumerState
from bundlers.installing.install import install
from casstore import promotion
from tests.support.forged import Forged, refuse
from tests.support.shared import SharedWorld
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


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda v: v.pop("canary"), "of a canary than the ledger"),
        (lambda v: v["canary"].update(share=50), "of a canary than the ledger"),
        (lambda v: v["canary"].update(share=100), "whole percentage"),
        (lambda v: v["canary"].update(version="1.0.0"), "of a canary than the ledger"),
        (lambda v: v["canary"].update(release=v["release"]), "of a canary than the ledger"),
        (lambda v: v["canary"]["began"].update(digest=v["trustRoot"]["digest"]), "of a canary than the ledger"),
        (lambda v: v["canary"].update(products=v["products"]), "another archive"),
        (lambda v: v["canary"]["products"].pop("agent"), "its builds"),
        (lambda v: v.update(release=v["canary"]["release"], version="1.1.0"), "something else than the ledger"),
        (
            lambda v: v.update(release=v["canary"]["release"], version="1.1.0", products=v["canary"]["products"]),
            "another archive",
        ),
        (lambda v: v["canary"].update(withdrawn=[0]), "nothing of it was taken away"),
    ],
)
def test_nobody_is_shown_one_of_the_two_or_another_share(
    world: SharedWorld, tmp_path: Path, change: Callable[[dict[str, Any]], None], match: str
) -> None:
    """As a publisher, or a mirror with all its keys, may try with somebody whom it has chosen."""
    forged = _public(world, tmp_path)
    forged.edit("channels/prod.json", change)
    refuse(world, forged, match)


def test_an_older_share_and_a_canary_that_was_taken_back_are_not_served_again(
    world: SharedWorld, tmp_path: Path
) -> None:
    first = _public(world, tmp_path)
    world.later(days=1)
    world.step("1.1.0", 50)
    second = _public(world, tmp_path)
    wider = second.judged(world).pins
    refuse(world, first, "smaller|seen before", pins=wider)
    world.later(hours=1).rollback("prod")
    found = _public(world, tmp_path).judged(world, pins=wider)
    assert (found.version, found.action, found.canary) == ("1.0.0", "rollback", None)
    refuse(world, second, "smaller|seen before", pins=found.pins)


def test_an_older_record_under_the_newest_seal_is_refused(world: SharedWorld, tmp_path: Path) -> None:
    """Also to somebody who remembers nothing: the take-back is not withheld where its seal is shown."""
    old = _public(world, tmp_path)
    world.later(hours=1).rollback("prod")
    forged = _public(world, tmp_path)
    for path in ("channels/prod.json", "channels/prod.objects.tar"):
        forged.targets[path] = old.targets[path]
    refuse(world, forged, "the sealed state names another move|is not shown|is missing")


def test_a_promoter_who_leaves_a_step_out_is_refused_by_the_consumer_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The publisher's own house is bent: it takes what the policy refuses, and seals it."""
    world = SharedWorld.make(str(tmp_path / "store"))
    world.begin()
    with monkeypatch.context() as bent:
        bent.setattr("attest.judging.steps.judge", lambda *_: None)
        bent.setattr("attest.judging.steps.next_share", lambda *_: 50)
        world.step("1.1.0", 50)
        forged = _public(world, tmp_path)
    refuse(world, forged, "the next step is 5%, not 50%")


def test_a_soak_that_was_not_over_is_seen_by_the_consumer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = SharedWorld.make(str(tmp_path / "store"))
    world.begin()
    world.step("1.1.0", 5)
    world.later(hours=1)
    with monkeypatch.context() as bent:
        bent.setattr("attest.judging.steps._soaked", lambda *_: None)
        world.step("1.1.0", 50)
        forged = _public(world, tmp_path)
    refuse(world, forged, "it ran 3600 seconds of 24 hours at 5%")


def test_a_promoter_cannot_aim_at_an_installation_whose_id_is_not_known(world: SharedWorld, tmp_path: Path) -> None:
    """The id is drawn before the move, and is in nothing that is published or asked for."""
    state = ConsumerState(str(tmp_path / "state"))
    drawn = state.install_id()
    _public(world, tmp_path)
    trust = TrustSettings(str(tmp_path / "state"))
    verify(str(tmp_path / "public"), "prod", trust=trust, at=world.now)
    kept = [path for path in tmp_path.rglob("*") if path.is_file() and drawn.hex().encode() in path.read_bytes()]
    assert kept == [tmp_path / "state" / "install-id"]


def test_a_consumer_who_was_not_drawn_gets_nothing_by_asking_again(world: SharedWorld, tmp_path: Path) -> None:
    """Another folder, another mirror, another run: the same id and the same move, wherever it is read."""
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "install-id").write_bytes(world.drawn(50, 99))
    for number in range(3):
        public = str(tmp_path / f"public-{number}")
        world.publish("prod", public)
        trust = TrustSettings(str(tmp_path / "state"))
        into = str(tmp_path / f"core-{number}")
        report = install(public, "core", channel="prod", into=into, trust=trust, at=world.now)
        assert report.receipt.version == "1.0.0"


def test_a_canary_is_not_called_withdrawn_by_what_has_nothing_to_do_with_it(world: SharedWorld, tmp_path: Path) -> None:
    """So whom a publisher, or who hands over a kit, would keep from it gets it all the same."""
    world.ship("1.2.0", content=b"other")
    place = (world.store, world.ledger, world.made["1.2.0"].digest)
    promotion.revoke(*place, kind="artifact", signer=signer("aud"), now=world.now, reason="it leaks")
    world.revoke_identity("bob")
    forged = _public(world, tmp_path)
    gone = [row.entry for row in world.state.revocations]
    for entries in ([gone[0]], [gone[1]], gone):
        forged.edit("channels/prod.json", lambda v, e=entries: v["canary"].update(withdrawn=e, products={}))
        refuse(world, forged, "nothing of it was taken away")
