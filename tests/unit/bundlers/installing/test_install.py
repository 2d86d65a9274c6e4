"""Install and roll back: nothing unverified is fetched or opened, one switch, killed anywhere is safe."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from attest.digests import sha256
from attest.errors import CasstoreError, VerificationError
from bundlers.consuming import state as consumer_state
from bundlers.consuming.service import TrustSettings
from bundlers.installing import extract, fetching, install, installed
from bundlers.installing.install import InstallReport, install_rollback
from bundlers.installing.installed import InstalledFolder
from bundlers.installing.installed_files import check_folder
from bundlers.publishing.layout import published_paths, tuf_repository
from casstore.errors import Conflict, NoSuchObject
from tests.support.published import PublishedWorld


@pytest.fixture
def world(tmp_path: Path) -> PublishedWorld:
    made = PublishedWorld.make(str(tmp_path / "store"))
    made.ship("1.0.0")
    made.to_prod("1.0.0")
    made.publish("prod", str(tmp_path / "public"))
    return made


def next_version(world: PublishedWorld, tmp_path: Path) -> None:
    world.later()
    world.ship("1.1.0", content=b"x")
    world.to_prod("1.1.0")
    world.publish("prod", str(tmp_path / "public"))


def do(
    world: PublishedWorld, tmp_path: Path, into: str = "core", product: str = "core", **options: object
) -> InstallReport:
    trust = TrustSettings(str(tmp_path / "state"))
    arguments = {"channel": "prod", "into": str(tmp_path / into), "trust": trust, "at": world.now, **options}
    return install.install(str(tmp_path / "public"), product, **arguments)  # type: ignore[arg-type]


def back_again(
    world: PublishedWorld, tmp_path: Path, into: str = "core", *, links: bool = True, offline: bool = False
) -> InstallReport:
    trust = TrustSettings(str(tmp_path / "state"))
    return install_rollback(str(tmp_path / into), trust=trust, at=world.now, links=links, offline=offline)


@pytest.mark.parametrize(("product", "links"), [("core", True), ("agent", True), ("core", False)])
def test_install_again_and_next_and_back(world: PublishedWorld, tmp_path: Path, product: str, links: bool) -> None:
    first = do(world, tmp_path, product=product, links=links)
    assert first.changed and first.receipt.version == "1.0.0" and first.receipt.approved_by == ("ann", "bob")
    if links:
        assert (tmp_path / "core/current/bin" / product).read_bytes().startswith(product.encode())
    else:
        assert (tmp_path / "core/current.txt").read_text() == f"{first.receipt.name}\n"
    again = do(world, tmp_path, product=product, links=links)
    assert not again.changed and again.fetched == 0 and again.receipt == first.receipt
    next_version(world, tmp_path)
    second = do(world, tmp_path, product=product, links=links)
    assert second.receipt.version == "1.1.0" and second.receipt.previous == first.receipt.name
    back = back_again(world, tmp_path, links=links)
    assert back.receipt.version == "1.0.0"
    folder = InstalledFolder(str(tmp_path / "core"), links=links)
    assert folder.current() == first.receipt.name and os.listdir(tmp_path / "core/quarantine") == []
    with pytest.raises(NoSuchObject, match="first version"):
        back_again(world, tmp_path, links=links)
    forward = do(world, tmp_path, product=product, links=links)
    assert forward.receipt.version == "1.1.0" and forward.fetched == 0, "the files were still there"


def test_evidence_is_judged_before_the_archive_is_fetched(
    world: PublishedWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bundlers.consuming import sources

    def no_archive(*args: object) -> None:
        raise AssertionError("the archive was fetched")

    monkeypatch.setattr(sources.PublishedSource, "chunks", no_archive)
    for name in (tmp_path / "public/targets/channels").iterdir():
        name.write_bytes(name.read_bytes()[:-1] + b"!")
    with pytest.raises(VerificationError):
        do(world, tmp_path)
    assert not (tmp_path / "core").exists()


def test_changed_archive_leaves_the_old_version(world: PublishedWorld, tmp_path: Path) -> None:
    first = do(world, tmp_path)
    next_version(world, tmp_path)
    digest = world.made["1.1.0"].builds["core"].archive.digest
    name = tuf_repository.target_name(published_paths.archive_path("core", "tar.gz", digest), digest)
    place = tmp_path / "public/targets" / name
    data = place.read_bytes()
    for bad in (data[:-1], data[:-1] + b"x", data + b"x", b""):
        place.unlink()
        place.write_bytes(bad)
        with pytest.raises(VerificationError):
            do(world, tmp_path)
        folder = InstalledFolder(str(tmp_path / "core"))
        assert folder.current() == first.receipt.name and os.listdir(tmp_path / "core/quarantine") == []
        assert os.listdir(tmp_path / "core/versions") == [first.receipt.name]


class _Killed(BaseException):
    """As a kill: nothing catches it on purpose."""


STEPS = [
    (fetching, "fetch"),
    (fetching.extract, "extract"),
    (extract, "_fill"),
    (extract, "_sync_folder"),
    (InstalledFolder, "keep"),
    (installed, "write_file"),
    (InstalledFolder, "switch"),
    (InstalledFolder, "_point"),
    (consumer_state, "write_file"),
]


@pytest.mark.parametrize(("owner", "name"), STEPS, ids=[name for _, name in STEPS])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_killed_anywhere(
    world: PublishedWorld, tmp_path: Path, owner: object, name: str, after: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = do(world, tmp_path)
    next_version(world, tmp_path)
    original = getattr(owner, name)

    def killed(*args: object, **options: object) -> None:
        if after:
            original(*args, **options)
        raise _Killed

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, killed)
        with pytest.raises(_Killed):
            do(world, tmp_path)
    folder = InstalledFolder(str(tmp_path / "core"))
    current = folder.current()
    assert current is not None and folder.receipt(current).version in ("1.0.0", "1.1.0")
    assert current == first.receipt.name or after or name == "write_file"
    check_folder(folder.path(current), manifest_of(folder, current))
    done = do(world, tmp_path)
    assert done.receipt.version == "1.1.0" and done.receipt.previous == first.receipt.name
    assert folder.current() == done.receipt.name and folder.previous() == first.receipt.name
    assert os.readlink(tmp_path / "core/previous") == f"versions/{first.receipt.name}"


def manifest_of(folder: InstalledFolder, name: str) -> object:
    found = folder.manifest(name)
    assert found is not None and found.digest == folder.manifest_digest(name)
    return found


def test_a_real_kill_in_the_middle(world: PublishedWorld, tmp_path: Path) -> None:
    """A process that dies by SIGKILL while it extracts."""
    first = do(world, tmp_path)
    next_version(world, tmp_path)
    script = f"""
