"""Putting folders: what a tree keeps, what it refuses by name, and that nothing stays half."""

from __future__ import annotations

import os
import random
import socket
import threading
from pathlib import Path

import pytest

from casstore.errors import StorageUnavailable, UnsupportedInput
from casstore.ingest import IngestOptions
from casstore.ingest import crew as crews
from casstore.ingest import walk as walks
from casstore.ingest.counting import counted
from casstore.ingest.globs import Selection
from casstore.machine.progress import NullProgress
from casstore.store.store import Store

NO_CACHE = IngestOptions(stat_cache=False)
as_root = pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.init(str(tmp_path / "store"))


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


def paths(store: Store, root: Path, **options: object) -> list[bytes]:
    return [path for path, _ in store.walk(store.put_tree(str(root), **options).tree)]  # type: ignore[arg-type]


def fill(root: Path, files: int, seed: int = 0) -> None:
    for number in range(files):
        folder = root / f"d{number % 17}" / f"e{number % 3}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"f{number}").write_bytes(b"%d " % (number // 2 + seed) * (number % 50))


def test_a_tree_keeps_names_modes_links_and_empty_folders(store: Store, work: Path) -> None:
    (work / "bin").mkdir()
    (work / "empty").mkdir()
    (work / "bin/tool").write_bytes(b"#!")
    (work / "bin/tool").chmod(0o700)
    (work / "note").write_bytes(b"text")
    (work / "note").chmod(0o600)
    (work / "bin/link").symlink_to("../note")
    tree = store.put_tree(str(work)).tree
    found = {path: (entry.kind, entry.mode, entry.target) for path, entry in store.walk_all(tree)}
    assert found == {
        b"bin": ("dir", 0o755, b""),
        b"bin/link": ("link", 0o777, b"../note"),
        b"bin/tool": ("file", 0o755, b""),
        b"empty": ("dir", 0o755, b""),
        b"note": ("file", 0o644, b""),
    }


ODD = [b"\xff\xfe", b"new\nline", b"CON", b"con", "é".encode(), "é".encode(), b" ", b"a\\b", b"-rf", b"x" * 255]


def test_odd_names_are_kept_exactly(store: Store, work: Path) -> None:
    for name in ODD:
        with open(os.path.join(os.fsencode(work), name), "wb") as file:
            file.write(name)
    tree = store.put_tree(str(work)).tree
    assert {path: store.read(entry.content) for path, entry in store.walk(tree)} == {name: name for name in ODD}


def test_a_path_of_3900_bytes_is_kept(store: Store, tmp_path: Path) -> None:
    top = os.open(tmp_path, os.O_RDONLY)
    os.mkdir("deep", dir_fd=top)
    here = os.open("deep", os.O_RDONLY, dir_fd=top)
    for _ in range(19):
        os.mkdir("n" * 200, dir_fd=here)
        here, before = os.open("n" * 200, os.O_RDONLY, dir_fd=here), here
        os.close(before)
    os.close(os.open("leaf", os.O_CREAT | os.O_WRONLY, dir_fd=here))
    os.close(here)
    os.close(top)
    (path,) = paths(store, tmp_path / "deep")
    assert len(path) == 19 * 201 + 4


