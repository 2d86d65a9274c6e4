"""Whatever was done to the index's files, a command in a process of its own lives, answers right and says so.

Each case runs the command itself: a process that LMDB kills shows by its exit code.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from attest.digests import Digest
from casstore.objects.kinds import NewObject
from casstore.store.store import Store

ROOT = Path(__file__).resolve().parents[4]
OBJECTS = [NewObject(b"object %d" % number) for number in range(3000)]
_CHECK = """
import sys
from casstore.store.store import Store
with Store.open(sys.argv[1]) as store:
    found = store.digests()
    for digest in found[::37]:
        store.read(digest)
    print(len(found), *store.catalog.healed, sep="\\n")
"""
PAGE = 4096


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clean") / "store"
    with Store.init(str(folder)) as store:
        store.put_many(OBJECTS)
    return folder


@pytest.fixture
def url(clean: Path, tmp_path: Path) -> str:
    shutil.copytree(clean, tmp_path / "store")
    return str(tmp_path / "store")


def data_file(url: str) -> Path:
    (path,) = Path(url, "index").glob("g-*/data.mdb")
    return path


def asked(url: str, *wrapper: str) -> list[str]:
    """(what was healed) by a process that must know and read every object."""
    done = subprocess.run(
        [*wrapper, sys.executable, "-c", _CHECK, url],
        capture_output=True,
        check=False,
        cwd=ROOT,
        timeout=120,
        text=True,
    )
    assert done.returncode == 0, (done.returncode, done.stderr[-2000:])
    count, *healed = done.stdout.splitlines()
    assert int(count) == len(OBJECTS)
    return healed


def flip(path: Path, at: int, mask: int, *, keep_times: bool) -> None:
    """As a disk does it: without a trace, where `keep_times`."""
    stat = path.stat()
    with path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ mask]))
    if keep_times:
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


@pytest.mark.parametrize("size", [0, 1, 100, PAGE - 1, PAGE, 2 * PAGE - 1, 2 * PAGE, 3 * PAGE, -PAGE, -1, 0.5, 0.9])
def test_cut(url: str, size: float) -> None:
    path = data_file(url)
    whole = path.stat().st_size
    os.truncate(path, int(whole * size) if isinstance(size, float) else size % whole)
    assert asked(url)
    assert asked(url) == []


@pytest.mark.parametrize("keep_times", [False, True], ids=["noticed by its time", "silently"])
def test_zeroed_pages(url: str, keep_times: bool) -> None:
    source = random.Random(5)
    for _ in range(12):
        path = data_file(url)
        stat = path.stat()
        with path.open("r+b") as file:
            for page in source.sample(range(stat.st_size // PAGE), source.choice([1, 3])):
                file.seek(page * PAGE)
                file.write(bytes(PAGE))
        if keep_times:
            os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        asked(url)
        assert asked(url) == []


@pytest.mark.parametrize("keep_times", [False, True], ids=["noticed by its time", "silently"])
def test_flipped_bits_wherever_they_are(url: str, keep_times: bool) -> None:
    """Every field of the first meta page, and page headers and rows all over the file."""
    source = random.Random(9)
    places = [*range(0, 168, 9), *(PAGE + at for at in range(0, 168, 9))]
    pages = data_file(url).stat().st_size // PAGE
    places += [source.randrange(2, pages) * PAGE + source.randrange(64) for _ in range(12)]
    places += [source.randrange(pages * PAGE) for _ in range(6)]
    for at in places:
        flip(data_file(url), at % data_file(url).stat().st_size, 1 << source.randrange(8), keep_times=keep_times)
        asked(url)


def foreign(folder: Path) -> None:
    (folder / "data.mdb").write_bytes(b"SQLite format 3\0" * 4096)


def a_folder_instead_of_the_file(folder: Path) -> None:
    (folder / "data.mdb").unlink()
    (folder / "data.mdb").mkdir()


def a_folder_instead_of_the_mark(folder: Path) -> None:
    (folder / "mark").unlink()
    (folder / "mark").mkdir()


def no_generation(folder: Path) -> None:
    shutil.rmtree(folder)


def a_file_instead_of_the_generation(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_bytes(b"x")


def no_index(folder: Path) -> None:
    shutil.rmtree(folder.parent)


def another_stores_index(folder: Path) -> None:
    with Store.init(str(folder.parent.parent.parent / "other")) as other:
        other.put_bytes(b"theirs")
    shutil.rmtree(folder.parent)
    shutil.copytree(folder.parent.parent.parent / "other" / "index", folder.parent)


def a_loop_of_links(folder: Path) -> None:
    (folder / "data.mdb").unlink()
    (folder / "data.mdb").symlink_to("data.mdb")


@pytest.mark.parametrize(
    "harm",
    [
        foreign,
        a_folder_instead_of_the_file,
        a_folder_instead_of_the_mark,
        no_generation,
        a_file_instead_of_the_generation,
        no_index,
        another_stores_index,
        a_loop_of_links,
    ],
    ids=lambda harm: harm.__name__,
)
def test_foreign_or_missing(url: str, harm: Callable[[Path], None]) -> None:
    harm(data_file(url).parent)
    assert asked(url) or harm is a_folder_instead_of_the_mark
    assert asked(url) == []


def test_no_permission(url: str) -> None:
    wrapper: tuple[str, ...] = ()
    if os.geteuid() == 0:  # root may do everything, unless it gives that up
        wrapper = ("setpriv", "--bounding-set=-dac_override,-dac_read_search,-fowner")
        if shutil.which("setpriv") is None or subprocess.run([*wrapper, "true"], check=False).returncode:
            pytest.skip("root may open every file, and setpriv cannot take that away here")
    data_file(url).chmod(0)
    asked(url, *wrapper)


def test_packs_are_read_without_any_index(url: str) -> None:
    """The pack alone, then an index made anew from it, digest by digest."""
    with Store.open(url) as store:
        before = store.digests()
    shutil.rmtree(Path(url, "index"))
    with Store.open(url) as store:
        assert store.digests() == before
        assert [store.read(Digest(digest)) for digest in before[:50]]
        (name,) = store.packs.names()

        table, _ = store.packs.table(name)
        assert [f"sha256:{row[0].hex()}" for row in table.iter_objects()] == before


def test_readers_that_died_are_forgotten(url: str) -> None:
    """Their slots in LMDB's table would keep old pages for ever."""
    dying = "import os, sys\nfrom casstore.store.store import Store\nstore = Store.open(sys.argv[1])\n"
    dying += "with store.index.reader():\n    os.kill(os.getpid(), 9)\n"
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", dying, url], check=False, cwd=ROOT, capture_output=True)
        assert done.returncode == -9, done.stderr
    with Store.open(url) as store:
        assert str(store.index._environment._env.readers()).count("\n") <= 2
    asked(url)