import os, signal, sys
from datetime import datetime
from bundlers.installing import extract, install
from bundlers.consuming.service import TrustSettings
real = extract._write
def die(*args):
    real(*args)
    os.kill(os.getpid(), signal.SIGKILL)
extract._write = die
install.install({str(tmp_path / "public")!r}, "core", channel="prod", into={str(tmp_path / "core")!r},
    trust=TrustSettings({str(tmp_path / "state")!r}), at=datetime.fromisoformat({world.now.isoformat()!r}))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert done.returncode == -9, done.stderr.decode()
    assert InstalledFolder(str(tmp_path / "core")).current() == first.receipt.name
    assert do(world, tmp_path).receipt.version == "1.1.0"


def test_changed_files_are_not_switched_to(world: PublishedWorld, tmp_path: Path) -> None:
    first = do(world, tmp_path)
    next_version(world, tmp_path)
    second = do(world, tmp_path)
    (tmp_path / "core/versions" / first.receipt.name / "bin/core").write_bytes(b"trojan")
    with pytest.raises(VerificationError, match="bin/core"):
        back_again(world, tmp_path)
    assert InstalledFolder(str(tmp_path / "core")).current() == second.receipt.name
    world.later()
    world.rollback("prod")
    world.publish("prod", str(tmp_path / "public"))
    third = do(world, tmp_path)
    assert third.receipt.version == "1.0.0" and third.fetched > 0
    assert (tmp_path / "core/quarantine" / f"{first.receipt.name}.changed-1" / "bin/core").read_bytes() == b"trojan"


