"""What was published is held against the store, and mended from there."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from bundlers.publishing.published_check import check, mend
from casstore.errors import NoSuchObject
from casstore.storage import open_storage
from tests.support.published import PublishedWorld


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> PublishedWorld:
    folder = tmp_path_factory.mktemp("published")
    made = PublishedWorld.make(str(folder / "store"))
    for version in ("1.0.0", "1.1.0"):
        made.ship(version)
        made.later().promote(version, "dev")
        made.later().publish("dev", str(folder / "public"))
    return made


@pytest.fixture
def public(world: PublishedWorld, tmp_path: Path) -> Path:
    shutil.copytree(Path(world.store.url).parent / "public", tmp_path / "public")
    return tmp_path / "public"


def test_a_whole_publication_is_whole(world: PublishedWorld, public: Path) -> None:
    (public / "desktop.ini").write_text("[x]")
    report = check(open_storage(str(public)), world.store, world.ledger, "cdn")
    assert (report.damaged, report.strangers) == ({}, ["desktop.ini"])
    assert report.files > 50
    with pytest.raises(NoSuchObject, match="nothing was published to elsewhere"):
        check(open_storage(str(public)), world.store, world.ledger, "elsewhere")


def test_what_only_an_earlier_publication_showed_is_missed_by_nobody(world: PublishedWorld, public: Path) -> None:
    listed = (public / "metadata/2.targets.json").read_text()
    records = [path for path in public.glob("targets/channels/*.dev.json") if path.name.partition(".")[0] not in listed]
    assert len(records) == 1
    records[0].unlink()
    assert check(open_storage(str(public)), world.store, world.ledger, "cdn").damaged == {}


def test_what_the_store_has_is_mended_byte_for_byte(world: PublishedWorld, public: Path) -> None:
    """Every kind of damage and of file: `tests/faults/test_every_published_file.py`."""
    path = next(public.glob("targets/archives/*.zip"))
    raw, storage = path.read_bytes(), open_storage(str(public))
    path.unlink()
    path.write_bytes(raw[:-1])
    report = check(storage, world.store, world.ledger, "cdn")
    assert list(report.damaged) == [str(path.relative_to(public))]
    mend(storage, world.store, report)
    assert path.read_bytes() == raw and report.damaged == {}
    assert not [path for path in public.rglob(".*") if path.is_file()]
