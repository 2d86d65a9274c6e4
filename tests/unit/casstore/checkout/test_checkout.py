"""Checkout: whole and verified at the target, or nothing there."""

from __future__ import annotations

import hashlib
import os
import random
import tracemalloc
from pathlib import Path

import pytest

from attest.digests import sha256
from casstore.checkout import plan
from casstore.errors import Conflict, NoSuchObject, ObjectDamaged, UnsupportedInput
from casstore.index import Index
from casstore.machine import locks
from casstore.objects import tree
from casstore.objects.kinds import Kind
from casstore.objects.tree import TreeEntry
from casstore.store.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.init(str(tmp_path / "store"))


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    (folder / "a/b").mkdir(parents=True)
    (folder / "empty").mkdir()
    (folder / "a/tool").write_bytes(b"#!/bin/sh\n")
    (folder / "a/tool").chmod(0o755)
    (folder / "a/b/large").write_bytes(random.Random(3).randbytes(2_500_000))
    (folder / "none").write_bytes(b"")
    (folder / "link").symlink_to("a/tool")
    for number in range(300):
        (folder / f"a/b/{number}").write_bytes(b"%d" % (number // 2))
    return folder


def listing(root: Path) -> dict[str, object]:
    return {
        str(path.relative_to(root)): (
            os.readlink(path)
            if path.is_symlink()
            else (path.stat().st_mode & 0o777, path.read_bytes())
            if path.is_file()
            else None
        )
        for path in root.rglob("*")
    }


def test_what_was_put_comes_out_the_same(store: Store, work: Path, tmp_path: Path) -> None:
    digest = store.put_tree(str(work)).tree
    report = store.checkout(digest, str(tmp_path / "new/out"))
    assert listing(tmp_path / "new/out") == listing(work)
    assert (report.files, report.tree) == (303, digest)
    assert os.listdir(tmp_path / "new") == ["out"]


@pytest.mark.parametrize("mask", [0, 0o077])
def test_modes_do_not_depend_on_the_umask(store: Store, work: Path, tmp_path: Path, mask: int) -> None:
    digest = store.put_tree(str(work)).tree
    before = os.umask(mask)
    try:
        store.checkout(digest, str(tmp_path / "out"))
    finally:
        os.umask(before)
    assert (tmp_path / "out/a/tool").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "out/none").stat().st_mode & 0o777 == 0o644
    assert (tmp_path / "out/a").stat().st_mode & 0o777 == 0o755


def test_many_files_go_through_worker_processes(store: Store, work: Path, tmp_path: Path) -> None:
    for number in range(1500):
        (work / f"empty/{number}").write_bytes(b"%d" % (number // 3) * 500)
    digest = store.put_tree(str(work)).tree
    store.checkout(digest, str(tmp_path / "out"))
    assert listing(tmp_path / "out") == listing(work)
    needle = (work / "a/b/large").read_bytes()[2_000_000:2_000_050]
    for path in Path(store.url, "packs").rglob("*.pack"):
        data = path.read_bytes()
        if needle in data:
            path.chmod(0o644)
            path.write_bytes(data.replace(needle, needle[::-1]))
    with pytest.raises(ObjectDamaged, match="pack"):
        store.checkout(digest, str(tmp_path / "o/again"))
    assert list(tmp_path.glob("o/*")) == []


def test_workers_that_find_no_index_leave_the_work_to_their_parent(
    store: Store, work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An index that is doubtful is replaced by a new one at any time, by any process."""
    for number in range(1500):
        (work / f"empty/{number}").write_bytes(b"%d" % number)
    digest = store.put_tree(str(work)).tree
    monkeypatch.setattr(Index, "path", property(lambda _: str(tmp_path / "gone")))
    assert store.checkout(digest, str(tmp_path / "out")).files == 1803
    assert listing(tmp_path / "out") == listing(work)


def test_an_empty_folder_is_taken_and_a_full_one_refused(store: Store, work: Path, tmp_path: Path) -> None:
    digest = store.put_tree(str(work)).tree
    out = tmp_path / "out"
    out.mkdir()
    store.checkout(digest, str(out))
    (out / "mine").write_bytes(b"precious")
    before = listing(out)
    with pytest.raises(Conflict, match="out"):
        store.checkout(digest, str(out))
    assert listing(out) == before
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "dangling").symlink_to("nowhere")
    for taken in ("file", "dangling"):
        with pytest.raises(Conflict):
            store.checkout(digest, str(tmp_path / taken))


def test_damage_leaves_nothing_at_the_target(store: Store, work: Path, tmp_path: Path) -> None:
    digest = store.put_tree(str(work)).tree
    needle = (work / "a/b/large").read_bytes()[2_000_000:2_000_050]
    for path in Path(store.url, "packs").rglob("*.pack"):
        data = path.read_bytes()
        if needle in data:
            path.chmod(0o644)
            path.write_bytes(data.replace(needle, needle[::-1]))
    with pytest.raises(ObjectDamaged, match="pack"):
        store.checkout(digest, str(tmp_path / "o/out"))
    assert list((tmp_path / "o").iterdir()) == []


def test_missing_objects_leave_nothing_at_the_target(store: Store, tmp_path: Path) -> None:
    digest = store.put_bytes(tree.encode([TreeEntry(b"x", "file", 0o644, 1, sha256(b"never put"))]), kind=Kind.TREE)
    with pytest.raises(NoSuchObject):
        store.checkout(digest, str(tmp_path / "o/out"))
    assert list(tmp_path.glob("o/*")) == []


def test_a_size_that_the_tree_lies_about_is_refused(store: Store, tmp_path: Path) -> None:
    blob = store.put_bytes(b"four")
    digest = store.put_bytes(tree.encode([TreeEntry(b"x", "file", 0o644, 5, blob)]), kind=Kind.TREE)
    with pytest.raises(ObjectDamaged, match="says 5 bytes"):
        store.checkout(digest, str(tmp_path / "out"))


@pytest.mark.parametrize("target", [b"..", b"../../etc", b"x/../../.."])
def test_a_link_of_a_stranger_that_leads_out_is_refused(store: Store, tmp_path: Path, target: bytes) -> None:
    digest = store.put_bytes(tree.encode([TreeEntry(b"x", "link", target=target)]), kind=Kind.TREE)
    with pytest.raises(UnsupportedInput):
        store.checkout(digest, str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_what_is_to_be_written_needs_little_more_memory_than_its_trees() -> None:
    """A million files must not need a gigabyte: rows are made and dropped again, folder by folder."""
    trees = {}
    for folder in range(40):
        rows = [[b"%04d" % n, tree.FILE, n, hashlib.sha256(b"%d-%d" % (folder, n)).digest()] for n in range(1000)]
        data = tree.encode_rows(rows)
        trees[hashlib.sha256(data).digest()] = data
    top = tree.encode_rows([[b"%02d" % n, tree.DIR, 0, raw] for n, raw in enumerate(trees)])
    trees[hashlib.sha256(top).digest()] = top
    del rows
    tracemalloc.start()
    try:
        found = plan.Survey()
        for _ in plan.survey(lambda raws: {raw: trees[raw] for raw in raws}, hashlib.sha256(top).digest(), found):
            pass
        files = sum(len(rows) for region in plan.regions(found) for _, rows in region)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert files == found.files == 40_000
    assert peak < 2 * sum(len(data) for data in trees.values())


def test_the_largest_files_come_first_and_no_region_is_too_large() -> None:
    """Whoever begins with a giant last is waited for by all others."""
    giant, small = 50_000_000, 3_000_000
    rows = [[b"%02d" % n, tree.FILE, giant + n if n % 10 == 9 else small, bytes(32)] for n in range(60)]
    data = tree.encode_rows(rows)
    found = plan.Survey()
    for _ in plan.survey(lambda raws: dict.fromkeys(raws, data), bytes(32), found):
        pass
    sizes = [[row[2] for _, rows in region for row in rows] for region in plan.regions(found)]
    assert sizes[:6] == [[giant + n] for n in (59, 49, 39, 29, 19, 9)]
    assert all(sum(region) <= 18_000_000 for region in sizes[6:])
    assert sum(len(region) for region in sizes) == 60


def test_what_killed_checkouts_left_goes_and_the_rest_stays(store: Store, work: Path, tmp_path: Path) -> None:
    made = store.put_tree(str(work)).tree
    names = {"dead": ".out.0123456789ab.tmp", "alive": ".out.aaaaaaaaaaaa.tmp"}
    names |= {"young": ".out.bbbbbbbbbbbb.tmp", "other": ".outer.0123456789ab.tmp"}
    for what, name in names.items():
        (tmp_path / name / "below").mkdir(parents=True)
        age = 0 if what == "young" else 3600
        then = (tmp_path / name).stat().st_mtime - age
        os.utime(tmp_path / name, (then, then))
    held = os.open(tmp_path / names["alive"], os.O_RDONLY)
    locks.take(held)
    store.checkout(made, str(tmp_path / "out"))
    left = {what for what, name in names.items() if (tmp_path / name / "below").is_dir()}
    assert left == {"alive", "young", "other"}
    os.close(held)
