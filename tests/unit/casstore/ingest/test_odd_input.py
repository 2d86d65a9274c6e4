"""Every row of docs/guide/odd-input.md, with the command itself in a process of its own."""

from __future__ import annotations

import mmap
import os
import random
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from attest.digests import Digest
from casstore.store.store import Store
from tests.support.system_calls import DEEP

ROOT = Path(__file__).resolve().parents[4]
PROVEN: set[str] = set()
_RUN = "import sys; from cli.main import run; sys.argv[0] = 'casstore'; sys.exit(run())"


def proves(*rows: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Marks the rows of the table that a test is about."""

    def mark(test: Callable[..., None]) -> Callable[..., None]:
        PROVEN.update(rows)
        return test

    return mark


@dataclass
class Bench:
    """A store, a folder to put, and the command."""

    url: str
    work: Path
    wrapper: tuple[str, ...] = ()

    def run(self, *args: str, code: int = 0, **env: str) -> subprocess.CompletedProcess[bytes]:
        argv = [*self.wrapper, sys.executable, "-c", _RUN, "--store", self.url, *args]
        done = subprocess.run(
            argv,
            capture_output=True,
            timeout=120,
            check=False,
            cwd=ROOT,
            env=os.environ | env,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
        return done

    def put(self, **env: str) -> Digest:
        return Digest(self.run("put", str(self.work), code=0, **env).stdout.split()[0].decode())

    def refused(self, *names: str, code: int = 1) -> None:
        """The put names what it refuses, and leaves nothing."""
        told = self.run("put", str(self.work), code=code).stderr.decode()
        assert told.startswith("error: ")
        for name in names:
            assert name in told, told
        assert list(Path(self.url).rglob("*.pack")) == []

    def held(self, tree: Digest) -> dict[bytes, bytes]:
        with Store.open(self.url) as store:
            return {path: store.read(e.content) for path, e in store.walk(tree) if e.kind == "file"}

    def taken_out(self, tree: Digest, target: Path) -> Path:
        self.run("get", tree, str(target))
        return target


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "work").mkdir()
    Store.init(str(tmp_path / "store")).close()
    return Bench(str(tmp_path / "store"), tmp_path / "work")


def _write(folder: Path, names: list[bytes]) -> dict[bytes, bytes]:
    for name in names:
        with open(os.path.join(os.fsencode(folder), name), "xb") as file:
            file.write(b"holds " + name)
    return {name: b"holds " + name for name in names}


def _names(folder: Path) -> list[bytes]:
    return sorted(os.listdir(os.fsencode(folder)))


NAMES = {
    "names that are not UTF-8, with newlines, spaces, leading dashes": [
        b"\xff\xfe",
        b"a\nb",
        b" ",
        b"-rf",
        b"\x01\x7f",
    ],
    "names that differ in case or in Unicode form only": [b"Read", b"read", "\u00e9".encode(), "e\u0301".encode()],
    "names that are reserved on Windows (`CON`, `aux.txt`, `a:b`, a trailing dot)": [b"CON", b"aux.txt", b"a:b", b"x."],
}


@proves(*NAMES)
@pytest.mark.parametrize("row", NAMES)
def test_names_are_kept_exactly(bench: Bench, tmp_path: Path, row: str) -> None:
    try:
        expected = _write(bench.work, NAMES[row])
    except OSError as exc:
        pytest.skip(f"this file system has no such names: {exc}")
    tree = bench.put()
    assert bench.held(tree) == expected
    assert _names(bench.taken_out(tree, tmp_path / "out")) == sorted(expected)


def _deep(top: Path, folders: int, width: int) -> int:
    """A file in so many folders, made step by step; the length of its path."""
    here = os.open(top, os.O_RDONLY)
    for _ in range(folders):
        os.mkdir("n" * width, dir_fd=here)
        here, before = os.open("n" * width, os.O_RDONLY, dir_fd=here), here
        os.close(before)
    os.close(os.open("leaf", os.O_CREAT | os.O_WRONLY, dir_fd=here))
    os.close(here)
    return folders * (width + 1) + 4


@proves("a path of 4,000 bytes, 500 folders deep")
def test_a_path_of_4000_bytes(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    work = Path(os.path.relpath(bench.work, ROOT)) if len(str(bench.work)) > 90 else bench.work
    width = (4000 - 4) // 500 - 1 if len(str(work)) < 80 else (3900 - 4) // 500 - 1
    length = _deep(bench.work, 500, width)
    assert length >= 3500
    (path,) = bench.held(bench.put())
    assert len(path) == length


@proves("a path longer than the system takes")
def test_a_path_that_is_too_long(bench: Bench) -> None:
    _deep(bench.work, 30, 200)
    bench.refused("nnnn", "longer than the system takes")


@proves("an empty file, an empty folder")
def test_what_is_empty(bench: Bench, tmp_path: Path) -> None:
    (bench.work / "file").write_bytes(b"")
    (bench.work / "folder" / "below").mkdir(parents=True)
    out = bench.taken_out(bench.put(), tmp_path / "out")
    assert (out / "file").read_bytes() == b""
    assert list((out / "folder").iterdir()) == [out / "folder" / "below"]


@proves("a sparse file")
def test_a_sparse_file(bench: Bench, tmp_path: Path) -> None:
    with (bench.work / "holes").open("wb") as file:
        file.truncate(30_000_000)
        file.seek(20_000_000)
        file.write(b"middle")
    out = bench.taken_out(bench.put(), tmp_path / "out")
    assert (out / "holes").read_bytes() == (bench.work / "holes").read_bytes()


@proves("a file over 4 GiB")
@pytest.mark.slow
@pytest.mark.skipif(not DEEP, reason="deep profile: four GiB are hashed, for half a minute")
def test_a_file_over_4_gib(bench: Bench) -> None:
    size = 4 * 1024**3 + 1
    with (bench.work / "large").open("wb") as file:
        file.truncate(size)
        file.seek(size - 1)
        file.write(b"!")
    tree = bench.put()
    with Store.open(bench.url) as store:
        (entry,) = store.tree(tree).entries
        assert store.size(entry.content) == size
    bench.run("fsck")  # which reads and verifies all of it


@proves("hard links")
def test_hard_links(bench: Bench, tmp_path: Path) -> None:
    (bench.work / "one").write_bytes(random.Random(1).randbytes(200_000))
    os.link(bench.work / "one", bench.work / "two")
    out = bench.taken_out(bench.put(), tmp_path / "out")
    assert (out / "one").read_bytes() == (out / "two").read_bytes() == (bench.work / "one").read_bytes()
    assert (out / "one").stat().st_nlink == 1
    assert sum(path.stat().st_size for path in Path(bench.url).rglob("*.pack")) < 300_000


@proves("a link that stays inside, also to nothing or to itself, and loops of links")
def test_links_are_never_followed(bench: Bench, tmp_path: Path) -> None:
    links = {"nothing": "not-there", "self": "self", "a": "b", "b": "a", "up/folder": "../up"}
    (bench.work / "up").mkdir()
    for name, target in links.items():
        (bench.work / name).symlink_to(target)
    out = bench.taken_out(bench.put(), tmp_path / "out")
    assert {name: os.readlink(out / name) for name in links} == links


@proves("a link that is absolute or may lead out")
@pytest.mark.parametrize("target", ["/etc/passwd", "..", "x/../../y"])
def test_links_that_lead_out(bench: Bench, target: str) -> None:
    (bench.work / "way-out").symlink_to(target)
    bench.refused("way-out", target)


@proves("a FIFO", "a socket", "a device")
@pytest.mark.parametrize("kind", ["FIFO", "socket", "device"])
def test_what_is_no_file(bench: Bench, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(bench.work)
    _write(bench.work, [b"aa", b"zz"])
    if kind == "FIFO":
        os.mkfifo("queer")
    elif kind == "socket":
        socket.socket(socket.AF_UNIX).bind("queer")
    else:
        try:
            os.mknod("queer", 0o600 | 0o020000, os.makedev(1, 5))  # /dev/zero: reading it would never end
        except OSError as exc:
            pytest.skip(f"no device can be made here: {exc}")
    bench.refused("queer", kind.lower() if kind != "FIFO" else "FIFO")


@contextmanager
def _meanwhile(act: Callable[[], bool]) -> Iterator[None]:
    """`act` again and again in a thread, until it says that it is done."""
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set() and act():
            pass

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _put_while(bench: Bench, act: Callable[[], bool]) -> bytes | None:
    """What was stored of the one file; None when it was refused by name, or gone before it was met."""
    with _meanwhile(act):
        argv = [sys.executable, "-c", _RUN, "--store", bench.url, "put", str(bench.work)]
        done = subprocess.run(argv, capture_output=True, timeout=120, check=False, cwd=ROOT)
    assert done.returncode in (0, 1), done.stderr
    assert list(Path(bench.url, "tmp").glob("*")) == []
    if done.returncode:
        assert b"moving" in done.stderr
        return None
    return next(iter(bench.held(Digest(done.stdout.split()[0].decode())).values()), None)


@proves("a file that grows while it is read")
def test_a_file_that_grows(bench: Bench) -> None:
    base, path = random.Random(2).randbytes(6_000_000), bench.work / "moving"
    for _ in range(3):
        path.write_bytes(base)
        with path.open("ab", buffering=0) as file:
            found = _put_while(bench, lambda file=file: bool(file.write(b"x")))  # type: ignore[misc]
        assert found is None or found == base + b"x" * (len(found) - len(base))


@proves("a file that is cut while it is read")
def test_a_file_that_is_cut(bench: Bench) -> None:
    base, path = random.Random(2).randbytes(6_000_000), bench.work / "moving"

    def cut() -> bool:
        size = path.stat().st_size
        os.truncate(path, max(0, size - 1))
        return size > 0

    for _ in range(3):
        path.write_bytes(base)
        found = _put_while(bench, cut)
        assert found is None or (len(found) <= len(base) and found == base[: len(found)])


@proves("a file that goes away while it is read")
def test_a_file_that_goes_away(bench: Bench) -> None:
    base, path = random.Random(2).randbytes(2_000_000), bench.work / "moving"

    def go() -> bool:
        path.unlink(missing_ok=True)
        path.write_bytes(base)
        return True

    for _ in range(4):
        path.write_bytes(base)
        found = _put_while(bench, go)
        assert found is None or base.startswith(found)
    (bench.work / "moving").unlink()
    assert bench.held(bench.put()) == {}


@proves("a file or folder that may not be read")
@pytest.mark.parametrize("what", ["file", "folder"])
def test_what_may_not_be_read(bench: Bench, what: str) -> None:
    _write(bench.work, [b"before", b"z-after"])
    secret = bench.work / "secret"
    secret.mkdir() if what == "folder" else secret.write_bytes(b"x")
    secret.chmod(0)
    if os.geteuid() == 0:  # root may read everything, unless it gives that up
        bench.wrapper = ("setpriv", "--bounding-set=-dac_override,-dac_read_search")
        if shutil.which("setpriv") is None or subprocess.run([*bench.wrapper, "true"], check=False).returncode:
            pytest.skip("root may read everything, and setpriv cannot take that away here")
    bench.refused("secret", "Permission denied")
    secret.chmod(0o700)


@proves("a store that may not be written (a read-only disk)")
def test_a_store_on_a_read_only_disk(bench: Bench, tmp_path: Path) -> None:
    expected = _write(bench.work, [b"one", b"two"])
    tree = bench.put()
    (bench.work / "three").write_bytes(b"new")
    if os.geteuid() == 0:
        bench.wrapper = (
            *("unshare", "--mount", "sh", "-c"),
            f'mount --bind "{bench.url}" "{bench.url}" && mount -o remount,bind,ro "{bench.url}" && exec "$@"',
            "sh",
        )
        if subprocess.run([*bench.wrapper, "true"], check=False, capture_output=True).returncode:
            pytest.skip("nothing can be mounted read-only here")
    else:
        for folder in [Path(bench.url), *(p for p in Path(bench.url).rglob("*") if p.is_dir())]:
            folder.chmod(0o555)
    out = bench.taken_out(tree, tmp_path / "out")
    assert {name: (out / os.fsdecode(name)).read_bytes() for name in expected} == expected
    bench.run("fsck")
    told = bench.run("put", str(bench.work), code=12).stderr.decode()
    assert bench.url in told
    bench.wrapper = ()
    for folder in [Path(bench.url), *(p for p in Path(bench.url).rglob("*") if p.is_dir())]:
        folder.chmod(0o755)


@proves("files from 1970, before it, and from 2099")
@pytest.mark.parametrize("seconds", [0, -86_400, 4_070_908_800])
def test_files_of_any_year(bench: Bench, seconds: int) -> None:
    path = bench.work / "file"
    for text in (b"first", b"later", b"again"):  # of one length: only its times can tell
        path.write_bytes(text)
        os.utime(path, (seconds, seconds))
        assert bench.held(bench.put()) == {b"file": text}


@proves("a clock that says 1970 or 2099")
@pytest.mark.parametrize("now", ["1970-01-01T00:00:01+00:00", "2099-12-31T23:59:59+00:00"])
def test_any_clock(bench: Bench, now: str) -> None:
    path = bench.work / "file"
    for text in (b"first", b"later", b"again"):
        path.write_bytes(text)
        assert bench.held(bench.put(CASSTORE_TESTING="1", CASSTORE_NOW=now)) == {b"file": text}
    bench.run("fsck", CASSTORE_TESTING="1", CASSTORE_NOW=now)


@proves("the store itself inside the folder")
def test_the_store_itself(bench: Bench) -> None:
    bench.work = Path(bench.url).parent
    bench.refused("store")


@proves(
    "a file or folder that others may not read (`0600`, `0700`)",
    "a setuid, setgid or sticky bit, a capability",
    "owner, group, times, other extended attributes, write bits for others",
)
def test_modes(bench: Bench, tmp_path: Path) -> None:
    for name, mode in (("private", 0o600), ("own", 0o700), ("suid", 0o4755), ("sticky", 0o1644), ("shared", 0o666)):
        (bench.work / name).write_bytes(b"x")
        (bench.work / name).chmod(mode)
    told = bench.run("put", str(bench.work)).stderr
    assert b"2 files or folders are private" in told
    assert b"2 files or folders lose a setuid, setgid or sticky bit: sticky, suid" in told
    assert b"shared" not in told
    assert b"--strict" in bench.run("put", str(bench.work), "--strict", code=1).stderr
    bench.run("get", bench.put(), str(tmp_path / "out"))
    modes = {path.name: path.stat().st_mode & 0o7777 for path in (tmp_path / "out").iterdir()}
    assert modes == {"private": 0o644, "own": 0o755, "suid": 0o755, "sticky": 0o644, "shared": 0o644}


LINE = """\
[components.a]
root = "ROOT"
include = [INCLUDE]
exclude = [EXCLUDE]
[products.p]
components = ["a"]
format = "tar.gz"
[channels.dev]
approvals = 0
"""


def line(bench: Bench, tmp_path: Path, include: str, exclude: str = "") -> tuple[str, ...]:
    """A casstore.toml over the folder, and a key that holds every role; what each command begins with."""
    text = LINE.replace("ROOT", str(bench.work)).replace("INCLUDE", include).replace("EXCLUDE", exclude)
    (tmp_path / "casstore.toml").write_text(f'[store]\nurl = "{tmp_path}/line"\n{text}')
    bench.url, key = f"{tmp_path}/line", str(tmp_path / "key.pem")
    os.environ["CASSTORE_KEY"] = key
    if not os.path.exists(key):
        bench.run("--config", str(tmp_path / "casstore.toml"), "keys", "generate", key, "--no-passphrase")
        bench.run("--config", str(tmp_path / "casstore.toml"), "init", "--key", key)
    return ("--config", str(tmp_path / "casstore.toml"))


@proves("an exclude that hits nothing", "an empty folder of a component", "a folder that holds only excluded files")
def test_what_is_told(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CASSTORE_KEY", "")
    (bench.work / "f").write_bytes(b"x")
    (bench.work / "var" / "log").mkdir(parents=True)
    (bench.work / "only").mkdir()
    (bench.work / "only" / "x.o").write_bytes(b"x")
    start = line(bench, tmp_path, '"**"', '"*.pyc", "**/*.o"')
    put, release = ((*start, *words) for words in (("put", "a", "--release-version", "1"), ("release", "1")))
    assert b"1 globs exclude nothing: *.pyc" in bench.run(*put, "--strict", code=1).stderr
    assert b"1 globs exclude nothing: *.pyc" in bench.run(*put).stderr
    lost = b"empty folders are in no archive: only, var/log"
    assert lost in bench.run(*release, "--strict", code=1).stderr
    assert lost in bench.run(*release, "--dry-run").stderr
    with open(tmp_path / "casstore.toml", "a") as file:
        file.write('[components.a.folders]\n"**" = "0750"\n')
    assert b"empty folder" not in bench.run(*release, "--strict").stderr
    bench.run(*start, "get", "1/p", str(tmp_path / "got"))
    assert {(tmp_path / "got" / path).stat().st_mode & 0o777 for path in ("only", "var/log")} == {0o750}


@proves(
    "an include that matches nothing, also because a folder on its way is a link",
    "a glob that begins with `!`, or is none",
)
@pytest.mark.parametrize(
    "include", ['"typo/**", "f"', '"dist/**", "f"', '"**", "!.env"', '"[z-a]*"', '"/etc/*"', '"../x"']
)
def test_globs(bench: Bench, tmp_path: Path, include: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CASSTORE_KEY", "")
    (bench.work / "f").write_bytes(b"x")
    (bench.work / "out").mkdir()
    (bench.work / "out" / "program").write_bytes(b"x")
    (bench.work / "dist").symlink_to("out")
    start = line(bench, tmp_path, include)
    told = bench.run(*start, "put", "a", "--release-version", "1", code=2).stderr
    assert b"unexpected" not in told
    assert include.split(", ")[0 if "," not in include or "!" not in include else 1].strip('"').encode() in told


@proves("a file that is changed through a shared mapping which is open for long")
def test_a_shared_mapping(bench: Bench) -> None:
    path = bench.work / "file"
    path.write_bytes(b"a" * 8192)
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as shared:
        shared[0] = ord("b")
        bench.put()
        time.sleep(0.3)
        bench.put()
        shared[0] = ord("c")
        digest = Digest(bench.run("put", str(bench.work), "--reread").stdout.split()[0].decode())
        assert bench.held(digest)[b"file"][:1] == b"c"


@proves("standard output that is full or closed")
@pytest.mark.parametrize("where", [">/dev/full", ">&-"])
def test_an_output_that_takes_nothing(bench: Bench, where: str) -> None:
    (bench.work / "file").write_bytes(b"x")
    bench.wrapper = ("sh", "-c", f'exec "$@" {where}', "sh")
    told = bench.run("put", str(bench.work), code=12).stderr
    assert b"error: standard output" in told
    bench.wrapper = ()
    assert b"1 files, 1 B: 0 new" in bench.run("put", str(bench.work)).stderr


def test_every_row_of_the_table_is_proven() -> None:
    lines = (ROOT / "docs/guide/odd-input.md").read_text().splitlines()
    rows = {line.split(" | ")[0].removeprefix("| ") for line in lines if line.startswith("| ")} - {"input"}
    assert rows == PROVEN
    assert lines[-1].startswith(f"Every row is proven by `{Path(__file__).relative_to(ROOT)}`")
