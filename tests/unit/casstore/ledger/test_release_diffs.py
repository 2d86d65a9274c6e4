"""What approvers are shown: complete, the same for everybody, and told in words."""

from __future__ import annotations

from pathlib import Path

import pytest
from worlds import World

from casstore.errors import NoSuchObject
from casstore.promotion import release_diff


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World.make(str(tmp_path / "store"))
    made.release("1.0.0")
    made.release("1.0.1", content=b"!")
    return made


def test_the_first_release_is_all_new(world: World) -> None:
    diff = release_diff(world.store, None, world.made["1.0.0"].digest)
    assert (diff.added, diff.removed, diff.changed) == (1, 0, 0)
    assert diff.files == ()
    assert [row.sign for row in diff.rows] == ["+"]


def test_changes_are_told(world: World) -> None:
    diff = release_diff(world.store, world.made["1.0.0"].digest, world.made["1.0.1"].digest)
    assert [(row.sign, row.product, row.path, row.told) for row in diff.rows] == [
        ("~", "core", "core-1.0.1.tar.gz", "20 bytes, other content"),
        ("~", "core-bin", "bin/core", "10 -> 11 bytes"),
    ]


def test_nothing_changed(world: World) -> None:
    same = world.made["1.0.0"].digest
    diff = release_diff(world.store, same, same)
    assert diff.rows == ()


def test_the_digest_follows_from_the_releases(world: World) -> None:
    old, new = world.made["1.0.0"].digest, world.made["1.0.1"].digest
    assert release_diff(world.store, old, new).digest == release_diff(world.store, old, new).digest
    digests = {release_diff(world.store, *pair).digest for pair in ((old, new), (new, old), (None, new))}
    assert len(digests) == 3


def test_approve_keeps_what_was_shown(world: World) -> None:
    world.promote("1.0.0", "dev")
    world.approve("1.0.0", "staging", "ann")
    world.promote("1.0.0", "staging")
    made = world.approve("1.0.1", "staging", "ann")
    assert world.store.read(made.diff.digest) == made.diff.to_bytes()
    assert made.to_json()["diff"]["from"] == world.made["1.0.0"].digest


def test_a_release_that_is_gone_is_named(world: World) -> None:
    from attest.digests import sha256

    with pytest.raises(NoSuchObject):
        release_diff(world.store, None, sha256(b"gone"))
