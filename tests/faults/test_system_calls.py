"""EIO, a full disk and death at every system call of a put that changes the store.

After each: the exit code says so or the digest was acknowledged; what was acknowledged before reads
exactly; fsck finds the store whole; the same put again succeeds.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest

from attest.digests import Digest, sha256
from casstore.fsck import fsck
from casstore.store.store import Store
from tests.support.system_calls import (
    DEEP,
    KILLED,
    SEED,
    Call,
    Fault,
    Struck,
    changing_calls,
    faults_of,
    need_strace,
    strike,
    tell,
)

pytestmark = pytest.mark.foreign

CASSTORE = [sys.executable, "-m", "cli.main"]
FAILED = {1, 12}
"""A file that cannot be read, a disk that cannot be written (docs/exit-codes.md)."""


class Shop:
    """A store with something in it, and a folder to be put."""

    def __init__(self, folder: Path, files: int) -> None:
        self.folder = folder
        self.files = files
        self.environment = {"HOME": str(folder), "XDG_CACHE_HOME": str(folder / "cache")}
        self.counts = {"runs": 0, "strikes": 0, "acknowledged": 0}

    def fresh(self, turn: int) -> tuple[Path, list[Digest]]:
        """A new store and what it has acknowledged."""
        place = self.folder / str(turn)
        work = place / "work" / "below"
        work.mkdir(parents=True)
        for number in range(self.files):
            (work / f"{number}").write_bytes(b"%d %d " % (turn, number) * (1 + number % 50))
        (work / "large").write_bytes(random.Random(turn).randbytes(700_000))
        with Store.init(str(place / "store")) as store:
            return place, [store.put_bytes(b"first"), store.put_bytes(b"large" * 100_000)]

    def command(self, place: Path) -> list[str]:
        return [*CASSTORE, "--store", str(place / "store"), "put", str(place / "work")]

    def calls(self) -> list[Call]:
        place, _ = self.fresh(0)
        return changing_calls(self.command(place), str(place / "store"), env=self.environment)

    def strike(self, turn: int, fault: Fault) -> None:
        """One run under a fault, and what must hold after it."""
        place, told = self.fresh(turn)
        struck = strike(self.command(place), fault, env=self.environment)
        self.counts["runs"] += 1
        self.counts["strikes"] += struck.strikes
        tree = acknowledged(struck)
        assert tree or struck.code in {*FAILED, KILLED}, (str(fault), struck)
        assert struck.is_told, (str(fault), struck)
        with Store.open(str(place / "store")) as store:
            for digest in told + tree:
                assert sha256(store.read(digest)) == digest, str(fault)
            self.counts["acknowledged"] += len(told + tree)
            assert fsck(store).ok, str(fault)
            again = store.put_tree(str(place / "work")).tree
            assert again in (tree or [again]), str(fault)
            store.checkout(again, str(place / "out"))
        same(place / "work", place / "out")


def acknowledged(struck: Struck) -> list[Digest]:
    """The digests of whole lines."""
    return [Digest(line.split()[0]) for line in struck.out.splitlines(keepends=True) if line.endswith("\n")]


def same(one: Path, other: Path) -> None:
    for path in one.rglob("*"):
        assert path.is_dir() or path.read_bytes() == (other / path.relative_to(one)).read_bytes()


def chosen(faults: list[Fault], most: int) -> list[Fault]:
    """All of them in the deep profile, else a sample."""
    tell(f"CASSTORE_SEED={SEED}")
    return faults if DEEP or len(faults) <= most else random.Random(SEED).sample(faults, most)


@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("files", "most"), [(5, 20), (300, 6)], ids=["alone", "with worker processes"])
def test_a_put_survives_a_fault_at_every_changing_call(tmp_path: Path, files: int, most: int) -> None:
    need_strace()
    shop = Shop(tmp_path, files)
    calls = shop.calls()
    assert {"openat", "write", "fsync", "rename", "mkdir", "fdatasync"} <= {call.name for call in calls}
    for turn, fault in enumerate(chosen(faults_of(calls), most), 1):
        shop.strike(turn, fault)
    tell(f"{len(calls)} changing calls: {shop.counts}")
    assert shop.counts["strikes"] >= shop.counts["runs"] * 0.9


def test_a_failed_fsync_fails_the_put_for_good(tmp_path: Path) -> None:
    """One that comes back with an error once would succeed when it is asked again, and prove nothing."""
    need_strace()
    shop = Shop(tmp_path, files=3)
    syncs = [call for call in shop.calls() if call.name == "fsync"]
    assert len(syncs) >= 4
    for turn, call in enumerate(syncs, 1):
        place, _ = shop.fresh(turn)
        struck = strike(shop.command(place), Fault(call, "error=EIO"), env=shop.environment)
        assert (struck.code, struck.strikes, struck.out) == (12, 1, ""), str(call)
        assert "Input/output error" in struck.err
        assert list((place / "store" / "tmp").iterdir()) == [], "what may be half on the disk is dropped"
