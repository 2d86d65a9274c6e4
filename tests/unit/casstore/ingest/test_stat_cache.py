"""The stat cache saves reading and never hides a change."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from casstore.ingest import IngestOptions, stat_cache
from casstore.ingest.files import SIGNATURE
from casstore.ingest.stat_cache import Record, StatCache
from casstore.store.store import Store


def sign(size: int, ctime: int) -> bytes:
    return SIGNATURE.pack(size, 5, ctime, 7)


def remembered(path: Path, began: int, ctime: int) -> None:
    cache = StatCache(str(path), b"epoch", began, bytes(32))
    signs = sign(1, ctime) + sign(2, 3)
    cache.remember(b"d", Record(b"a/b", signs, b"A" * 32 + b"B" * 32, b"T" * 32, b"shape"))
    cache.complete()
    cache.save()


def found(path: Path, folder: bytes = b"d", epoch: bytes = b"epoch") -> Record | None:
    return StatCache.load(str(path), epoch, 1, bytes(32)).find(folder)


def test_what_was_remembered_is_known(tmp_path: Path) -> None:
    remembered(tmp_path / "c", 10**12 + 1, 17)
    record, both = found(tmp_path / "c"), [sign(1, 17), sign(2, 3)]
    assert record is not None
    assert record.all_known([b"a", b"b"], both)
    assert record.split() == [b"A" * 32, b"B" * 32]
    assert (record.tree, record.shape) == (b"T" * 32, b"shape")
    assert not record.all_known([b"a", b"c"], both)
    assert not record.all_known([b"a", b"b"], both[::-1])
    assert record.known([b"a", b"b"], [sign(9, 17), sign(2, 3)]) == [None, b"B" * 32]
    assert record.known([b"b", b"c"], both[::-1]) == [b"B" * 32, None]
    assert found(tmp_path / "c", b"e") is None
    assert found(tmp_path / "c", epoch=b"other") is None


def test_a_file_as_young_as_the_cache_is_not_remembered(tmp_path: Path) -> None:
    remembered(tmp_path / "c", 10**12 + 17, 10**12 + 3)
    record = found(tmp_path / "c")
    assert record is not None
    assert record.known([b"a", b"b"], [sign(1, 10**12 + 3), sign(2, 3)]) == [None, b"B" * 32]


def test_what_was_kept_before_and_after_a_change_is_there_afterwards(tmp_path: Path) -> None:
    path = str(tmp_path / "c")
    first = StatCache(path, b"epoch", 10**12, bytes(32))
    records = {name: Record(name, sign(1, 2), name * 32, name * 32, b"") for name in (b"a", b"b", b"c", b"d")}
    for name, record in records.items():
        first.remember(name, record)
    first.complete()
    first.save()
    second = StatCache.load(path, b"epoch", 10**12, bytes(32))
    second.keep(b"a")
    records[b"b"] = records[b"b"]._replace(tree=b"T" * 32)
    second.remember(b"b", records[b"b"])
    second.keep(b"c")
    second.complete()
    second.save()
    del records[b"d"]
    assert {name: found(tmp_path / "c", name) for name in (b"a", b"b", b"c", b"d")} == {**records, b"d": None}
    assert os.listdir(tmp_path) == ["c"]


def test_what_is_not_saved_leaves_the_old_one(tmp_path: Path) -> None:
    remembered(tmp_path / "c", 10**12 + 1, 17)
    before = (tmp_path / "c").read_bytes()
    cache = StatCache.load(str(tmp_path / "c"), b"epoch", 1, bytes(32))
    cache.remember(b"d", Record(b"", b"", b"", b"T" * 32, b""))
    cache.close()
    assert os.listdir(tmp_path) == ["c"]
    assert (tmp_path / "c").read_bytes() == before


def test_a_cache_that_cannot_be_written_costs_nothing_but_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    records = {name: Record(name, sign(1, 2), name * 32, name * 32, b"") for name in (b"a", b"b", b"c")}
    first = StatCache(str(tmp_path / "c"), b"epoch", 10**12, bytes(32))
    for name, record in records.items():
        first.remember(name, record)
    first.complete()
    first.save()
    before = (tmp_path / "c").read_bytes()
    second = StatCache.load(str(tmp_path / "c"), b"epoch", 10**12, bytes(32))
    second.remember(b"a", records[b"a"])
    monkeypatch.setattr(os, "pread", failing)
    second.keep(b"b")
    second.remember(b"c", records[b"c"])
    second.complete()
    second.save()
    assert os.listdir(tmp_path) == ["c"]
    assert (tmp_path / "c").read_bytes() == before
    in_a_file = StatCache(str(tmp_path / "c" / "below"), b"epoch", 10**12, bytes(32))
    in_a_file.remember(b"a", records[b"a"])
    in_a_file.complete()
    in_a_file.save()


def failing(*_: object) -> bytes:
    raise OSError(errno.EIO, "Input/output error")


def test_caches_of_a_month_ago_go(tmp_path: Path) -> None:
    (tmp_path / "stat").mkdir()
    for name, days in (("old", 31), ("young", 29)):
        (tmp_path / "stat" / name).touch()
        os.utime(tmp_path / "stat" / name, (time.time() - days * 86400,) * 2)
    stat_cache.drop_unused(str(tmp_path), time.time())
    assert os.listdir(tmp_path / "stat") == ["young"]
    stat_cache.drop_unused(str(tmp_path / "none"), time.time())


def test_a_spoiled_cache_knows_nothing_wrong(tmp_path: Path) -> None:
    path = tmp_path / "c"
    remembered(path, 10**12 + 1, 17)
    good = path.read_bytes()
    true = found(path)
    for size in range(len(good)):
        path.write_bytes(good[:size])
        assert found(path) is None
    for at in range(len(good)):
        path.write_bytes(good[:at] + bytes([good[at] ^ 0x10]) + good[at + 1 :])
        assert found(path) in (None, true)
    for harm in (b"", b"noise", b"\x93" * 50):
        path.write_bytes(harm)
        assert found(path) is None


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


def test_two_selections_of_a_workspace_do_not_disturb_each_other(
    store: Store, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    time.sleep(0.15)
    reads(store, work, monkeypatch)
    store.put_tree(str(work), include=("1", "2"))
    store.put_path(str(work / "3"))
    assert reads(store, work, monkeypatch) == 0


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
