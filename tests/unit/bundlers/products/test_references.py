"""REFs: what a person calls a thing, and what is told when there is no such thing."""

from __future__ import annotations

from pathlib import Path

import pytest

from attest.digests import sha256
from attest.errors import BadInput
from bundlers.products import references
from bundlers.products.references import Target, resolve
from bundlers.releases import differences, usage
from casstore.errors import Conflict, NoSuchObject
from casstore.store.store import Store
from tests.support.published import PublishedWorld

KEEPS_STORES = True
"""One is opened for all tests of this file."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> PublishedWorld:
    made = PublishedWorld.make(str(tmp_path_factory.mktemp("refs") / "store"))
    made.ship("1.0.0")
    made.ship("1.1.0", content=b"new")
    made.promote("1.0.0", "dev")
    return made


def found(world: PublishedWorld, ref: str) -> Target:
    return resolve(world.store, lambda: world.state, ref)


def test_one_file_under_all_its_names(world: PublishedWorld) -> None:
    content = sha256(b"core" * 1000 + b"1.0.0")
    release = world.made["1.0.0"].digest
    for ref in ("dev/core/bin/core", "1.0.0/core/bin/core", f"{release}/core/bin/core", content):
        assert references.blob_of(found(world, ref)) == content
    assert (
        references.blob_of(found(world, "dev/core-1.0.0.tar.gz")) == world.made["1.0.0"].archives["core-1.0.0.tar.gz"]
    )


def test_a_digest_asks_no_ledger(world: PublishedWorld) -> None:
    tree = world.made["1.0.0"].components["core-bin"]
    assert resolve(world.store, lambda: pytest.fail("the ledger was read"), tree).tree == tree


@pytest.mark.parametrize(
    ("ref", "told"),
    [
        ("2.0.0", "2.0.0"),
        ("prod", "prod"),
        ("dev/none", "has no product 'none'"),
        ("dev/core/none", "dev/core has no none"),
        ("core-bin@9", "no component core-bin of version 9"),
        (sha256(b"nothing"), sha256(b"nothing")),
    ],
)
def test_the_unknown_part_is_named(world: PublishedWorld, ref: str, told: str) -> None:
    with pytest.raises(NoSuchObject) as caught:
        found(world, ref)
    assert told in caught.value.message


def test_listings(world: PublishedWorld) -> None:
    archives = {row.path: row.digest for row in references.listing(world.store, found(world, "dev"))}
    assert archives == world.made["1.0.0"].archives
    of_product = {row.path: row.size for row in references.listing(world.store, found(world, "dev/agent"))}
    of_tree = {row.path: row.size for row in references.listing(world.store, found(world, "agent-bin@1.0.0"))}
    assert of_product == of_tree and of_product["share/LICENSE"] == len(b"free\n1.0.0")
    assert set(of_product) == {"bin/agent", "bin/core", "share/LICENSE", "share/empty"}


def test_a_product_s_files_are_the_tree_of_its_component(world: PublishedWorld) -> None:
    made = world.made["1.0.0"]
    assert references.tree_of(world.store, found(world, "1.0.0/core")) == made.components["core-bin"]
    with pytest.raises(BadInput, match="is a single file"):
        references.tree_of(world.store, found(world, "1.0.0/core/bin/core"))
    with pytest.raises(BadInput, match="is no single file"):
        references.blob_of(found(world, "1.0.0/core"))


def test_what_is_written_is_whole_and_never_over_something(world: PublishedWorld, tmp_path: Path) -> None:
    folder = references.write_to(world.store, found(world, "dev/core"), str(tmp_path / "core"))
    assert folder.files == 3 and (tmp_path / "core/bin/core").read_bytes() == b"core" * 1000 + b"1.0.0"
    file = references.write_to(world.store, found(world, "dev/core/share/LICENSE"), str(tmp_path / "LICENSE"))
    assert (tmp_path / "LICENSE").read_bytes() == b"free\n1.0.0" and file.bytes == 10
    for ref in ("dev/core", "dev/core/share/LICENSE"):
        with pytest.raises(Conflict, match="was not overwritten"):
            references.write_to(world.store, found(world, ref), str(tmp_path / "LICENSE"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["LICENSE", "core"]


def test_a_product_is_written_from_a_store_that_is_only_read(world: PublishedWorld, tmp_path: Path) -> None:
    with Store.open(world.store.url, read_only=True) as store:
        count = len(store.digests())
        target = resolve(store, lambda: world.state, "dev/agent")
        written = references.write_to(store, target, str(tmp_path / "agent"))
        assert written.files == 4 and len(store.digests()) == count
    assert (tmp_path / "agent/bin/agent").read_bytes() == b"agent" * 1000 + b"1.0.0"


def test_comparison_names_every_difference(world: PublishedWorld) -> None:
    changes = differences.between(world.store, lambda: world.state, "1.0.0/core", "1.1.0/agent")
    assert {(row.sign, row.path) for row in changes.rows} == {
        ("~", "bin/core"),
        ("~", "share/LICENSE"),
        ("~", "share/empty"),
        ("+", "bin/agent"),
    }
    assert differences.between(world.store, lambda: world.state, "dev", "1.0.0").rows == ()


def test_usage_tells_alone_from_shared(tmp_path: Path) -> None:
    world = PublishedWorld.make(str(tmp_path / "store"))
    world.ship("1.0.0")
    only = usage.usage(world.store, world.state)
    assert [(row.version, row.shared) for row in only.releases] == [("1.0.0", 0)]
    assert only.bytes == only.releases[0].bytes
    world.ship("1.1.0")
    both = usage.usage(world.store, world.state)
    assert both.stored == sum(path.stat().st_size for path in Path(world.store.url).rglob("*.pack")) > only.stored
    assert both.bytes == sum(row.alone for row in both.releases) + both.releases[0].shared
    for row in both.releases:
        assert row.alone + row.shared == row.bytes and row.alone > 0
