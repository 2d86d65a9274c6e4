"""What was acknowledged is there and exact: after kill -9 at any moment, and with many writers at once."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from attest.digests import Digest, sha256
from casstore.fsck import fsck
from casstore.objects.kinds import NewObject
from casstore.store.store import Store

WRITER = """
import sys
from casstore.objects.kinds import Kind, NewObject
from casstore.store.store import Store
url, who = sys.argv[1], sys.argv[2]
with Store.open(url) as store:
    for turn in range(int(sys.argv[3])):
        small = b"%s %d" % (who.encode(), turn)
        digests = store.put_many([NewObject(small), NewObject(small * 9000)])
        digests.append(store.put_bytes(b"{%s}" % small, kind=Kind.ATTESTATION, subjects=digests[:1]))
        print(" ".join(digests), flush=True)
"""

PUTTER = """
import sys
from casstore.ingest import IngestOptions
from casstore.store.store import Store
with Store.open(sys.argv[1]) as store:
    print(store.put_tree(sys.argv[2], options=IngestOptions(workers=2)).tree, flush=True)
"""


def start(code: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, text=True)


def acknowledged(process: subprocess.Popen[str]) -> list[Digest]:
    """Whole lines only: a digest counts once its line is complete."""
    out = process.communicate()[0]
    return [Digest(word) for line in out.splitlines(keepends=True) if line.endswith("\n") for word in line.split()]


@pytest.mark.timeout(600)
def test_kill_9_while_objects_are_put(tmp_path: Path) -> None:
    url = str(tmp_path / "store")
    Store.init(url).close()
    source, told = random.Random(4), set[Digest]()
    for turn in range(12):
        process = start(WRITER, url, f"w{turn}", "100000")
        assert process.stdout is not None
        for _ in range(source.randrange(10, 60)):  # by what it did, so that a busy machine kills no idle process
            told.update(map(Digest, process.stdout.readline().split()))
        time.sleep(source.random() * 0.05)
        process.kill()
        told.update(acknowledged(process))
        with Store.open(url) as store:
            assert fsck(store).ok
            for digest in source.sample(sorted(told), min(50, len(told))):
                assert sha256(store.read(digest)) == digest
            assert told <= set(store.digests())
    assert len(told) > 100


@pytest.mark.timeout(600)
def test_kill_9_while_a_folder_is_put(tmp_path: Path) -> None:
    work = tmp_path / "work"
    for number in range(1500):
        folder = work / str(number % 40)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / str(number)).write_bytes(b"%d " % number * (number % 300))
    with Store.init(str(tmp_path / "whole")) as whole:
        expected = whole.put_tree(str(work)).tree
    source, ended = random.Random(9), 0
    for turn in range(8):
        url = str(tmp_path / f"store{turn % 2}")
        if turn < 2:
            Store.init(url).close()
        process = start(PUTTER, url, str(work))
        time.sleep(0.1 + source.random() * 0.4)
        process.kill()
        told = acknowledged(process)
        ended += bool(told)
        with Store.open(url) as store:
            assert fsck(store).ok
            for tree in told:
                assert sum(1 for _ in store.walk(tree)) == 1500
    with Store.open(str(tmp_path / "store0")) as store:
        assert store.put_tree(str(work)).tree == expected
        store.checkout(expected, str(tmp_path / "out"))
        assert len(list((tmp_path / "out").rglob("*"))) == 1540
    time.sleep(0.3)
    orphans = list(tmp_path.glob("store*/tmp/*"))
    assert len(orphans) <= 8 * 3


@pytest.mark.timeout(600)
def test_many_writers_at_once_lose_nothing(tmp_path: Path) -> None:
    url = str(tmp_path / "store")
    Store.init(url).close()
    processes = [start(WRITER, url, f"w{number}", "15") for number in range(8)]
    told = [digest for process in processes for digest in acknowledged(process)]
    assert [process.returncode for process in processes] == [0] * 8
    assert len(told) == len(set(told)) == 8 * 15 * 3
    with Store.open(url) as store:
        assert fsck(store).ok
        assert set(store.digests()) == set(told)
        for digest in told[::7]:
            assert sha256(store.read(digest)) == digest


def test_put_of_the_same_objects_by_two_handles_is_one_answer(tmp_path: Path) -> None:
    url = str(tmp_path / "store")
    with Store.init(url) as one, Store.open(url) as two:
        items = [NewObject(b"%d" % number) for number in range(50)]
        assert one.put_many(items) == two.put_many(items[::-1])[::-1]
        assert fsck(two).ok
