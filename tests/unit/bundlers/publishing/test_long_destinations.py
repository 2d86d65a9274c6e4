"""A destination to which much was published: what it takes grows with what is shown, not with how often."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tuf.api.exceptions import DownloadHTTPError
from tuf.ngclient import FetcherInterface, Updater

from attest.digests import sha256
from attest.errors import VerificationError
from attest.statements.predicates.publication import Publication, PublishedTarget
from bundlers.consuming.published_files import origins
from bundlers.consuming.service import TrustSettings, verify
from bundlers.publishing import published_check
from bundlers.publishing.layout import target_lists
from bundlers.publishing.outlived import STAY, outlived
from casstore import promotion
from casstore.fsck.references import References
from casstore.gc.naming import named_by_attestation
from casstore.storage.file import FileStorage
from tests.support.published import PublishedWorld
from tests.support.worlds import signer


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


def stock(public: Path, folder: Path, world: PublishedWorld) -> Updater:
    """python-tuf's client over a folder, at the world's time."""

    class Files(FetcherInterface):
        def _fetch(self, url: str) -> Iterator[bytes]:
            try:
                return iter([(public / url).read_bytes()])
            except FileNotFoundError as exc:
                raise DownloadHTTPError(url, 404) from exc

    folder.mkdir(exist_ok=True)
    first = (public / "metadata/1.root.json").read_bytes()
    made = Updater(str(folder), "metadata", str(folder), "targets", fetcher=Files(), bootstrap=first)
    made._trusted_set.reference_time = world.now
    made.refresh()
    return made


def wanted(world: PublishedWorld) -> dict[str, PublishedTarget]:
    rows = world.state.publications["cdn"]
    return dict(target_lists.whole(target_lists.reader(world.store.read, rows), len(rows)).targets)


def test_a_stock_client_finds_all_that_was_ever_shown(world: PublishedWorld, place: Path, tmp_path: Path) -> None:
    public = place / "public"
    assert "metadata/8.older-0.json" in names(public)
    updater = stock(public, tmp_path / "st", world)
    for path, one in wanted(world).items():
        info = updater.get_targetinfo(path)
        assert info is not None, path
        assert sha256(Path(updater.download_target(info, str(tmp_path / "got"))).read_bytes()) == one.digest


def test_a_file_of_the_first_release_is_told_from_the_published_lists(
    world: PublishedWorld, place: Path, tmp_path: Path
) -> None:
    """Confirmed by that release's own papers; then without the publisher, from what was kept."""
    public, digest = place / "public", sha256(b"core" * 1000 + b"1.0.0")
    trust = TrustSettings(str(tmp_path / "state"), world.state.trust_roots[0].digest)
    found = origins(str(public), {digest}, channel="dev", trust=trust, at=world.now, offline=True)
    assert [(row.version, row.confirmed) for row in found[digest].releases] == [("1.0.0", True)]


def test_a_role_of_older_releases_is_mended(world: PublishedWorld, place: Path, tmp_path: Path) -> None:
    """By `fsck`, and by the next `publish`, with its very bytes: the store keeps them, and no key is asked."""
    public = tmp_path / "public"
    shutil.copytree(place / "public", public)
    lost = public / "metadata/8.older-0.json"
    before = lost.read_bytes()
    lost.write_bytes(before[:-1] + b" ")
    report = published_check.check(FileStorage(str(public)), world.store, world.ledger, "cdn")
    assert report.damaged.keys() == {"metadata/8.older-0.json"}
    published_check.mend(FileStorage(str(public)), world.store, report)
    assert lost.read_bytes() == before and report.damaged == {}
    lost.unlink()
    report = published_check.check(FileStorage(str(public)), world.store, world.ledger, "cdn")
    assert report.damaged == {"metadata/8.older-0.json": "is missing"}
    count = len(world.state.publications["cdn"])
    assert world.publish("dev", str(public)).number == count
    assert lost.read_bytes() == before and len(world.state.publications["cdn"]) == count
    (public / "metadata/9.older-7.json").write_bytes(before)
    assert published_check.check(FileStorage(str(public)), world.store, world.ledger, "cdn").strangers == [
        "metadata/9.older-7.json"
    ]


def test_the_store_keeps_roles_of_older_releases(world: PublishedWorld) -> None:
    rows = world.state.publications["cdn"]
    role = target_lists.whole(target_lists.reader(world.store.read, rows), len(rows)).roles["older-0"].digest
    assert References(world.store).to({role})[role] == ("TUF's older-0 of publication 8 to cdn",)
    assert role in {digest for digest, _ in named_by_attestation(world.store.read(rows[7].statement))}


def test_a_publication_that_stopped_is_finished_with_the_same_roles(
    world: PublishedWorld, place: Path, tmp_path: Path
) -> None:
    """The 16th, which signs `older-1`: its metadata is not there yet; then a release is revoked, and old roles go."""
    public = tmp_path / "public"
    shutil.copytree(place / "public", public)
    pointer = (public / "metadata/timestamp.json").read_bytes()
    for number in (STAY + 6, STAY + 7):
        world.ship(f"1.{number}.0")
        world.promote(f"1.{number}.0", "dev")
        pointer = (public / "metadata/timestamp.json").read_bytes()
        assert world.publish("dev", str(public)).number == number + 1
        world.later()
    role = (public / "metadata/16.older-1.json").read_bytes()
    for name in ("16.older-1", "16.targets", "16.snapshot"):
        (public / f"metadata/{name}.json").unlink()
    (public / "metadata/timestamp.json").write_bytes(pointer)
    assert world.publish("dev", str(public)).finished == (16,)
    assert (public / "metadata/16.older-1.json").read_bytes() == role
    assert all(stock(public, tmp_path / "st", world).get_targetinfo(path) for path in wanted(world))
    promotion.revoke(
        world.store, world.ledger, "1.2.0", kind="artifact", reason="a back door", signer=signer("aud"), now=world.now
    )
    assert world.publish("dev", str(public)).number == 17
    updater = stock(public, tmp_path / "st", world)
    assert "releases/1.2.0/release.json" not in wanted(world)
    assert updater.get_targetinfo("releases/1.2.0/release.json") is None
    assert all(updater.get_targetinfo(path) for path in wanted(world))
    checked = published_check.check(FileStorage(str(public)), world.store, world.ledger, "cdn")
    assert (checked.damaged, checked.strangers) == ({}, [])
    read = target_lists.reader(world.store.read, world.state.publications["cdn"])

    def counted(number: int) -> Publication:
        return read(number) if number <= 17 else _with(read(17), number, {}, target_lists.since(number))

    gone = {number: outlived(counted, lambda _: 40, number) for number in range(9, 26)}
    assert [number for number, paths in gone.items() if "metadata/8.older-0.json" in paths] == [23], "16 - 1 + 8"
    assert [number for number, paths in gone.items() if "metadata/16.older-1.json" in paths] == [24], "17 - 1 + 8"


def _with(claim, number, targets, since=0):  # type: ignore[no-untyped-def]
    from dataclasses import replace

    return replace(claim, number=number, targets=targets, since=since)
