"""What one command puts goes into one pack, and nothing of it counts before that pack is whole and durable."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from attest.digests import Digest, sha256
from casstore.errors import NoSuchObject, StorageUnavailable
from casstore.fsck import fsck
from casstore.ingest import IngestOptions
from casstore.objects.kinds import Kind, NewObject
from casstore.store.store import Store

SIZES = (0, 1, 65_536, 65_537, 70_000, 262_144, 1 << 20, (1 << 20) + 1, 5_000_000)
"""Both sides of every border of a pack."""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.init(str(tmp_path / "store"))


def folders(place: Path, count: int) -> list[Path]:
    for number in range(count):
        (place / f"{number}").mkdir(parents=True)
        for size in SIZES:
            data = (b"%d" % number * size)[:size] if size % 2 else os.urandom(size)
            (place / f"{number}" / f"{size}").write_bytes(data)
    return [place / f"{number}" for number in range(count)]


def names(store: Store) -> list[bytes]:
    return list(store.packs.names())


def test_many_puts_are_one_pack_and_whole(store: Store, tmp_path: Path) -> None:
    places = folders(tmp_path / "work", 4)
    with store.gathering():
        workers = (IngestOptions(workers=1), IngestOptions(workers=2)) * 2
        reports = [store.put_tree(str(place), options=how) for place, how in zip(places, workers, strict=True)]
        about = sha256(b"about")
        told = store.put_bytes(b"an attestation", subjects=(about,), kind=Kind.ATTESTATION)
        assert names(store) == []
        assert store.attestations(about) == [told], "it is found through this handle at once"
        for place, report in zip(places, reports, strict=True):
            for path, entry in store.walk(report.tree):
                assert store.read(entry.content) == (place / os.fsdecode(path)).read_bytes()
        with Store.open(store.url) as other:
            assert not other.has(told), "and by nobody else"
    assert len(names(store)) == 1
    assert [store.put_tree(str(place)).new_files for place in places] == [0] * 4
    assert not fsck(store).damaged
    with Store.open(store.url) as other:
        assert other.attestations(about) == [told]
        other.checkout(reports[2].tree, str(tmp_path / "out"))
    for size in SIZES:
        assert (tmp_path / "out" / f"{size}").read_bytes() == (places[2] / f"{size}").read_bytes()
    assert list(Path(store.url, "tmp").iterdir()) == []


def test_a_put_by_several_processes_is_one_pack(store: Store, tmp_path: Path) -> None:
    for number in range(500):
        (tmp_path / "work" / f"{number % 7}").mkdir(parents=True, exist_ok=True)
        (tmp_path / "work" / f"{number % 7}" / f"{number}").write_bytes(os.urandom(number * 10))
    with store.gathering():
        store.put_bytes((tmp_path / "work" / "3" / "3").read_bytes())
        report = store.put_tree(str(tmp_path / "work"), options=IngestOptions(workers=2))
    assert report.new_files == 499, "what was gathered before is known to them"
    assert len(names(store)) == 1
    assert not fsck(store).damaged


def test_an_entry_waits_for_the_pack(store: Store) -> None:
    with store.gathering():
        store.put_bytes(b"first")
        (pack,) = store.take_new_packs()
        assert [name.hex() for name in names(store)] == [pack.removeprefix("sha256:")]
        store.put_bytes(b"second")
        assert len(names(store)) == 1
    assert len(store.take_new_packs()) == 1


def test_after_an_error_nothing_was_put_and_nothing_is_remembered(store: Store, tmp_path: Path) -> None:
    (place,) = folders(tmp_path / "work", 1)
    for path in [*place.iterdir(), place]:
        os.utime(path, (1_000_000_000, 1_000_000_000))
    with pytest.raises(KeyboardInterrupt), store.gathering():
        tree = store.put_tree(str(place)).tree
        raise KeyboardInterrupt
    assert names(store) == []
    assert list(Path(store.url, "tmp").iterdir()) == []
    assert not store.has(tree)
    assert store.put_tree(str(place)).new_files == len(SIZES), "no cache says that the files are known"
    assert not fsck(store).damaged


def test_an_object_is_in_no_pack_twice(store: Store) -> None:
    about, other = sha256(b"one"), sha256(b"other")
    with store.gathering():
        store.put_many([NewObject(b"same", Kind.ATTESTATION, (about,)), NewObject(b"more")])
        told = store.put_bytes(b"same", subjects=(other,), kind=Kind.ATTESTATION)
    assert store.attestations(about) == store.attestations(other) == [told]
    assert not fsck(store).damaged


def test_what_could_not_be_kept_fails_whoever_gathers(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the error was taken for somebody else's."""
    store.put_bytes(b"before")
    with pytest.raises(StorageUnavailable, match="nothing of it counts"), store.gathering():
        store.put_bytes(b"first")
        with monkeypatch.context() as patched:
            patched.setattr(os, "pread", _full)
            with pytest.raises(StorageUnavailable):
                store.put_bytes(b"second")
        store.put_bytes(b"third")
    for lost in (b"first", b"second", b"third"):
        with pytest.raises(NoSuchObject):
            store.read(sha256(lost))
    assert store.read(store.put_bytes(b"first")) == b"first"
    assert len(names(store)) == 2


def _full(*_: object) -> bytes:
    raise OSError(28, "No space left on device")


KILLED = """
import os, signal, sys
from casstore.store.store import Store
with Store.open(sys.argv[1]) as store, store.gathering():
    print(store.put_tree(sys.argv[2]).tree, flush=True)
    if sys.argv[3] == "settled":
        store.settle()
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("moment", ["gathered", "settled"])
def test_killed_while_it_gathers(store: Store, tmp_path: Path, moment: str) -> None:
    (place,) = folders(tmp_path / "work", 1)
    for path in [*place.iterdir(), place]:
        os.utime(path, (1_000_000_000, 1_000_000_000))
    command = [sys.executable, "-c", KILLED, store.url, str(place), moment]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    tree = Digest(done.stdout.strip())
    assert len(names(store)) == (moment == "settled")
    assert store.has(tree) == (moment == "settled")
    report = store.put_tree(str(place))
    assert report.tree == tree
    assert report.new_files == (0 if moment == "settled" else len(SIZES))
    assert not fsck(store).damaged
