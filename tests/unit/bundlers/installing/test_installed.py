"""The installed folder: one switch, receipts, foreign folders, pointer files."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from attest.digests import Digest, sha256
from attest.errors import BadInput, FormatError
from bundlers.installing.installed import InstalledFolder
from bundlers.installing.receipts import Receipt, same_but_for_time
from bundlers.products.product_manifests import ComponentTree, ProductFile, ProductManifest
from casstore.errors import Conflict, NoSuchObject
from casstore.ledger.states.views import RecordedSigner
from casstore.objects import small_records

WHEN = datetime(2026, 7, 1, 10, tzinfo=UTC)
ANY = sha256(b"any")
MANIFEST = ProductManifest(
    "core", "tar.gz", {"c": ComponentTree(ANY)}, (ProductFile("bin/core", 0o755, 1, ANY, component="c"),)
)


def receipt(version: str = "1.2.0", archive: Digest = ANY, previous: str | None = None) -> Receipt:
    return Receipt(
        store="s", ledger="main", channel="prod", product="core", build="default", platform="",
        version=version, release=ANY,
        archive_name="core-1.2.0.tar.gz", archive=archive, archive_size=3, product_manifest=ANY, move_number=4,
        move=ANY, trust_root_version=1, trust_root=ANY, checkpoint_size=5, root_hash=ANY, evidence=(ANY,),
        approved_by=("alice",), made=(ANY,), attestations=(ANY,), signers=(RecordedSigner("key:x", 4),),
        source="./public", verdict="valid", as_of=WHEN, installed_at=WHEN, previous=previous,
    )  # fmt: skip


def test_receipt_round_trip() -> None:
    one = receipt()
    assert Receipt.parse(one.to_bytes()) == one
    assert one.name == "1.2.0-" + ANY[7:19]
    assert same_but_for_time(one, replace(one, previous=one.name, source="x"))
    assert not same_but_for_time(one, replace(one, move_number=9))


@pytest.mark.parametrize(
    "change", [("format", "x"), ("verdict", "maybe"), ("previous", "../../etc"), ("release", "sha256:1"), ("store", 1)]
)
def test_odd_receipts_are_refused(change: tuple[str, object]) -> None:
    from attest import canonical

    value = {**receipt().to_json(), change[0]: change[1]}
    with pytest.raises(FormatError, match="token"):
        Receipt.parse(canonical.dumps(value))
    with pytest.raises(FormatError) as told:
        Receipt.parse(canonical.dumps(small_records.sealed(value)))
    assert "token" not in told.value.message


@pytest.mark.parametrize("links", [True, False])
def test_switch_and_previous(tmp_path: Path, links: bool) -> None:
    folder = InstalledFolder(str(tmp_path / "core"), links=links)
    folder.prepare()
    one, two = receipt("1.0", sha256(b"1")), receipt("2.0", sha256(b"2"), previous=receipt("1.0", sha256(b"1")).name)
    assert folder.current() is None
    for item in (one, two):
        os.mkdir(folder.path(item.name))
        folder.keep(item, MANIFEST)
        folder.switch(item.name)
        assert folder.current() == item.name and folder.receipt(item.name) == item
    assert folder.previous() == one.name
    assert sorted(os.listdir(tmp_path / "core")) == sorted(
        [*(("current", "previous") if links else ("current.txt", "previous.txt")), "quarantine", "receipts", "versions"]
    )
    if links:
        assert os.path.samefile(tmp_path / "core/current", folder.path(two.name))
        os.unlink(tmp_path / "core/previous")
        folder.mend_previous()
        assert os.readlink(tmp_path / "core/previous") == f"versions/{one.name}"


def test_one_installer_at_a_time(tmp_path: Path) -> None:
    folder = InstalledFolder(str(tmp_path))
    folder.prepare()
    with folder.locked(), pytest.raises(Conflict), InstalledFolder(str(tmp_path)).locked():
        pass


def test_foreign_folders_are_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("x")
    with pytest.raises(Conflict, match=r"mine\.txt"):
        InstalledFolder(str(tmp_path)).prepare()
    with pytest.raises(BadInput):
        InstalledFolder(str(tmp_path / "mine.txt")).prepare()
    assert os.listdir(tmp_path) == ["mine.txt"]


def test_foreign_pointer_is_refused(tmp_path: Path) -> None:
    (tmp_path / "current").symlink_to("/etc")
    with pytest.raises(Conflict):
        InstalledFolder(str(tmp_path)).current()


def test_missing_and_exchanged_receipts(tmp_path: Path) -> None:
    folder = InstalledFolder(str(tmp_path))
    folder.prepare()
    with pytest.raises(NoSuchObject):
        folder.receipt(receipt().name)
    folder.keep(receipt("2.0"), MANIFEST)
    os.rename(tmp_path / f"receipts/2.0-{ANY[7:19]}.json", tmp_path / f"receipts/1.0-{ANY[7:19]}.json")
    with pytest.raises(FormatError):
        folder.receipt(f"1.0-{ANY[7:19]}")


def test_what_killed_installs_left_is_taken_away_and_nothing_else(tmp_path: Path) -> None:
    folder = InstalledFolder(str(tmp_path / "core"))
    folder.prepare()
    left = ["versions/1-a.77.partial/bin", "quarantine/ab.part", ".tmp-7", "receipts/.tmp-7"]
    kept = ["versions/1-a/bin", "quarantine/1-a.changed-1/bin", "receipts/1-a.json"]
    for name in (*left, *kept):
        path = tmp_path / "core" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    with folder.locked():
        assert [name for name in left if (tmp_path / "core" / name).exists()] == []
        assert [name for name in kept if not (tmp_path / "core" / name).exists()] == []
        (tmp_path / "core" / left[1]).write_bytes(b"of the one at work")
        with pytest.raises(Conflict), folder.locked():
            pass
        assert (tmp_path / "core" / left[1]).exists()
