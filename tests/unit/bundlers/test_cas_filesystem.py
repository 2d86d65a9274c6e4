"""`cas://`: what libraries that take an fsspec URL see of a store."""

from __future__ import annotations

import errno
import hashlib
import os
import zipfile
from pathlib import Path

import fsspec
import pytest

from attest.digests import sha256
from attest.errors import BadInput
from bundlers.cas_filesystem import CasFileSystem
from casstore.errors import NoSuchStore
from casstore.store.store import Store
from tests.support.published import PublishedWorld


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> PublishedWorld:
    made = PublishedWorld.make(str(tmp_path_factory.mktemp("cas") / "store"))
    made.ship("1.0.0")
    made.ship("1.1.0")
    made.promote("1.0.0", "dev")
    return made


@pytest.fixture
def files(world: PublishedWorld) -> CasFileSystem:
    return CasFileSystem(store=world.store.url)


def test_a_product_s_file_by_channel_is_that_of_its_release(world: PublishedWorld) -> None:
    with fsspec.open("cas://dev/core/bin/core", store=world.store.url) as file:
        assert file.read() == b"core" * 1000 + b"1.0.0"
    with fsspec.open("cas://1.1.0/core/share/LICENSE", "rt", store=world.store.url) as text:
        assert text.read() == "free\n1.1.0"


def test_an_archive_is_opened_in_place_by_a_foreign_reader(world: PublishedWorld, files: CasFileSystem) -> None:
    with files.open("dev/agent-1.0.0.zip") as raw, zipfile.ZipFile(raw) as archive:
        assert archive.read("bin/agent") == b"agent" * 1000 + b"1.0.0"
    assert files.cat_file("dev/agent-1.0.0.zip", 0, 4) == b"PK\x03\x04"


def test_every_file_that_find_names_opens_with_the_size_it_names(files: CasFileSystem) -> None:
    found = files.find("1.0.0", detail=True)
    assert sorted(found) == [
        "1.0.0/agent-1.0.0.zip",
        *(f"1.0.0/agent/{name}" for name in ("bin/agent", "bin/core", "share/LICENSE", "share/empty")),
        "1.0.0/core-1.0.0.tar.gz",
        *(f"1.0.0/core/{name}" for name in ("bin/core", "share/LICENSE", "share/empty")),
    ]
    for name, row in found.items():
        data = files.cat_file(name)
        assert (len(data), sha256(data)) == (row["size"], row["digest"])


def test_trees_and_components_by_name_and_digest(world: PublishedWorld, files: CasFileSystem) -> None:
    tree = world.made["1.0.0"].components["core-bin"]
    assert files.ls(tree, detail=False) == [f"{tree}/bin", f"{tree}/share"]
    assert files.ls("core-bin@1.0.0/share", detail=False) == [
        "core-bin@1.0.0/share/LICENSE",
        "core-bin@1.0.0/share/empty",
    ]
    blob = files.info(f"{tree}/bin/core")["digest"]
    assert files.cat_file(f"cas://{blob}") == files.cat_file("core-bin@1.0.0/bin/core")
    assert files.checksum(blob) == int(blob.removeprefix("sha256:"), 16)


def test_links_are_followed_and_circles_refused(world: PublishedWorld, tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "real").write_bytes(b"x" * 9)
    (tmp_path / "lib" / "link").symlink_to("real")
    (tmp_path / "lib" / "one").symlink_to("two")
    (tmp_path / "lib" / "two").symlink_to("one")
    tree = world.store.put_tree(str(tmp_path)).tree
    files = CasFileSystem(store=world.store.url)
    assert files.cat_file(f"{tree}/lib/link") == b"x" * 9
    assert {row["type"] for row in files.ls(f"{tree}/lib")} == {"file", "link"}
    with pytest.raises(FileNotFoundError, match="circle of links"):
        files.info(f"{tree}/lib/one")


def test_the_top_names_channels_and_versions(files: CasFileSystem) -> None:
    assert files.ls("cas://", detail=False) == ["1.0.0", "1.1.0", "dev"]
    assert files.isdir("dev") and files.isdir("dev/core/bin") and files.isfile("dev/core/bin/core")


@pytest.mark.parametrize("path", ["prod/core/x", "dev/none", "dev/core/bin/none", f"{sha256(b'none')}", "a@b/c", "9.9"])
def test_what_is_not_there_is_a_file_not_found(files: CasFileSystem, path: str) -> None:
    assert not files.exists(path)
    with pytest.raises(FileNotFoundError):
        files.open(path)


def test_nothing_is_written_through_it(files: CasFileSystem) -> None:
    with pytest.raises(OSError, match="read-only"):
        files.open("dev/core/new", "wb")
    with pytest.raises(IsADirectoryError):
        files.open("dev/core/bin")


def test_damaged_bytes_are_not_served(tmp_path: Path) -> None:
    with Store.init(str(tmp_path / "store")) as store:
        digest = store.put_bytes(os.urandom(3000))
    (pack,) = (tmp_path / "store" / "packs").rglob("*.pack")
    raw = bytearray(pack.read_bytes())
    raw[1000] ^= 1
    pack.chmod(0o644)
    pack.write_bytes(raw)
    with pytest.raises(OSError) as caught:
        CasFileSystem(store=str(tmp_path / "store")).open(digest)
    assert caught.value.errno == errno.EIO


def test_the_store_is_named_by_option_environment_or_file(
    world: PublishedWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CASSTORE_STORE", raising=False)
    with pytest.raises(BadInput, match="no store is named"):
        CasFileSystem()
    monkeypatch.setenv("CASSTORE_STORE", world.store.url)
    assert fsspec.filesystem("cas").fsid == f"cas-{world.store.store_id}"
    monkeypatch.delenv("CASSTORE_STORE")
    (tmp_path / "casstore.toml").write_text('[store]\nurl = "./none"\n')
    with pytest.raises(NoSuchStore):
        CasFileSystem()


def test_random_access_gives_the_bytes_at_that_place(world: PublishedWorld) -> None:
    data = b"".join(hashlib.sha256(n.to_bytes(4)).digest() for n in range(80_000))
    digest = world.store.put_bytes(data)
    with CasFileSystem(store=world.store.url).open(digest) as file:
        for at in (0, 1_048_570, 2_097_152, len(data) - 5):
            file.seek(at)
            assert file.read(40) == data[at : at + 40]
