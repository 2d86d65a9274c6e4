"""Tiles: a Merkle tree as static files that never change once they are full (C2SP tlog-tiles).

Promises: names, contents and the list of tiles that a growth from one size to another needs;
and a `HashReader` over tiles, so that proofs come from static files. Leaves to others: where
the files are. A tile holds up to 256 hashes; tile N of level L holds the roots of perfect
subtrees of 256**L leaves.

    >>> Tile(0, 1234067, 256).path
    'tile/0/x001/x234/067'
    >>> [tile.path for tile in grown(255, 257)]
    ['tile/0/000', 'tile/0/001.p/1', 'tile/1/000.p/1']

Source: https://c2sp.org/tlog-tiles
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from attest.core.values import dataclass
from attest.errors import BadInput, FormatError
from attest.log.merkle import HASH_SIZE, HashReader, node_hash

HEIGHT = 8
WIDTH = 1 << HEIGHT
MAX_ENTRY = 0xFFFF

_PATH = re.compile(r"tile/(entries|0|[1-9]\d?)/((?:x\d{3}/)*\d{3})(?:\.p/([1-9]\d{0,2}))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Tile:
    """One tile: its level (-1 for a bundle of entries), its number and how many of 256 places are filled."""

    level: int
    index: int
    width: int

    @property
    def path(self) -> str:
        """The file name below the log's prefix."""
        level = "entries" if self.level < 0 else str(self.level)
        partial = "" if self.width == WIDTH else f".p/{self.width}"
        return f"tile/{level}/{_number(self.index)}{partial}"

    @property
    def hashes(self) -> range:
        """Which hashes of level 8 * `level` it holds (or which entries)."""
        return range(self.index * WIDTH, self.index * WIDTH + self.width)

    @staticmethod
    def parse(path: str) -> Tile:
        """File name to tile; only the one valid writing. Raises FormatError."""
        match = _PATH.fullmatch(path)
        if match:
            level = -1 if match[1] == "entries" else int(match[1])
            tile = Tile(level, int(re.sub(r"\D", "", match[2])), int(match[3] or WIDTH))
            if level < 64 // HEIGHT and tile.path == path:
                return tile
        raise FormatError(f"not the name of a tile: {path[:80]!r}")


def grown(old: int, new: int) -> list[Tile]:
    """Hash tiles to write when a tree of `old` leaves grows to `new`; partial ones last in each level."""
    if not 0 <= old <= new:
        raise BadInput(f"a log does not grow from {old} to {new}")
    tiles: list[Tile] = []
    level = 0
    while new >> (level * HEIGHT):
        tiles += _grown_level(level, old >> (level * HEIGHT), new >> (level * HEIGHT))
        level += 1
    return tiles


def grown_entries(old: int, new: int) -> list[Tile]:
    """As `grown`, for the bundles of entries."""
    if not 0 <= old <= new:
        raise BadInput(f"a log does not grow from {old} to {new}")
    return list(_grown_level(-1, old, new))


def tile_of(level: int, index: int, size: int) -> Tile:
    """The tile that holds hash `index` of level 8 * `level` in a tree of `size` leaves. Raises BadInput."""
    available = size >> (max(level, 0) * HEIGHT)
    number = index // WIDTH
    if not 0 <= index < available:
        raise BadInput(f"a tree of {size} leaves has no hash {index} at tile level {level}")
    return Tile(level, number, min(WIDTH, available - number * WIDTH))


def tile_bytes(tile: Tile, read: HashReader) -> bytes:
    """A hash tile's content: its hashes, one after the other."""
    if tile.level < 0:
        raise BadInput("a bundle of entries holds no hashes")
    return b"".join(read(tile.level * HEIGHT, index) for index in tile.hashes)


def tile_reader(load: Callable[[Tile], bytes], size: int) -> HashReader:
    """A `HashReader` over the tiles of a tree of `size` leaves; `load` gives a tile's bytes.

    Nothing here is trusted: what is computed must be compared with a signed root hash.
    """

    def read(level: int, index: int) -> bytes:
        inside = level % HEIGHT
        first = index << inside
        tile = tile_of(level // HEIGHT, first, size)
        content = load(tile)
        if len(content) != tile.width * HASH_SIZE:
            raise FormatError(f"{tile.path}: {len(content)} bytes, {tile.width * HASH_SIZE} are wanted")
        start = first - tile.index * WIDTH
        hashes = [content[at * HASH_SIZE : (at + 1) * HASH_SIZE] for at in range(start, start + (1 << inside))]
        if any(len(found) != HASH_SIZE for found in hashes):
            raise BadInput(f"a tree of {size} leaves has no subtree {index} at level {level}")
        return _combine(hashes)

    return read


def entries_bytes(entries: Sequence[bytes]) -> bytes:
    """A bundle of entries: each after its length in two bytes, big end first."""
    if not 0 < len(entries) <= WIDTH or any(len(entry) > MAX_ENTRY for entry in entries):
        raise BadInput(f"a bundle holds 1 to {WIDTH} entries of at most {MAX_ENTRY} bytes each")
    return b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries)


def parse_entries(content: bytes, *, width: int) -> list[bytes]:
    """The `width` entries of a bundle. Raises FormatError."""
    entries: list[bytes] = []
    at = 0
    while at < len(content):
        length = int.from_bytes(content[at : at + 2], "big")
        if at + 2 + length > len(content):
            raise FormatError(f"bundle of entries: cut off after {len(entries)} entries")
        entries.append(content[at + 2 : at + 2 + length])
        at += 2 + length
    if len(entries) != width:
        raise FormatError(f"bundle of entries: {len(entries)} entries, {width} are wanted")
    return entries


def _grown_level(level: int, old: int, new: int) -> Iterator[Tile]:
    if old == new:
        return
    for index in range(old // WIDTH, new // WIDTH):
        yield Tile(level, index, WIDTH)
    if new % WIDTH:
        yield Tile(level, new // WIDTH, new % WIDTH)


def _number(index: int) -> str:
    groups = [f"{index % 1000:03}"]
    while index := index // 1000:
        groups.append(f"x{index % 1000:03}")
    return "/".join(reversed(groups))


def _combine(hashes: list[bytes]) -> bytes:
    while len(hashes) > 1:
        hashes = [node_hash(*hashes[at : at + 2]) for at in range(0, len(hashes), 2)]
    return hashes[0]
