"""A destination to which much was published: what it takes grows with what is shown, not with how often."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from attest.errors import VerificationError
from attest.statements.predicates.publication import PublishedTarget
from bundlers.consuming.service import TrustSettings, verify
from bundlers.publishing import published_check
from bundlers.publishing.layout import target_lists
from bundlers.publishing.outlived import STAY
from casstore.storage.file import FileStorage
from tests.support.published import PublishedWorld


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("long")


@pytest.fixture(scope="module")
def world(place: Path) -> PublishedWorld:
    world = PublishedWorld.make(str(place / "store"))
    for number in range(STAY + 6):
        world.ship(f"1.{number}.0")
        world.promote(f"1.{number}.0", "dev")
        world.publish("dev", str(place / "public"))
        world.later()
    return world


def names(folder: Path) -> set[str]:
    return {os.path.relpath(os.path.join(at, name), folder) for at, _, found in os.walk(folder) for name in found}


def test_what_newer_ones_replaced_goes_and_all_else_stays(world: PublishedWorld, place: Path, tmp_path: Path) -> None:
    public, count = place / "public", STAY + 6
    there = names(public)
    kept = {number for number in range(1, count + 1) if f"metadata/{number}.targets.json" in there}
    assert kept == set(range(count - STAY + 1, count + 1))
    assert len([name for name in there if name.endswith(".dev.json")]) == STAY
    assert len([name for name in there if name.endswith(".dev.objects.tar")]) == STAY
    assert len([name for name in there if name.startswith("ledger/tile/0/000.p/")]) == STAY
    assert len([name for name in there if name.startswith("targets/publications/")]) == count
    assert all(f"releases/1.{number}.0/release.json" in there for number in range(count))
    first = world.state.trust_roots[0].digest
    for at in ("", "again"):
        report = verify(
            str(public),
            "dev",
            trust=TrustSettings(str(tmp_path / "state"), first),
            at=world.now,
            offline=True,
        )
        assert report.verified.channel.version == f"1.{count - 1}.0", at
    checked = published_check.check(FileStorage(str(public)), world.store, world.ledger, "cdn")
    assert (checked.damaged, checked.strangers) == ({}, [])


def test_a_list_is_told_by_what_changed(world: PublishedWorld) -> None:
    rows = world.state.publications["cdn"]
    read = target_lists.reader(world.store.read, rows)
    sizes = [world.store.size(row.statement) for row in rows]
    whole = target_lists.whole(read, len(rows)).targets
    assert {f"releases/1.{number}.0/release.json" for number in range(len(rows))} <= whole.keys()
    assert read(13).since == 12 and read(12).since == 8 and read(8).since == 0
    assert sizes[12] < sizes[7] / 3, "one release's files, not all"
    for number in range(1, len(rows)):
        before, after = (target_lists.whole(read, at).targets for at in (number, number + 1))
        assert before.keys() - after.keys() == set() and len(after) > len(before)


def test_what_is_gone_is_none_of_the_list(world: PublishedWorld) -> None:
    read = target_lists.reader(world.store.read, world.state.publications["cdn"])
    claim = target_lists.whole(read, 12)
    left = {path: target for path, target in claim.targets.items() if not path.startswith("releases/1.3.0/")}
    left["new"] = PublishedTarget(claim.move, 1)
    told = target_lists.told(read, _with(claim, 13, left))
    assert "new" in told.targets and told.gone and all(path.startswith("releases/1.3.0/") for path in told.gone)
    again = target_lists.whole(lambda number: told if number == 13 else read(number), 13)
    assert again.targets == left


def test_a_list_goes_on_from_an_earlier_one_alone(world: PublishedWorld) -> None:
    read = target_lists.reader(world.store.read, world.state.publications["cdn"])
    for since in (13, 14):
        with pytest.raises(VerificationError, match="not earlier"):
            target_lists.whole(lambda number, since=since: _with(read(13), 13, {}, since), 13)  # type: ignore[misc]


def _with(claim, number, targets, since=0):  # type: ignore[no-untyped-def]
    from dataclasses import replace

    return replace(claim, number=number, targets=targets, since=since)
