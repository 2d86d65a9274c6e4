"""A finished file gets a name that nothing has, on file systems without hard links too."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from attest.digests import sha256
from attest.errors import CasstoreError
from bundlers.publishing.layout.destinations import Blob, open_destination, put
from casstore.errors import NotWritable
from casstore.fsck import fsck
from casstore.machine import naming, user_secrets
from casstore.storage import open_storage
from casstore.storage.probe import probe
from cli.session import write_new
from tests.support.worlds import World


@pytest.fixture
def no_links(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system as FAT is: whatever is linked is refused by the kernel."""

    def refused(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refused)


@pytest.mark.usefixtures("no_links")
def test_the_storage_is_proven_without_links(tmp_path: Path) -> None:
    storage = open_storage(str(tmp_path))
    assert probe(storage, rounds=20).require().problem == ""
    with ThreadPoolExecutor(16) as pool:
        won = list(pool.map(lambda me: storage.create("entry", b"%d" % me), range(16)))
    assert won.count(True) == 1
    assert storage.read("entry") == b"%d" % won.index(True)
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["entry"]


@pytest.mark.usefixtures("no_links")
def test_a_line_lives_without_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    world = World.make(str(tmp_path / "store"))
    world.release("1.0.0")
    world.promote("1.0.0", "dev")
    assert fsck(world.store).ok
    world.store.close()
    assert len(user_secrets.own()) == 32
    destination = open_destination(str(tmp_path / "public"))
    assert [put(destination, "a/b", b"x"), put(destination, "a/b", b"x")] == [True, False]
    assert destination.copy("a/b", "a/c", Blob(sha256(b"x"), 1, lambda: (b"x",)))
    write_new(str(tmp_path / "new"), b"x")
    with pytest.raises(CasstoreError, match="is there already"):
        write_new(str(tmp_path / "new"), b"y")
    left = [path for path in tmp_path.rglob("*") if "tmp" in path.name and path.is_file()]
    assert left == []


@pytest.mark.usefixtures("no_links")
def test_where_there_is_no_way_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(naming, "_moved", lambda *_: False)
    with pytest.raises(NotWritable, match="gives a name to no file exclusively"):
        open_storage(str(tmp_path)).create("k", b"v")
    assert os.listdir(tmp_path) == []
