"""Storage adapters: one contract for folder, memory and object store clients; what differs, beside it."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pytest

from attest.digests import sha256
from attest.errors import BadInput
from casstore.errors import (
    NoSuchObject,
    NoSuchStore,
    NotWritable,
    PolicyViolation,
    StorageUnavailable,
)
from casstore.network.network import NetworkGuard
from casstore.storage import MAX_CREATE, Storage, open_storage
from casstore.storage.file import FileStorage
from casstore.storage.memory import MemoryStorage
from casstore.storage.obstore_client import ObstoreClient
from casstore.storage.probe import probe
from casstore.storage.remote import RemoteStorage, Taken, Unsure


def _obstore_memory() -> Storage:
    store = pytest.importorskip("obstore.store")
    return RemoteStorage("s3://bucket", ObstoreClient(store.MemoryStore(), "s3://bucket"))


@pytest.fixture(params=["file", "memory", "obstore"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    if request.param == "file":
        return open_storage(str(tmp_path / "a" / "store"), create=True)
    return open_storage(f"memory://{uuid4()}") if request.param == "memory" else _obstore_memory()


def a_file(tmp_path: Path, data: bytes) -> str:
    path = tmp_path / uuid4().hex
    path.write_bytes(data)
    return str(path)


# the contract


def test_create_lets_the_first_win_and_knows_its_own_bytes(storage: Storage) -> None:
    assert storage.create("ledgers/main/0", b"one") is True
    assert storage.create("ledgers/main/0", b"two") is False
    assert storage.create("ledgers/main/0", b"one") is True
    assert storage.read("ledgers/main/0") == b"one"


def test_create_of_an_empty_object_is_exclusive_too(storage: Storage) -> None:
    assert storage.create("k", b"one") is True
    assert storage.create("k", b"") is False
    assert storage.read("k") == b"one"


def test_racing_creates_have_one_winner_whose_bytes_are_there(storage: Storage) -> None:
    writers, start = 8, threading.Barrier(8)
    for number in range(10):

        def race(me: int, key: str = f"race/{number}") -> bool:
            start.wait(30)
            return storage.create(key, b"%d" % me)

        with ThreadPoolExecutor(writers) as pool:
            won = [me for me, mine in enumerate(pool.map(race, range(writers))) if mine]
        assert len(won) == 1
        assert storage.read(f"race/{number}") == b"%d" % won[0]


def test_read_ranges(storage: Storage) -> None:
    storage.create("k", b"0123456789")
    assert storage.read("k", 3) == b"3456789"
    assert storage.read("k", 3, 4) == b"3456"
    assert storage.read("k", 8, 100) == b"89"
    assert storage.read("k", 10, 5) == storage.read("k", 10) == storage.read("k", 2, 0) == b""
    storage.create("empty", b"")
    assert storage.read("empty", 0, 10) == storage.read("empty") == b""


def test_what_is_not_there(storage: Storage) -> None:
    with pytest.raises(NoSuchObject, match="nothing/here"):
        storage.read("nothing/here")
    assert storage.size("nothing/here") is None
    assert list(storage.list("nothing")) == []
    storage.delete(["nothing/here"])


def test_put_file_is_complete_and_repeatable(storage: Storage, tmp_path: Path) -> None:
    data = os.urandom(300_000)
    for _ in range(2):
        storage.put_file("packs/ab/x.pack", a_file(tmp_path, data), sha256(data))
    assert storage.size("packs/ab/x.pack") == len(data)
    assert storage.read("packs/ab/x.pack") == data


def test_put_file_refuses_bytes_that_are_not_the_digest(storage: Storage, tmp_path: Path) -> None:
    with pytest.raises(StorageUnavailable, match="its bytes are not"):
        storage.put_file("packs/ab/x.pack", a_file(tmp_path, b"other"), sha256(b"said"))
    assert storage.size("packs/ab/x.pack") is None


def test_put_file_mends_an_object_that_was_cut(storage: Storage, tmp_path: Path) -> None:
    storage.create("packs/ab/x.pack", b"cut")
    storage.put_file("packs/ab/x.pack", a_file(tmp_path, b"cut no more"), sha256(b"cut no more"))
    assert storage.read("packs/ab/x.pack") == b"cut no more"


def test_list_and_delete(storage: Storage) -> None:
    for key in ("a/1", "a/2", "ab/3", "b"):
        storage.create(key, key.encode())
    assert sorted(storage.list("a/")) == ["a/1", "a/2"]
    assert sorted(storage.list("a")) == ["a/1", "a/2", "ab/3"]
    assert sorted(storage.list("")) == ["a/1", "a/2", "ab/3", "b"]
    storage.delete(["a/1", "b"])
    assert sorted(storage.list("")) == ["a/2", "ab/3"]


def test_replace(storage: Storage) -> None:
    storage.replace("pointer", b"one")
    storage.replace("pointer", b"two")
    assert storage.read("pointer") == b"two"


@pytest.mark.parametrize("key", ["", "/a", "a/", "a//b", "../a", "a/../b", ".hidden", "a/.tmp", "a\nb", "ä", "a b"])
def test_keys_are_plain_names(storage: Storage, key: str) -> None:
    with pytest.raises(BadInput, match="not a storage key"):
        storage.create(key, b"")
    with pytest.raises(BadInput, match="not a storage key"):
        storage.read(key)


def test_exclusive_objects_are_small(storage: Storage) -> None:
    with pytest.raises(BadInput, match="cannot be created exclusively"):
        storage.create("k", bytes(MAX_CREATE + 1))


def test_the_probe_takes_it(storage: Storage) -> None:
    assert probe(storage, rounds=3).require().problem == ""
    assert list(storage.list("probe/")) == []


# folders


def test_a_folder_must_be_there_unless_it_is_to_be_made(tmp_path: Path) -> None:
    with pytest.raises(NoSuchStore, match="no such folder"):
        open_storage(str(tmp_path / "nope"))
    assert open_storage(str(tmp_path / "new"), create=True).local_path == str(tmp_path / "new")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(BadInput, match="not a folder"):
        open_storage(str(tmp_path / "file"), create=True)


def test_the_url_of_a_folder_opens_it_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "st%20re").mkdir()
    monkeypatch.chdir(tmp_path)
    storage = open_storage("./st%20re")
    storage.create("k", b"v")
    monkeypatch.chdir("/")
    assert open_storage(storage.url).read("k") == b"v"
    assert open_storage(f"file://{tmp_path}/st%2520re").read("k") == b"v"
    with pytest.raises(BadInput, match="names no host"):
        open_storage("file://elsewhere/x")


def test_what_a_crash_leaves_is_no_object(tmp_path: Path) -> None:
    storage = open_storage(str(tmp_path))
    storage.create("a/k", b"v")
    (tmp_path / "a" / ".tmp-1-dead").write_bytes(b"half")
    assert list(storage.list("")) == ["a/k"]


def test_no_temporary_file_stays(tmp_path: Path) -> None:
    storage = open_storage(str(tmp_path))
    storage.create("a/k", b"v")
    storage.create("a/k", b"w")
    with pytest.raises(StorageUnavailable):
        storage.put_file("a/f", a_file(tmp_path, b"x"), sha256(b"y"))
    assert os.listdir(tmp_path / "a") == ["k"]


def test_a_read_only_handle_refuses_to_write(tmp_path: Path) -> None:
    storage = FileStorage(str(tmp_path), read_only=True)
    for act in (lambda: storage.create("k", b""), lambda: storage.delete(["k"]), lambda: storage.replace("k", b"")):
        with pytest.raises(NotWritable, match="reading only"):
            act()


def test_a_full_disk_is_named_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    storage = open_storage(str(tmp_path))
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageUnavailable, match="No space left") as caught:
        storage.create("k", b"v")
    assert "make room" in caught.value.hint
    assert os.listdir(tmp_path) == []


def test_a_network_file_system_that_repeats_our_link_does_not_make_us_lose(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = os.link

    def twice(source: str, target: str) -> None:
        link(source, target)
        raise FileExistsError(17, "File exists")

    monkeypatch.setattr(os, "link", twice)
    assert open_storage(str(tmp_path)).create("k", b"v") is True


# object stores: every uncertain answer becomes a certain one


class Faulty(ObstoreClient):
    """A client whose next answers about `put_new` are lost, before or after they took effect."""

    def __init__(self, plan: list[str]) -> None:
        super().__init__(pytest.importorskip("obstore.store").MemoryStore())
        self.plan = plan

    def put_new(self, key: str, data: bytes) -> None:
        fault = self.plan.pop(0) if self.plan else ""
        if fault.endswith("before"):
            raise Unsure("503")
        if fault == "other first":
            super().put_new(key, b"other")
        super().put_new(key, data)
        if fault.endswith("after"):
            raise Taken if fault.startswith("retried") else Unsure("reset")


@pytest.mark.parametrize(
    ("plan", "won"),
    [
        (["lost after"], True),
        (["retried after"], True),
        (["lost before"], True),
        (["lost before", "lost after"], True),
        (["other first"], False),
        (["lost before", "other first"], False),
    ],
)
def test_ambiguous_answers_are_settled_by_reading_back(plan: list[str], won: bool) -> None:
    storage = RemoteStorage("s3://bucket", Faulty(plan))
    assert storage.create("k", b"mine") is won
    assert storage.read("k") == (b"mine" if won else b"other")


def test_a_server_that_stays_away_is_named_not_waited_for() -> None:
    storage = RemoteStorage("s3://bucket", Faulty(["lost before"] * 50))
    with pytest.raises(StorageUnavailable, match="s3://bucket: k cannot be written: 503"):
        storage.create("k", b"mine")


class Overwriting(ObstoreClient):
    """A server that answers 200 and overwrites."""

    def put_new(self, key: str, data: bytes) -> None:
        self.put(key, data)


def test_the_probe_refuses_a_server_that_overwrites() -> None:
    client = Overwriting(pytest.importorskip("obstore.store").MemoryStore())
    with pytest.raises(NotWritable, match="would be lost"):
        probe(RemoteStorage("s3://bucket", client), rounds=2).require()


class RaceLosing(ObstoreClient):
    """A server that is exclusive in sequence and not under a race: a look, a pause, a put."""

    def put_new(self, key: str, data: bytes) -> None:
        if self.head(key) is not None:
            raise Taken
        threading.Event().wait(0.02)
        self.put(key, data)


def test_the_probe_refuses_a_server_that_only_races_wrongly() -> None:
    client = RaceLosing(pytest.importorskip("obstore.store").MemoryStore())
    with pytest.raises(NotWritable, match=r"racing writers|other bytes"):
        probe(RemoteStorage("s3://bucket", client), rounds=3).require()


# URLs and the network policy


@pytest.mark.parametrize(
    "url",
    [
        "s3://bucket/prefix",
        "gs://bucket/prefix",
        "az://container/prefix?account=someone",
        "https://example.org/store",
        "s3://bucket/prefix?endpoint=http://127.0.0.1:1",
    ],
)
def test_nothing_remote_is_opened_without_the_network_policy(url: str) -> None:
    with pytest.raises(PolicyViolation):
        open_storage(url)
    with pytest.raises(PolicyViolation):
        open_storage(url, network=NetworkGuard(["*"], offline=True))


def test_what_a_person_names_is_allowed_and_what_it_leads_to_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID", raising=False)
    with pytest.raises(PolicyViolation, match="AWS_ACCESS_KEY_ID is not set"):
        open_storage("s3://bucket/prefix", network=NetworkGuard([]))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    assert open_storage("s3://bucket/prefix", network=NetworkGuard([])).url == "s3://bucket/prefix"


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("", "not a storage URL"),
        ("s3:/bucket/x", "is neither a URL nor a plain folder"),
        ("gs:bucket", "is neither a URL nor a plain folder"),
        ("s3://", "not a bucket URL"),
        ("s3://key:secret@bucket/prefix", "not a bucket URL"),
        ("s3://bucket/prefix?colour=red", "unknown option 'colour'"),
        ("az://container/prefix", "no storage account"),
        ("nosuch://x/y", "unknown scheme"),
        ("simplecache::s3://x/y", "unknown scheme|no such folder"),
    ],
)
def test_bad_urls_are_refused_by_name(url: str, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_NAME", raising=False)
    with pytest.raises((BadInput, NoSuchStore), match=told) as caught:
        open_storage(url, network=NetworkGuard([]))
    assert "secret" not in str(caught.value)


@pytest.fixture
def web_folder(tmp_path: Path) -> Iterator[str]:
    import functools
    import http.server

    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def test_another_scheme_is_read_only(tmp_path: Path, web_folder: str) -> None:
    pytest.importorskip("aiohttp")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "k").write_bytes(b"value")
    storage = open_storage(web_folder, network=NetworkGuard(["127.0.0.1"]))
    assert storage.read_only
    assert storage.read("a/k") == b"value"
    with pytest.raises(NoSuchObject):
        storage.read("a/none")
    with pytest.raises(NotWritable, match="read-only"):
        storage.create("a/new", b"")
    with pytest.raises(NotWritable, match="read-only"):
        probe(storage).require()


class Seldom(MemoryStorage):
    """Two win in one race of a hundred and fifty."""

    races = 0

    def create(self, key: str, data: bytes) -> bool:
        won = super().create(key, data)
        if not won and key.startswith("probe/"):
            self.races += 1
            if self.races == 150:
                self.replace(key, data)
                return True
        return won


def test_a_server_that_seldom_lets_two_win_is_not_taken() -> None:
    storage = Seldom()
    assert probe(Seldom(), rounds=3, pairs=0).problem == ""
    with pytest.raises(NotWritable, match="2 of 2 racing writers"):
        probe(storage, rounds=3).require()
    assert list(storage.list("probe/")) == []