@pytest.mark.parametrize("how", ["fifo", "socket"])
def test_a_fifo_or_socket_is_refused_without_a_hang(
    store: Store, work: Path, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(work)
    if how == "fifo":
        os.mkfifo("queer")
    else:
        socket.socket(socket.AF_UNIX).bind("queer")
    with pytest.raises(UnsupportedInput, match=f"(?i)queer: is a {how}"):
        store.put_tree(str(work))
    with pytest.raises(UnsupportedInput, match="queer"):
        store.put_path(work / "queer")  # type: ignore[arg-type]
    assert paths(store, work, exclude=("queer",)) == []


@pytest.mark.parametrize(
    ("link", "target"),
    [("a", "/etc/passwd"), ("a", ".."), ("a", "../x"), ("d/a", "../../x"), ("a", "d/../../x"), ("a", "d/../x")],
)
def test_links_that_may_lead_out_are_refused_by_name(store: Store, work: Path, link: str, target: str) -> None:
    (work / "d").mkdir()
    (work / link).symlink_to(target)
    with pytest.raises(UnsupportedInput, match="link to"):
        store.put_tree(str(work))


def test_equal_files_are_stored_once_whatever_the_workers(store: Store, work: Path) -> None:
    fill(work, 600)
    report = store.put_tree(str(work), options=IngestOptions(workers=3, stat_cache=False))
    contents = {path.read_bytes() for path in work.rglob("f*") if path.is_file()}
    assert (report.files, report.new_files) == (600, len(contents))
    assert report.bytes == sum(path.stat().st_size for path in work.rglob("f*"))
    assert report.new_bytes == sum(map(len, contents))
    again = store.put_tree(str(work), options=NO_CACHE)
    assert (again.tree, again.new_files, again.stored_bytes) == (report.tree, 0, 0)


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_the_tree_does_not_depend_on_the_workers(store: Store, work: Path, workers: int) -> None:
    fill(work, 450)
    (work / "large").write_bytes(random.Random(1).randbytes(5_000_000))
    with Store.init(f"{work}-{workers}") as other:
        found = other.put_tree(str(work), options=IngestOptions(workers=workers)).tree
        assert found == store.put_tree(str(work), options=IngestOptions(workers=1, stat_cache=False)).tree
        assert {p: other.read(e.content) for p, e in other.walk(found)} == {
            os.fsencode(p.relative_to(work)): p.read_bytes() for p in work.rglob("*") if p.is_file()
        }


def test_large_files_go_through_threads_and_duplicates_are_taken_back(store: Store, work: Path) -> None:
    data = random.Random(2).randbytes(6_000_000)
    for name, content in (("a", data), ("b", data), ("c", data + b"x"), ("d", b"zeros" * 2_000_000)):
        (work / name).write_bytes(content)
    report = store.put_tree(str(work), options=IngestOptions(workers=2, stat_cache=False))
    assert report.new_files == 3
    assert report.stored_bytes < 13_000_000
    again = store.put_tree(str(work), options=NO_CACHE)
    assert (again.tree, again.new_files) == (report.tree, 0)
    for name in "abcd":
        entry = store.tree(report.tree).get(name.encode())
        assert entry is not None
        assert store.read(entry.content) == (work / name).read_bytes()


def test_includes_and_excludes_choose(store: Store, work: Path) -> None:
    for name in ("build/core/a.so", "build/core/b.pyc", "build/x/c.so", "src/d.c", "build/core/sub/e.so"):
        (work / name).parent.mkdir(parents=True, exist_ok=True)
        (work / name).write_bytes(name.encode())
    (work / "build/core/none").mkdir()
    assert paths(store, work, include=("build/core/**",), exclude=("**/*.pyc",)) == [
        b"build/core/a.so",
        b"build/core/sub/e.so",
    ]
    assert paths(store, work, include=("**/*.so",)) == [
        b"build/core/a.so",
        b"build/core/sub/e.so",
        b"build/x/c.so",
    ]
    assert paths(store, work, include=("build",), exclude=("build/core",)) == [b"build/x/c.so"]


def test_put_paths_takes_exactly_the_list(store: Store, work: Path) -> None:
    fill(work, 20)
    (work / "link").symlink_to("d0")
    wanted = [b"d0/e0/f0", b"d1/e1/f1", b"link"]
    tree = store.put_paths(str(work), wanted).tree
    assert [path for path, _ in store.walk(tree)] == wanted
    for bad in (b"../x", b"/etc/passwd", b"missing", b"d0/../d1"):
        with pytest.raises(UnsupportedInput):
            store.put_paths(str(work), [bad])


def test_the_store_itself_is_not_put_into_itself(store: Store, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedInput, match="the store itself"):
        store.put_tree(str(tmp_path))
    assert paths(store, tmp_path, exclude=("store",)) == []


def test_a_folder_that_is_missing_or_a_file_is_refused(store: Store, work: Path) -> None:
    (work / "file").write_bytes(b"")
    for bad in (work / "nowhere", work / "file"):
        with pytest.raises(UnsupportedInput, match=bad.name):
            store.put_tree(str(bad))


@as_root
def test_an_unreadable_file_is_named(store: Store, work: Path) -> None:
    (work / "secret").write_bytes(b"x")
    (work / "secret").chmod(0)
    with pytest.raises(UnsupportedInput, match=r"secret.*Permission"):
        store.put_tree(str(work))


def test_a_file_that_goes_away_after_the_listing_is_named(
    store: Store, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone, listed = work / "gone", walks._entries
    gone.write_bytes(b"x")

    def listed_then_gone(here: int) -> object:
        found = listed(here)
        gone.unlink(missing_ok=True)
        return found

    monkeypatch.setattr(walks, "_entries", listed_then_gone)
    with pytest.raises(UnsupportedInput, match=f"^{gone}: is not there$"):
        store.put_tree(work)


@pytest.mark.parametrize("files", [3, 400])
def test_a_failing_put_leaves_no_temporary_file_and_no_object(
    store: Store, work: Path, files: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(work, files)
    (work / "zz").mkdir()
    os.mkfifo(work / "zz/fifo")
    with pytest.raises(UnsupportedInput, match="fifo"):
        store.put_tree(str(work))
    assert list(Path(store.url, "packs").rglob("*.pack")) == []
    assert list(Path(store.url).glob("tmp/*")) == []


@pytest.mark.parametrize("size", [100, 3_000_000])
@pytest.mark.parametrize("times", [1, 100])
def test_a_file_that_never_stands_still_is_refused(
    store: Store, work: Path, size: int, times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = work / "moving"
    path.write_bytes(b"x" * size)
    inode, real, left = path.stat().st_ino, os.fstat, [times]

    def change_first(fd: int) -> os.stat_result:
        if real(fd).st_ino == inode and left[0]:
            left[0] -= 1
            with open(path, "ab") as file:
                file.write(b"more")
        return real(fd)

    monkeypatch.setattr("casstore.ingest.files.os.fstat", change_first)
    if times > 3:
        with pytest.raises(UnsupportedInput, match="changes while it is read"):
            store.put_tree(str(work))
        assert list(Path(store.url).glob("tmp/*")) == []
    else:
        (entry,) = store.tree(store.put_tree(str(work)).tree).entries
        assert store.read(entry.content) == path.read_bytes() == b"x" * size + b"more"


def test_a_file_that_changed_after_the_walk_is_taken_as_it_is_now(store: Store, work: Path) -> None:
    from casstore.ingest.files import signature
    from casstore.ingest.worker import Worker

    for name, size in (("small", 10), ("large", 2_000_000), ("growing", 10)):
        (work / name).write_bytes(b"a" * size)
    names = [b"small", b"large", b"growing"]
    signs = [signature(os.lstat(work / os.fsdecode(name))) for name in names]
    contents = {b"small": b"b" * 20, b"large": b"b" * 1_500_000, b"growing": b"b" * 1_600_000}
    for name, data in contents.items():
        (work / os.fsdecode(name)).write_bytes(data)
    worker = Worker(os.fsencode(work), 1, store.packs, lambda raw: None)
    answer = worker.take([[b"", names, b"".join(signs)]])
    worker.finish()
    import hashlib

    assert [answer.digests[n * 32 : n * 32 + 32] for n in range(3)] == [
        hashlib.sha256(contents[name]).digest() for name in names
    ]
    assert [at for at, _, _ in answer.changed] == [0, 1, 2]


def test_sparse_and_large_files_are_read_whole(store: Store, work: Path) -> None:
    with open(work / "sparse", "wb") as file:
        file.truncate(40_000_000)
        file.seek(20_000_000)
        file.write(b"middle")
    report = store.put_tree(str(work))
    assert report.stored_bytes < 100_000
    assert store.size(store.tree(report.tree).entries[0].content) == 40_000_000


def test_a_killed_worker_is_told_and_the_next_put_works(
    store: Store, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(work, 500)
    real = crews.Processes.finish

    def kill_first(self: crews.Processes) -> list[object]:
        os.kill(self._workers[0].pid, 9)
        return real(self)  # type: ignore[return-value]

    monkeypatch.setattr(crews.Processes, "finish", kill_first)
    with pytest.raises(StorageUnavailable, match="worker"):
        store.put_tree(str(work), options=IngestOptions(workers=2))
    monkeypatch.undo()
    assert list(Path(store.url).glob("tmp/*")) == []
    assert store.put_tree(str(work)).files == 500


def test_an_error_in_a_worker_process_keeps_its_type(store: Store, work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(work, 500)
    real = crews.Processes.__init__
    victim = next(path for path in sorted(work.rglob("f*")) if path.is_file())
    monkeypatch.setattr(
        crews.Processes, "__init__", lambda self, *args: (real(self, *args), victim.unlink(missing_ok=True))[0]
    )
    with pytest.raises(UnsupportedInput, match="went away"):
        store.put_tree(str(work), options=IngestOptions(workers=2))


def test_progress_hears_of_every_file(store: Store, work: Path) -> None:
    class Heard:
        files = bytes = new = 0
        ended = shown = False

        def start(self, what: str, total_files: int | None, total_bytes: int | None) -> None:
            assert what == "put"

        def advance(self, files: int, bytes: int, new_bytes: int) -> None:  # noqa: A002
            self.files += files
            self.bytes += bytes
            self.new += new_bytes

        def expect(self, files: int, bytes: int) -> None:  # noqa: A002
            raise AssertionError("nobody watches")

        def finish(self) -> None:
            self.ended = True

    fill(work, 300)
    heard = Heard()
    report = store.put_tree(str(work), progress=heard)
    assert (heard.files, heard.bytes, heard.new) == (report.files, report.bytes, report.new_bytes)
    assert heard.ended
    again = Heard()
    store.put_tree(str(work), progress=again)
    assert (again.files, again.new) == (report.files, 0)


def test_who_watches_a_put_learns_how_much_there_is(store: Store, work: Path) -> None:
    class Watching(NullProgress):
        shown = True

        def __init__(self) -> None:
            self.totals: tuple[int, int] | None = None
            self.told = threading.Event()

        def expect(self, files: int, bytes: int) -> None:  # noqa: A002
            self.totals = files, bytes
            self.told.set()

    fill(work, 300)
    (work / "left.out").write_bytes(b"x" * 1000)
    watching, selection = Watching(), Selection(exclude=("*.out",))
    with counted(os.fsencode(work), selection, watching):
        assert watching.told.wait(10)
    report = store.put_tree(str(work), exclude=("*.out",), progress=watching)
    assert watching.totals == (report.files, report.bytes)


@pytest.mark.parametrize(("limit", "most"), [("PACK_OBJECTS", 10), ("PACK_LIMIT", 64 * 1024)])
def test_a_pack_that_has_grown_is_followed_by_the_next(
    store: Store, work: Path, monkeypatch: pytest.MonkeyPatch, limit: str, most: int
) -> None:
    fill(work, 100)
    (work / "large").write_bytes(os.urandom(3 << 20))
    (work / "large too").write_bytes(os.urandom(3 << 20))
    monkeypatch.setattr(f"casstore.ingest.worker.{limit}", most)
    monkeypatch.setattr("casstore.ingest.worker.LARGE", 0)
    report = store.put_tree(str(work), options=IngestOptions(workers=1))
    assert len(list(store.packs.names())) > (10 if limit == "PACK_OBJECTS" else 2)
    for path, entry in store.walk(report.tree):
        assert store.read(entry.content) == (work / os.fsdecode(path)).read_bytes()
