"""A ledger as one source publishes it: trust roots, checkpoint, tiles, feed. Only signed hashes are believed.

log = open_log("https://cdn.example/releases", network=guard, first=root_1, at=now)
log.checkpoint.size, log.entries(40, 42)
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from attest.core import limits
from attest.digests import Digest, sha256
from attest.errors import FormatError, TrustError, VerificationError
from attest.log import checkpoints, merkle, tiles
from attest.log.checkpoints import Checkpoint
from attest.log.tiles import Tile
from attest.trust.trust_roots import TrustRoot
from bundlers.consuming import published_roots
from bundlers.consuming.ledger_proof import note_keys
from bundlers.consuming.readers import Reader, open_reader, read_all
from bundlers.publishing import feed
from bundlers.publishing.layout import published_paths
from casstore.errors import NoSuchObject, StoreDamaged
from casstore.ledger import checkpoints as ledger_checkpoints
from casstore.network.network import NetworkGuard

_ENTRIES = tiles.WIDTH * (2 + tiles.MAX_ENTRY)
"""The largest bundle of entries."""


@dataclass(frozen=True)
class PublishedLog:
    """One source, at one moment."""

    reader: Reader
    roots: tuple[TrustRoot, ...]
    ledger: str
    note: bytes
    """The checkpoint with the lines of the role `ledger`, and no other."""
    checkpoint: Checkpoint
    signed_by: frozenset[str]

    @property
    def url(self) -> str:
        """Where it lies."""
        return self.reader.url

    @property
    def size(self) -> int:
        """How many entries its checkpoint covers."""
        return self.checkpoint.size

    @property
    def root(self) -> TrustRoot:
        """The newest trust root."""
        return self.roots[-1]

    def read(self, path: str, *, max_bytes: int = limits.OBJECT) -> bytes:
        """A plain file. Raises NoSuchObject, StorageUnavailable."""
        return read_all(self.reader, path, max_bytes=max_bytes)

    def entries(self, first: int, end: int) -> list[bytes]:
        """Entries as stored; nothing of them is proven."""
        found: list[bytes] = []
        width = tiles.WIDTH
        for index in range(first // width, -(-end // width)):
            tile = tiles.tile_of(-1, index * width, self.size)
            data = self._published(f"ledger/{tile.path}", max_bytes=_ENTRIES)
            found += tiles.parse_entries(data, width=tile.width)
        return found[first % width : first % width + end - first]

    @cached_property
    def hashes(self) -> merkle.HashReader:
        """The hashes of its tree, from its tiles; nothing of them is proven."""
        known: dict[Tile, bytes] = {}

        def load(tile: Tile) -> bytes:
            if tile not in known:
                known[tile] = self._published(f"ledger/{tile.path}", max_bytes=tiles.WIDTH * merkle.HASH_SIZE)
            return known[tile]

        return tiles.tile_reader(load, self.size)

    @cached_property
    def parts(self) -> tuple[tuple[int, int], ...]:
        """Which entries each part of the feed is of, as its index says."""
        return feed.parse_index(self._published(feed.INDEX))

    def part(self, begun: int, end: int) -> bytes:
        """The tar of objects of some entries; nothing of it is proven."""
        return self._published(feed.part_path(begun, end))

    def large(self, digest: Digest) -> bytes:
        """An object of the feed that lies on its own. Raises NoSuchObject, StoreDamaged: no entry is void for that."""
        data = self.read(feed.object_path(digest))
        if sha256(data) != digest:
            raise StoreDamaged(f"{self.url}/{feed.object_path(digest)}: has other bytes than its name says")
        return data

    def _published(self, path: str, *, max_bytes: int = limits.OBJECT) -> bytes:
        try:
            return self.read(path, max_bytes=max_bytes)
        except NoSuchObject as exc:
            raise VerificationError(
                f"{self.url}/{path}: is missing, so the ledger cannot be followed",
                hint="ask the publisher: casstore publish CHANNEL --to NAME --repair",
            ) from exc


def open_log(
    url: str, *, network: NetworkGuard | None, first: Digest, at: datetime, sigstore_root: bytes | None
) -> PublishedLog:
    """Follow the trust roots from `first` on, and verify the checkpoint. Raises NoSuchObject, VerificationError."""
    reader = open_reader(url, network=network)

    def read(path: str) -> bytes:
        return read_all(reader, path, max_bytes=limits.ATTESTATION)

    roots = published_roots.follow(read, first=first, at=at, sigstore_root=sigstore_root)
    raw = read_all(reader, published_paths.CHECKPOINT, max_bytes=checkpoints.MAX_NOTE)
    try:
        told = checkpoints.parse(raw)[0].origin
    except FormatError as exc:
        raise FormatError(f"{reader.url}/{published_paths.CHECKPOINT}: {exc.message}", hint=exc.hint) from exc
    prefix = ledger_checkpoints.origin(roots[0].store, "")
    ledger = told.removeprefix(prefix)
    if not told.startswith(prefix) or not ledger or "/" in ledger:
        raise TrustError(f"{reader.url}: its checkpoint is of {told[:80]!r}, not of the store {roots[0].store}")
    known = note_keys(roots[-1], told, at)
    found = checkpoints.verify(raw, origin=told, known=known)
    if found.checkpoint.size < 1:
        raise FormatError(f"{reader.url}: its checkpoint covers no entries")
    note = checkpoints.only(raw, {(key.name, key.key_id) for key in known})
    return PublishedLog(reader, roots, ledger, note, found.checkpoint, found.identities)
