"""The S3 adapter against real server processes on loopback; skipped where none is installed.

See `tests/support/servers.py` for where they are looked for.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pytest

from attest.digests import sha256
from attest.errors import BadInput
from casstore.errors import NoSuchObject, NoSuchStore
from casstore.network.network import NetworkGuard
from casstore.storage import Storage, open_storage
from casstore.storage.probe import probe
from tests.support.counted_bucket import Proxy
from tests.support.servers import ACCOUNT, ACCOUNT_KEY, bucket, container

pytestmark = pytest.mark.server


@pytest.fixture(params=["localbucket", "ministack"], scope="module")
def endpoint(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with bucket(request.param, tmp_path_factory.mktemp("bucket")) as url:
        yield url


@pytest.fixture(params=["obstore", "fsspec", "gs"])
def storage(request: pytest.FixtureRequest, endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Storage]:
    pytest.importorskip("s3fs" if request.param == "fsspec" else "obstore")
    if request.param == "gs":
        with Proxy(endpoint, delay=0, reworded={b"x-goog-if-generation-match: 0": b"If-None-Match: *"}) as proxy:
            yield open_storage(f"gs://bucket/{uuid4().hex}?endpoint={proxy.url}", network=NetworkGuard(["127.0.0.1"]))
        return
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    url = f"s3://bucket/{uuid4().hex}?endpoint={endpoint}"
    url += "&client=fsspec" if request.param == "fsspec" else ""
    yield open_storage(url, network=NetworkGuard(["127.0.0.1"]))


@pytest.fixture
def azure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Storage]:
    """Azurite, by its well-known account."""
    pytest.importorskip("obstore")
    with container(tmp_path / "azurite") as endpoint:
        monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", ACCOUNT)
        monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", ACCOUNT_KEY)
        yield open_storage(f"az://bucket/inside?endpoint={endpoint}", network=NetworkGuard(["127.0.0.1"]))


def test_it_is_proven(storage: Storage, request: pytest.FixtureRequest) -> None:
    """As often as a store asks where it is made, with one client; fewer races with the others."""
    often = {} if request.node.callspec.id == "localbucket-obstore" else {"pairs": 60}
    assert probe(storage, **often).require().problem == ""


def test_azure(azure: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert probe(azure, rounds=3, pairs=40).require().problem == ""
    test_objects_of_all_sizes(azure, tmp_path)
    test_names_that_a_url_must_quote(azure, tmp_path)
    test_a_race_of_sixteen(azure)
    test_a_release_goes_to_prod_in_a_bucket(azure, tmp_path, monkeypatch)
    missing = open_storage(azure.url.replace("//bucket", "//missing"), network=NetworkGuard(["127.0.0.1"]))
    with pytest.raises(NoSuchStore, match="no bucket or container 'missing'"):
        missing.read("casstore.json")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", "no base64!")
    with pytest.raises(BadInput, match="cannot be used"):
        open_storage(azure.url, network=NetworkGuard(["127.0.0.1"]))


def test_objects_of_all_sizes(storage: Storage, tmp_path: Path) -> None:
    for size in (0, 1, 300_000, 20_000_000):
        data = os.urandom(size)
        (tmp_path / "f").write_bytes(data)
        storage.put_file(f"packs/{size}", str(tmp_path / "f"), sha256(data))
        assert storage.size(f"packs/{size}") == size
        assert storage.read(f"packs/{size}") == data
        assert storage.read(f"packs/{size}", size // 2, 10) == data[size // 2 : size // 2 + 10]
        for length in (1, 300_000, 30_000_000):
            assert storage.read_tail(f"packs/{size}", length) == (data[max(0, size - length) :], size)
    assert storage.read("packs/300000", 300_000, 5) == b""
    with pytest.raises(NoSuchObject):
        storage.read_tail("packs/none", 10)
    assert len(list(storage.list("packs/"))) == 4
    storage.delete(["packs/0", "packs/none"])
    with pytest.raises(NoSuchObject):
        storage.read("packs/0")


def test_names_that_a_url_must_quote(storage: Storage, tmp_path: Path) -> None:
    """A version may hold a plus sign, which some take for a blank."""
    (tmp_path / "f").write_bytes(b"plus")
    for key in ("releases/1.0.0+build.5/core-1.0.0+build.5.tar.gz", "releases/1.0.0~rc1/SHA256SUMS"):
        storage.put_file(key, str(tmp_path / "f"), sha256(b"plus"))
        assert storage.read(key) == b"plus"
        assert list(storage.list(key[:15])) == [key]
        storage.replace(key, b"other")
        assert storage.read(key) == b"other"
        assert storage.create(key, b"late") is False


def test_a_race_of_sixteen(storage: Storage) -> None:
    with ThreadPoolExecutor(16) as pool:
        for number in range(8):
            won = list(pool.map(lambda me, n=number: storage.create(f"race/{n}", b"%d" % me), range(16)))
            assert won.count(True) == 1
            assert storage.read(f"race/{number}") == b"%d" % won.index(True)


def test_a_release_goes_to_prod_in_a_bucket(storage: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Store, ledger and promotion over the server, each step from a machine that knows nothing yet."""
    from worlds import World, trust_root

    from casstore.store.store import Store

    def another_machine() -> World:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / uuid4().hex))
        return World(Store.open(storage.url, network=network))

    network = NetworkGuard(["127.0.0.1"])
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "first"))
    first = World(Store.init(storage.url, network=network))
    first.genesis(trust_root(first.store.store_id))
    first.release("1.0.0")
    another_machine().to_staging("1.0.0")
    another_machine().approve("1.0.0", "prod", "ann")
    another_machine().approve("1.0.0", "prod", "bob")
    assert another_machine().promote("1.0.0", "prod").moved
    last = another_machine()
    assert last.state.channels["prod"].version == "1.0.0"
    assert last.state.void == ()
    assert last.ledger.verify().entries == last.state.count
