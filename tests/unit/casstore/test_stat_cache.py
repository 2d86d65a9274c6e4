"""The stat cache saves reading and never hides a change."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from casstore.ingest import IngestOptions
from casstore.ingest.files import SIGNATURE
from casstore.stat_cache import StatCache
from casstore.store import Store


def sign(size: int, ctime: int) -> bytes:
    return SIGNATURE.pack(size, 5, ctime, 7)


def remembered(path: Path, began: int, ctime: int) -> None:
    cache = StatCache(str(path), b"epoch", began, {})
    cache.remember(b"d", [b"a", b"b"], [sign(1, ctime), sign(2, 3)], [b"A" * 32, b"B" * 32], b"T" * 32, b"shape")
    cache.save()


def test_what_was_remembered_is_known(tmp_path: Path) -> None:
    remembered(tmp_path / "c", 10**12 + 1, 17)
    cache = StatCache.load(str(tmp_path / "c"), b"epoch", 1)
    both = [sign(1, 17), sign(2, 3)]
    assert cache.known(b"d", [b"a", b"b"], both) == [b"A" * 32, b"B" * 32]
    assert cache.known(b"d", [b"a", b"b"], [sign(9, 17), sign(2, 3)]) == [None, b"B" * 32]
    assert cache.known(b"d", [b"b", b"c"], both[::-1]) == [b"B" * 32, None]
    assert cache.known(b"e", [b"a"], [sign(1, 17)]) == [None]


def test_a_file_as_young_as_the_cache_is_not_remembered(tmp_path: Path) -> None:
    remembered(tmp_path / "c", 10**12 + 17, 10**12 + 3)
    cache = StatCache.load(str(tmp_path / "c"), b"epoch", 1)
    assert cache.known(b"d", [b"a", b"b"], [sign(1, 10**12 + 3), sign(2, 3)]) == [None, b"B" * 32]


def test_a_tree_is_known_while_nothing_in_it_changed(tmp_path: Path) -> None:
    remembered(tmp_path / "c", 10**12 + 1, 17)
    both = [sign(1, 17), sign(2, 3)]
    cache = StatCache.load(str(tmp_path / "c"), b"epoch", 1)
    assert cache.tree(b"d", b"shape") is None  # before its files were looked at
    cache.known(b"d", [b"a", b"b"], both)
    assert cache.tree(b"d", b"other shape") is None
    assert cache.tree(b"d", b"shape") == b"T" * 32
    changed = StatCache.load(str(tmp_path / "c"), b"epoch", 1)
    changed.known(b"d", [b"a", b"b"], [sign(1, 17), sign(2, 4)])
    assert changed.tree(b"d", b"shape") is None


@pytest.mark.parametrize("harm", [b"", b"noise", b"\x93" * 50])
def test_a_spoiled_cache_is_empty(tmp_path: Path, harm: bytes) -> None:
    path = tmp_path / "c"
    remembered(path, 10**12 + 1, 17)
    good = path.read_bytes()
    path.write_bytes(harm or good[: len(good) // 2])
    assert StatCache.load(str(path), b"epoch", 1).known(b"d", [b"a"], [sign(1, 17)]) == [None]
    path.write_bytes(good)
    assert StatCache.load(str(path), b"other", 1).known(b"d", [b"a"], [sign(1, 17)]) == [None]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.init(str(tmp_path / "store"))


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    for number in range(10):
        (folder / str(number)).write_bytes(b"%d" % number)
    return folder


def reads(store: Store, work: Path, monkeypatch: pytest.MonkeyPatch, **options: bool) -> int:
    from casstore.ingest import worker

    real, count = worker.read_small, [0]

    def counted(path: bytes, known: bytes, into: memoryview) -> object:
        count[0] += 1
        return real(path, known, into)

    monkeypatch.setattr(worker, "read_small", counted)
    store.put_tree(str(work), options=IngestOptions(**options))  # type: ignore[arg-type]
    monkeypatch.undo()
    return count[0]


def test_unchanged_files_are_not_read_and_changed_ones_are(
    store: Store, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import time

    time.sleep(0.15)
    assert reads(store, work, monkeypatch) == 10
    assert reads(store, work, monkeypatch) == 0
    assert reads(store, work, monkeypatch, stat_cache=False) == 10
    found = (work / "3").stat()
    (work / "3").write_bytes(b"#")
    os.utime(work / "3", ns=(found.st_atime_ns, found.st_mtime_ns))
    assert reads(store, work, monkeypatch) == 1


def test_a_change_right_after_a_put_is_seen(store: Store, work: Path) -> None:
    for turn in range(30):
        (work / "0").write_bytes(b"%02d" % turn)
        entry = store.tree(store.put_tree(str(work)).tree).get(b"0")
        assert entry is not None
        assert store.read(entry.content) == b"%02d" % turn


def test_a_cache_of_a_store_that_lost_objects_is_void(store: Store, work: Path) -> None:
    first = store.put_tree(str(work))
    store.put_tree(str(work))
    store.close()
    for pack in Path(store.url, "packs").rglob("*.pack"):
        pack.unlink()
    with Store.open(store.url) as again:
        report = again.put_tree(str(work))
        assert (report.tree, report.new_files) == (first.tree, 10)


def test_whatever_changes_the_tree_is_that_of_a_put_without_a_cache(store: Store, work: Path) -> None:
    inner = work / "inner" / "deep"
    inner.mkdir(parents=True)
    (inner / "file").write_bytes(b"deep")
    (work / "link").symlink_to("1")
    (work / "empty").mkdir()
    changes: list[Callable[[], object]] = [
        lambda: (work / "3").write_bytes(b"other"),
        lambda: (work / "4").chmod(0o755),
        (work / "link").unlink,
        lambda: (work / "link").symlink_to("2"),
        lambda: (inner / "new").write_bytes(b"new"),
        lambda: (inner / "file").rename(work / "inner" / "file"),
        (work / "empty").rmdir,
        (work / "5").unlink,
        lambda: (inner / "new").rename(inner / "newer"),
    ]
    before = ""
    for change in changes:
        store.put_tree(str(work))
        change()
        tree = store.put_tree(str(work)).tree
        if change != changes[6]:  # an empty folder was never part of it
            assert tree != before
        assert tree == store.put_tree(str(work), options=IngestOptions(stat_cache=False)).tree
        before = tree
        time.sleep(0.12)  # so that the cache counts
