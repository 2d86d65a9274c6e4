"""What each durability setting syncs, and when, as the kernel sees it: the table of docs/formats/store.md."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from casstore.objects.packs import Durability
from casstore.store.store import Store, StoreOptions
from tests.support.system_calls import need_strace, trace

pytestmark = pytest.mark.foreign

CASSTORE = [sys.executable, "-m", "cli.main"]
NAMES = "openat,write,writev,pwrite64,fsync,fdatasync,rename"
_FD = re.compile(r"\d+<([^>]*)>")
_DIGEST = re.compile(r'write\(1<.*"sha256:')
PUT_BYTES = """
import sys
from casstore.store.store import Store
with Store.open(sys.argv[1]) as store:
    print(store.put_bytes(sys.argv[2].encode()), flush=True)
"""
CREATE = """
import sys
from casstore.storage import open_storage
open_storage(sys.argv[1]).create("ledgers/main/1", b"entry")
"""


@dataclass(frozen=True)
class Run:
    """The lines of one put before it said anything; paths are those below the store."""

    lines: list[str]

    @property
    def synced(self) -> list[str]:
        return [_path(line) for line in self.lines if "sync(" in line]

    @property
    def renamed(self) -> list[tuple[str, str]]:
        found = (re.search(r'rename\("([^"]*)", "([^"]*)"', line) for line in self.lines)
        return [(match[1], match[2]) for match in found if match and match[2].endswith(".pack")]

    def at(self, text: str) -> int:
        return next(number for number, line in enumerate(self.lines) if text in line)


def _path(line: str) -> str:
    match = _FD.search(line)
    return match[1] if match else ""


@pytest.fixture
def work(tmp_path: Path) -> Path:
    for number in range(250):
        (tmp_path / "work" / str(number % 3)).mkdir(parents=True, exist_ok=True)
        (tmp_path / "work" / str(number % 3) / str(number)).write_bytes(b"%d" % number * number)
    return tmp_path / "work"


def put(tmp_path: Path, durability: Durability, work: Path) -> Run:
    need_strace()
    url = str(tmp_path / "store")
    Store.init(url, options=StoreOptions(durability=durability)).close()
    lines = [
        line.replace(url + "/", "").replace(url, "/")
        for line in trace([*CASSTORE, "--store", url, "put", str(work)], NAMES)
    ]
    told = next(number for number, line in enumerate(lines) if _DIGEST.search(line))
    return Run([line for line in lines[:told] if "resumed>" not in line])


def whole(run: Run) -> None:
    """Each pack is synced before it gets its name, its folder after, and those above it."""
    assert len(run.renamed) == 1, "two workers' packs, and that of the trees, as one"
    for before, after in run.renamed:
        folder = after.rpartition("/")[0]
        named = run.at(f'"{after}"')
        assert any(f"<{before}>" in line for line in run.lines[:named] if "fsync(" in line)
        for place in (folder, "packs", "/"):
            assert any(f"<{place}>" in line for line in run.lines[named:] if "fsync(" in line), place


def test_full_syncs_the_index_to_its_last_page(tmp_path: Path, work: Path) -> None:
    run = put(tmp_path, Durability.FULL, work)
    whole(run)
    index = [line for line in run.lines if "data.mdb>" in line and ("write" in line or "sync(" in line)]
    assert "fdatasync" in index[-2]
    descriptor = re.search(r"pwrite64\((\d+)<", index[-1])
    assert descriptor, "the page that counts is written last"
    assert any("O_DSYNC" in line and f"= {descriptor[1]}<" in line for line in run.lines), "and by itself durable"


def test_batch_may_leave_the_last_page_of_the_index_to_the_system(tmp_path: Path, work: Path) -> None:
    run = put(tmp_path, Durability.BATCH, work)
    whole(run)
    assert sum("data.mdb" in path for path in run.synced) == 1
    descriptor = re.search(r"pwrite64\((\d+)<", [line for line in run.lines if "data.mdb>" in line][-1])
    assert descriptor
    assert not any("O_DSYNC" in line and f"= {descriptor[1]}<" in line for line in run.lines)


def test_none_syncs_nothing(tmp_path: Path, work: Path) -> None:
    run = put(tmp_path, Durability.NONE, work)
    assert len(run.renamed) == 1
    assert run.synced == []


def test_who_counts_on_anothers_pack_syncs_its_names_first(tmp_path: Path) -> None:
    """The other one has given the name and is held up before the folder is synced."""
    need_strace()
    url = str(tmp_path / "store")
    with Store.init(url) as store:
        store.put_bytes(b"warm")
    packs = set(Path(url, "packs").rglob("*.pack"))
    command = [sys.executable, "-c", PUT_BYTES, url, "shared"]
    held_up = ["strace", "-f", "-qq", "-o", os.devnull, "-e", "inject=fsync:delay_enter=9s:when=2"]
    other = subprocess.Popen([*held_up, *command], stdout=subprocess.PIPE, start_new_session=True)
    try:
        while not (new := set(Path(url, "packs").rglob("*.pack")) - packs):
            assert other.poll() is None
        lines = trace(command, NAMES)
        assert other.poll() is None, "it is still held up"
    finally:
        os.killpg(other.pid, signal.SIGKILL)
        other.communicate()
    told = next(number for number, line in enumerate(lines) if _DIGEST.search(line))
    synced = [_path(line) for line in lines[:told] if "fsync(" in line]
    assert {str(new.pop().parent), f"{url}/packs"} <= set(synced)


def test_an_entry_makes_the_folders_durable_that_another_has_just_made(tmp_path: Path) -> None:
    need_strace()
    (tmp_path / "store" / "ledgers" / "main").mkdir(parents=True)
    lines = trace([sys.executable, "-c", CREATE, str(tmp_path / "store")], "fsync,link")
    linked = next(number for number, line in enumerate(lines) if "link(" in line)
    assert any("/.tmp-" in _path(line) for line in lines[:linked]), "the bytes first"
    synced = {_path(line) for line in lines[linked:] if "fsync(" in line}
    assert synced == {str(tmp_path / "store" / below) for below in ("", "ledgers", "ledgers/main")}
