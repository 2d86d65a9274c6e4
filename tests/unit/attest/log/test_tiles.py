from __future__ import annotations

import pytest

from attest.errors import BadInput, FormatError
from attest.log import merkle, tiles
from attest.log.merkle import MemoryTree
from attest.log.tiles import Tile

TREE = MemoryTree(str(number).encode() for number in range(70_000))


@pytest.mark.parametrize(
    ("tile", "path"),
    [
        (Tile(0, 0, 256), "tile/0/000"),
        (Tile(0, 1234067, 256), "tile/0/x001/x234/067"),
        (Tile(2, 1000, 5), "tile/2/x001/000.p/5"),
        (Tile(-1, 7, 255), "tile/entries/007.p/255"),
    ],
)
def test_names_as_the_specification_writes_them(tile: Tile, path: str) -> None:
    assert tile.path == path
    assert Tile.parse(path) == tile


@pytest.mark.parametrize(
    "path",
    ["tile/0/00", "tile/0/0001", "tile/0/x000/001", "tile/00/000", "tile/0/000.p/0", "tile/0/000.p/256",
     "tile/0/000.p/05", "tile/0/000/", "tile/8/000", "tile/-1/000", "tile/0/x001/2", "x/tile/0/000",
     "tile/0/000\n", "tile/0/001/002", ""],
)  # fmt: skip
def test_other_names_are_refused(path: str) -> None:
    with pytest.raises(FormatError, match="not the name of a tile"):
        Tile.parse(path)


@pytest.mark.parametrize(
    ("old", "new", "paths"),
    [
        (0, 0, []),
        (0, 1, ["tile/0/000.p/1"]),
        (5, 5, []),
        (0, 256, ["tile/0/000", "tile/1/000.p/1"]),
        (255, 513, ["tile/0/000", "tile/0/001", "tile/0/002.p/1", "tile/1/000.p/2"]),
        (256, 300, ["tile/0/001.p/44"]),
        (65535, 65536, ["tile/0/255", "tile/1/000", "tile/2/000.p/1"]),
    ],
)
def test_which_tiles_a_growth_needs(old: int, new: int, paths: list[str]) -> None:
    assert [tile.path for tile in tiles.grown(old, new)] == paths


def test_entries_have_one_level() -> None:
    assert [t.path for t in tiles.grown_entries(255, 513)] == [
        "tile/entries/000", "tile/entries/001", "tile/entries/002.p/1"]  # fmt: skip


def test_a_log_does_not_shrink() -> None:
    for grow in (tiles.grown, tiles.grown_entries):
        with pytest.raises(BadInput):
            grow(2, 1)


@pytest.mark.parametrize("size", [1, 255, 256, 257, 1000, 65_536, 65_537, 70_000])
def test_proofs_from_tiles_are_those_from_memory(size: int) -> None:
    files = {tile.path: tiles.tile_bytes(tile, TREE.hash_at) for tile in tiles.grown(0, size)}
    read = tiles.tile_reader(lambda tile: files[tile.path], size)
    assert merkle.root_of(read, size) == TREE.root(size)
    for index in {0, size // 2, size - 1}:
        assert merkle.inclusion_proof(read, index, size) == TREE.inclusion(index, size)
    for first in {1, size // 2 or 1, size}:
        assert merkle.consistency_proof(read, first, size) == TREE.consistency(first, size)


def test_a_cut_tile_is_refused() -> None:
    read = tiles.tile_reader(lambda _: b"x" * 31, 1)
    with pytest.raises(FormatError, match="31 bytes, 32 are wanted"):
        read(0, 0)


def test_a_subtree_that_the_size_does_not_hold_is_refused() -> None:
    read = tiles.tile_reader(lambda tile: tiles.tile_bytes(tile, TREE.hash_at), 5)
    for level, index in ((0, 5), (3, 0), (8, 0)):
        with pytest.raises(BadInput):
            read(level, index)


def test_a_bundle_of_entries_has_no_hashes() -> None:
    with pytest.raises(BadInput):
        tiles.tile_bytes(Tile(-1, 0, 1), TREE.hash_at)


def test_entries_there_and_back() -> None:
    entries = [b"", b"x" * 65_535, b"abc"]
    content = tiles.entries_bytes(entries)
    assert tiles.parse_entries(content, width=3) == entries
    for bad in (content[:-1], content + b"\0", content + b"\0\0"):
        with pytest.raises(FormatError):
            tiles.parse_entries(bad, width=3)


@pytest.mark.parametrize("entries", [[], [b""] * 257, [b"x" * 65_536]])
def test_entries_that_do_not_fit_are_refused(entries: list[bytes]) -> None:
    with pytest.raises(BadInput):
        tiles.entries_bytes(entries)