@pytest.mark.parametrize("change", ["gone", "mode", "link", "content", "folder"])
def test_every_difference_is_named(world: PublishedWorld, tmp_path: Path, change: str) -> None:
    report = do(world, tmp_path)
    path = Path(report.path)
    manifest = manifest_of(InstalledFolder(report.folder), report.receipt.name)
    check_folder(report.path, manifest)
    if change == "gone":
        (path / "share/empty").unlink()
    elif change == "mode":
        (path / "bin/core").chmod(0o755)
    elif change == "link":
        (path / "bin/core").rename(path.parent / "moved")
        (path / "bin/core").symlink_to(path.parent / "moved")
    elif change == "content":
        data = (path / "bin/core").read_bytes()
        (path / "bin/core").write_bytes(b"X" + data[1:])
    else:
        (path / "share/empty").unlink()
        (path / "share/empty").mkdir()
    with pytest.raises(VerificationError):
        check_folder(report.path, manifest)


def test_one_folder_one_product(world: PublishedWorld, tmp_path: Path) -> None:
    do(world, tmp_path)
    with pytest.raises(Conflict, match="another origin or product"):
        do(world, tmp_path, product="agent")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes.txt").write_text("x")
    with pytest.raises(Conflict, match=r"notes\.txt"):
        do(world, tmp_path, into="mine")
    with pytest.raises(NoSuchObject):
        back_again(world, tmp_path, into="nothing")


def test_older_entry_than_installed_is_refused_with_fresh_state(world: PublishedWorld, tmp_path: Path) -> None:
    shutil.copytree(tmp_path / "public", tmp_path / "old")
    next_version(world, tmp_path)
    do(world, tmp_path)
    shutil.rmtree(tmp_path / "public")
    (tmp_path / "old").rename(tmp_path / "public")
    with pytest.raises(VerificationError):
        do(world, tmp_path)
    with pytest.raises(VerificationError, match="is older"):
        do(world, tmp_path, trust=TrustSettings(str(tmp_path / "fresh")))


def test_full_disk_keeps_the_old_version(
    world: PublishedWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno

    first = do(world, tmp_path)
    next_version(world, tmp_path)

    def full(*args: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(extract, "_write", full)
        with pytest.raises(CasstoreError) as caught:
            do(world, tmp_path)
    assert caught.value.exit_code == 12
    assert InstalledFolder(str(tmp_path / "core")).current() == first.receipt.name
    assert do(world, tmp_path).receipt.version == "1.1.0"


def test_receipt_is_canonical_and_complete(world: PublishedWorld, tmp_path: Path) -> None:
    from attest import canonical

    report = do(world, tmp_path)
    raw = (tmp_path / "core/receipts" / f"{report.receipt.name}.json").read_bytes()
    value = canonical.loads_canonical(raw, what="receipt")
    assert value["release"] == world.made["1.0.0"].digest
    assert value["productManifest"] == sha256(
        (tmp_path / "core/receipts" / f"{report.receipt.name}.product-manifest.json").read_bytes()
    )


def test_where_nothing_is_published_it_says_so(world: PublishedWorld, tmp_path: Path) -> None:
    (tmp_path / "public").rename(tmp_path / "elsewhere")
    for _ in range(2):
        with pytest.raises(NoSuchObject, match="nothing is published there") as caught:
            do(world, tmp_path)
        assert "casstore publish" in caught.value.hint
        (tmp_path / "public").mkdir(exist_ok=True)


def test_what_is_added_is_told_and_harms_nothing(world: PublishedWorld, tmp_path: Path) -> None:
    path = Path(do(world, tmp_path).path)
    (path / "share/app.conf").write_bytes(b"mine")
    again = do(world, tmp_path)
    assert (again.changed, again.added) == (False, ("share/app.conf",))
    assert (path / "share/app.conf").read_bytes() == b"mine"


@pytest.mark.parametrize("harm", ["changed", "deleted", "gone"])
def test_in_force_already_looks_before_it_says_so(world: PublishedWorld, tmp_path: Path, harm: str) -> None:
    path = Path(do(world, tmp_path).path)
    before = (path / "bin/core").read_bytes()
    if harm == "gone":
        shutil.rmtree(path)
    else:
        (path / "bin/core").unlink()
    if harm == "changed":
        (path / "bin/core").write_bytes(b"evil")
    again = do(world, tmp_path)
    assert again.changed and again.fetched
    assert (Path(again.path) / "bin/core").read_bytes() == before
