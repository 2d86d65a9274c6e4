"""Destinations: same bytes skip, other bytes conflict, pointers replace, nothing half-written shows."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from attest.digests import sha256
from attest.errors import BadInput
from bundlers.publishing.layout.destinations import Blob, Destination, StorageDestination, open_destination, put
from casstore.errors import Conflict, ObjectDamaged
from casstore.storage.obstore_client import ObstoreClient
from casstore.storage.remote import RemoteStorage

BIG = os.urandom(3 * 1024 * 1024 + 17)


@pytest.fixture(params=["folder", "memory"])
def destination(request: pytest.FixtureRequest, tmp_path: Path) -> Destination:
    return open_destination(str(tmp_path / "out") if request.param == "folder" else f"memory://{uuid4()}")


def blob(data: bytes) -> Blob:
    return Blob(sha256(data), len(data), lambda: iter([data[:100], data[100:]]))


@pytest.mark.parametrize("data", [b"", b"small", BIG], ids=["empty", "small", "big"])
def test_put_skips_the_same_and_refuses_other_bytes(destination: Destination, data: bytes) -> None:
    assert destination.put_blob("a/b.bin", blob(data)) is True
    assert destination.put_blob("a/b.bin", blob(data)) is False
    assert destination.read("a/b.bin") == data
    assert destination.has("a/b.bin", len(data))
    for other in (data + b"x", b"y" * max(1, len(data))):
        with pytest.raises(Conflict):
            destination.put_blob("a/b.bin", blob(other))
    assert destination.read("a/b.bin") == data


def test_copy_is_a_second_name(destination: Destination) -> None:
    destination.put_blob("targets/x", blob(BIG))
    assert destination.copy("targets/x", "plain/x", blob(BIG)) is True
    assert destination.copy("targets/x", "plain/x", blob(BIG)) is False
    put(destination, "plain/y", b"other")
    with pytest.raises(Conflict):
        destination.copy("targets/x", "plain/y", blob(BIG))


def test_pointer_is_replaced(destination: Destination) -> None:
    assert destination.read("metadata/timestamp.json") is None
    for data in (b"1", b"22"):
        destination.point("metadata/timestamp.json", data)
        assert destination.read("metadata/timestamp.json") == data


@pytest.mark.parametrize("size", [10, len(BIG)])
def test_wrong_source_bytes_are_not_published(tmp_path: Path, size: int) -> None:
    folder = open_destination(str(tmp_path / "out"))
    with pytest.raises(ObjectDamaged):
        folder.put_blob("x", Blob(sha256(b"else"), size, lambda: (BIG[:size],)))
    assert folder.read("x") is None and os.listdir(tmp_path / "out") == []


def test_source_that_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    def broken() -> Iterator[bytes]:
        yield b"half"
        raise ObjectDamaged("gone")

    folder = open_destination(str(tmp_path / "out"))
    with pytest.raises(ObjectDamaged):
        folder.put_blob("d/x", Blob(sha256(b"half"), 4, broken))
    assert os.listdir(tmp_path / "out" / "d") == []


def test_a_link_in_the_way_is_not_followed(tmp_path: Path) -> None:
    folder = open_destination(str(tmp_path / "out"))
    (tmp_path / "secret").write_bytes(b"s")
    (tmp_path / "out" / "x").symlink_to(tmp_path / "secret")
    with pytest.raises(Conflict):
        put(folder, "x", b"s")


@pytest.mark.parametrize("path", ["", "/abs", "a//b", "../x", "a/../b", ".hidden", "a/.b", "a b", "a\nb", "ä", "a/"])
def test_odd_names_are_refused(destination: Destination, path: str) -> None:
    with pytest.raises(BadInput):
        put(destination, path, b"x")


def test_a_bucket_copies_by_itself() -> None:
    """A second name of the same bytes is no upload; what is there already is compared."""
    store = pytest.importorskip("obstore.store")
    uploads: list[str] = []

    class Counting(ObstoreClient):
        def put_new(self, key: str, data: bytes) -> None:
            uploads.append(key)
            super().put_new(key, data)

        def put_path(self, key: str, path: str) -> None:
            uploads.append(key)
            super().put_path(key, path)

    place = StorageDestination(RemoteStorage("s3://bucket", Counting(store.MemoryStore(), "s3://bucket")))
    data = b"archive " * 400_000
    blob = Blob(sha256(data), len(data), lambda: (data,))
    assert place.put_blob("targets/archives/a.tar.gz", blob)
    assert place.copy("targets/archives/a.tar.gz", "releases/1.0.0/a.tar.gz", blob)
    assert place.copy("targets/archives/a.tar.gz", "releases/1.1.0/a.tar.gz", blob)
    assert uploads == ["targets/archives/a.tar.gz"]
    assert place.has("releases/1.1.0/a.tar.gz", len(data)) and place.read("releases/1.0.0/a.tar.gz") == data
    assert not place.copy("targets/archives/a.tar.gz", "releases/1.1.0/a.tar.gz", blob)
    other = Blob(sha256(b"x"), 1, lambda: (b"x",))
    with pytest.raises(Conflict):
        place.copy("targets/archives/a.tar.gz", "releases/1.1.0/a.tar.gz", other)
