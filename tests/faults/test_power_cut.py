"""What was acknowledged is there after a power cut, with `full` and with `batch`; with `none` it is not.

The last two tests are the controls: a store that syncs nothing, and one whose fsync does nothing, lose
what they acknowledged. So the cut is a real one, and the fsyncs are what keeps the promise.
"""

from __future__ import annotations

import os
import random
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from attest.digests import Digest, sha256
from attest.errors import CasstoreError
from casstore.fsck import fsck
from casstore.objects.packs import Durability
from casstore.store.store import Store, StoreOptions
from tests.support.power import Disk
from tests.support.small_line import BEGIN, STEPS, Place
from tests.support.system_calls import DEEP, SEED, need_strace, tell

pytestmark = pytest.mark.foreign

CUTS = 30 if DEEP else 4
CASSTORE = [sys.executable, "-m", "cli.main"]
WRITER = """
import random, sys
from casstore.ingest import IngestOptions
from casstore.objects.kinds import NewObject
from casstore.store.store import Store
source = random.Random(int(sys.argv[2]))
with Store.open(sys.argv[1]) as store:
    for turn in range(100000):
        digests = store.put_many([NewObject(source.randbytes(source.randrange(1, 200_000))) for _ in range(3)])
        if turn % 4 == 0:
            digests.append(store.put_tree(sys.argv[3], include=[f"{source.randrange(10)}*"]).tree)
        print(" ".join(digests), flush=True)
"""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    made = Disk(tmp_path)
    yield made
    made.close()


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A folder to be put, on the disk that has power."""
    for number in range(300):
        path = tmp_path / "work" / f"{number % 10}" / f"{number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(random.Random(number).randbytes(number * 30))
    return tmp_path / "work"


def init(disk: Disk, durability: Durability) -> str:
    url = str(disk.path / "store")
    Store.init(url, options=StoreOptions(durability=durability)).close()
    return url


def written_until(seconds: float, url: str, seed: int, work: Path, disk: Disk) -> set[Digest]:
    """A writer works, the power goes; what it had acknowledged by then."""
    command = [sys.executable, "-c", WRITER, url, str(seed), str(work)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0)
    assert process.stdout is not None
    told = process.stdout.readline()  # begun
    time.sleep(seconds)
    while select.select([process.stdout], [], [], 0)[0] and (more := os.read(process.stdout.fileno(), 1 << 16)):
        told += more
    disk.off()  # what is told from now on was told after the cut, and may count on nothing
    process.kill()
    process.communicate()
    disk.on()
    return {
        Digest(word) for line in told.decode().splitlines(keepends=True) if line.endswith("\n") for word in line.split()
    }


def check(url: str, told: set[Digest]) -> None:
    """Everything is there and exact, and the store is whole."""
    with Store.open(url) as store:
        for digest in told:
            assert sha256(store.read(digest)) == digest
        assert told <= set(store.digests())
        assert fsck(store).ok


def lost(url: str, told: set[Digest]) -> int:
    """How much of what was acknowledged cannot be read."""
    try:
        with Store.open(url) as store:
            return sum(not _readable(store, digest) for digest in told)
    except CasstoreError:
        return len(told)


def _readable(store: Store, digest: Digest) -> bool:
    try:
        return sha256(store.read(digest)) == digest
    except CasstoreError:
        return False


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("durability", [Durability.BATCH, Durability.FULL])
def test_what_was_acknowledged_is_there_after_a_power_cut(disk: Disk, work: Path, durability: Durability) -> None:
    tell(f"CASSTORE_SEED={SEED}")
    url, source, told = init(disk, durability), random.Random(SEED), set[Digest]()
    for cut in range(CUTS):
        told |= written_until(source.uniform(0, 0.7), url, cut, work, disk)
        check(url, told)
    tell(f"{durability}: {disk.cuts} cuts, {len(told)} acknowledged, 0 lost")
    assert len(told) > CUTS * 3


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("durability", [Durability.BATCH, Durability.FULL])
def test_the_power_goes_as_soon_as_put_returns(disk: Disk, work: Path, durability: Durability) -> None:
    """A stream of puts makes the ones before durable by the way; here nothing comes after."""
    url, told = init(disk, durability), set[Digest]()
    for cut in range(CUTS):
        (work / "new").write_bytes(b"%d" % cut * 1000 * cut)
        told |= put(url, work / "new" if cut % 2 else work)
        disk.cut()
        check(url, told)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_each_command_of_a_release_line_is_there_after_a_power_cut(disk: Disk) -> None:
    place = Place.make(disk.path / "line")
    os.sync()  # the project itself is not ours to keep
    for words in BEGIN:
        place.must(*words)
        disk.cut()
    for name, step in STEPS.items():
        if name == "get":
            break  # what is checked out can be checked out again: it is not synced
        place.must(*step.words)
        disk.cut()
        step.done(place)
        place.whole()


def put(url: str, path: Path, *under: str) -> set[Digest]:
    done = subprocess.run(
        [*under, *CASSTORE, "--store", url, "put", str(path)], capture_output=True, text=True, check=True
    )
    return {Digest(line.split()[0]) for line in done.stdout.splitlines()}


def test_without_any_sync_the_same_cut_loses(disk: Disk, work: Path) -> None:
    """Control: the setting `none`."""
    url = init(disk, Durability.NONE)
    told = put(url, work)
    disk.cut()
    assert lost(url, told) == len(told) == 1


def test_with_an_fsync_that_does_nothing_the_same_cut_loses(disk: Disk, work: Path) -> None:
    """Control: the setting `full`, but no fsync reaches the kernel."""
    need_strace()
    url = init(disk, Durability.FULL)
    calls = "fsync,fdatasync"
    under = ("strace", "-f", "-qq", "-o", os.devnull, "-e", f"trace={calls}", "-e", f"inject={calls}:retval=0")
    told = put(url, work, *under)
    disk.cut()
    assert lost(url, told) == len(told) == 1
