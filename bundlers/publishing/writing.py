"""Writes one publication to a destination, from its record and the store alone.

Promises: order (targets, plain copies, tiles, metadata, checkpoint, timestamp last), so a reader
sees the publication before or this one; written twice it changes nothing; interrupted anywhere it
is finished by the same call. Leaves to others: what is published and why (`publication`).

    written = write(job, destination, store)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field
from datetime import datetime
from functools import partial
from typing import Protocol

from attest.core.values import dataclass
from attest.digests import Digest
from attest.errors import FormatError, VerificationError
from attest.log import checkpoints, tiles
from attest.log.tiles import Tile
from attest.statements.predicates.publication import PublishedRole
from bundlers.publishing import feed
from bundlers.publishing.feed import Feed
from bundlers.publishing.layout import published_paths, tuf_repository
from bundlers.publishing.layout.destinations import Blob, Destination, put
from bundlers.publishing.layout.records import ChannelRecord, PublishedBuild
from bundlers.publishing.layout.tuf_lists import OlderRoles
from bundlers.publishing.layout.tuf_repository import Lifetimes, TargetInfo, TufSigners, target_name
from casstore.errors import Conflict
from casstore.ledger.book.all_entries import AllEntries
from casstore.machine.progress import NullProgress, Progress

TIMESTAMP = "metadata/timestamp.json"
CHECKPOINT = "ledger/checkpoint"


class Blobs(Protocol):
    """What is needed of a store."""

    def read(self, digest: Digest, *, max_bytes: int = ...) -> bytes:
        """An object's verified bytes."""

    def chunks(self, digest: Digest) -> Iterator[bytes]:
        """An object's verified bytes in pieces."""


@dataclass(frozen=True, slots=True)
class Job:
    """One publication: its number, time and targets, all of them blobs of the store."""

    number: int
    time: datetime
    targets: Mapping[str, TargetInfo]
    listed: Mapping[str, TargetInfo]
    """Those that `targets.json` names; the others are listed by `older`."""
    older: OlderRoles
    """Their bytes are blobs of the store too."""
    signers: TufSigners
    lifetimes: Lifetimes
    publishers: frozenset[str]
    """Identities with that role: all of TUF's keys are theirs."""
    entries: Callable[[], AllEntries]
    """The ledger's."""
    feed: Feed
    """What a fold reads, of some entries."""
    known: frozenset[str] = frozenset()
    """Paths whose bytes an earlier, finished publication put there."""
    kept: Mapping[str, PublishedRole] = field(default_factory=dict)
    """The older roles that this publication put there."""
    read_back: Callable[[bytes], None] | None = None
    """Given the timestamp, reads what was written as consumers will. Raises Unreadable, and the pointer stays."""
    cosigned: Callable[[], str | None] | None = None
    """Looks for the witnesses' lines once all is written but the pointer; what is lacking, and the pointer stays."""
    reset: bool = False
    """When TUF starts anew: whatever number the pointer has, it is replaced."""


@dataclass(slots=True)
class Written:
    """What was done."""

    files: int = 0
    bytes: int = 0
    skipped: int = 0
    staged: str | None = None
    """Why the pointer was not moved: lines of witnesses are lacking."""
    pointers: list[str] = field(default_factory=list)

    def count(self, written: bool, size: int) -> None:
        """One file more."""
        self.files += written
        self.bytes += size if written else 0
        self.skipped += not written


def write(job: Job, destination: Destination, store: Blobs, progress: Progress | None = None) -> Written:
    """Bring the destination to this publication. Raises Conflict, StorageUnavailable, ObjectDamaged."""
    written = Written()
    new = {path: info for path, info in sorted(job.targets.items()) if path not in job.known}
    written.skipped += len(job.targets) - len(new)
    shown = progress or NullProgress()
    shown.start("publish", len(new), sum(info.length for info in new.values()))
    for path, info in new.items():
        _write_target(path, info, destination, store, written)
        shown.advance(1, info.length, info.length)
    shown.finish()
    _write_names(new, destination, store, written)
    checkpoint = store.read(job.targets[published_paths.CHECKPOINT].digest)
    size = checkpoints.parse(checkpoint)[0].size
    _write_tiles(size, job, destination, written)
    placed = {info.digest: places(path, info)[0] for path, info in job.targets.items()}
    for was_new, length in feed.write(destination, store, job.feed, size, placed, again=not job.known):
        written.count(was_new, length)
    _write_metadata(job, destination, store, checkpoint, written)
    return written


def published_number(destination: Destination) -> int:
    """The number of the publication that the destination shows; 0 for none, and for a pointer that cannot be read."""
    return number_of(destination.read(TIMESTAMP))


def is_ours(destination: Destination) -> bool:
    """Whether the pointer is signed by the newest root's keys; one of before TUF started anew is not."""
    newest, data = newest_root(destination), destination.read(TIMESTAMP)
    return newest is not None and data is not None and tuf_repository.is_signed(newest, data, "timestamp")


def newest_root(destination: Destination) -> bytes | None:
    """The newest TUF root of a destination."""
    return tuf_repository.newest_root(lambda version: destination.read(f"metadata/{version}.root.json"))


def number_of(timestamp: bytes | None) -> int:
    """The number of the publication that a pointer names; 0 for none, and for one that cannot be read."""
    try:
        return 0 if timestamp is None else tuf_repository.version_of(timestamp)
    except VerificationError:
        return 0


def _write_target(path: str, info: TargetInfo, destination: Destination, store: Blobs, written: Written) -> None:
    blob = Blob(info.digest, info.length, lambda: store.chunks(info.digest))
    place, *plain = places(path, info)
    written.count(destination.put_blob(place, blob), info.length)
    for name in plain:
        written.count(destination.copy(place, name, blob), info.length)


def _write_names(new: Mapping[str, TargetInfo], destination: Destination, store: Blobs, written: Written) -> None:
    """Archives under the names that people know, from the channel records: their targets are named by content."""
    for name, build in release_names(new, store):
        blob = Blob(build.digest, build.size, partial(store.chunks, build.digest))
        place = f"targets/{target_name(build.path, build.digest)}"
        written.count(destination.copy(place, name, blob), build.size)


def release_names(targets: Mapping[str, TargetInfo], store: Blobs) -> Iterator[tuple[str, PublishedBuild]]:
    """The archives of the channels that a publication shows, by the names that people know."""
    for path, info in targets.items():
        if path.startswith("channels/") and path.endswith(".json"):
            record = ChannelRecord.parse(store.read(info.digest))
            for version, build in record.named_builds:
                yield published_paths.release_path(version, build.archive), build


def places(path: str, info: TargetInfo) -> tuple[str, ...]:
    """Where a target lies: by its hash, and under its plain name too what people, and readers before TUF, look for."""
    place = f"targets/{target_name(path, info.digest)}"
    return (place, path) if _is_plain(path) else (place,)


def _is_plain(path: str) -> bool:
    """What lies directly in `releases/<version>/`, and the trust roots, which say who may publish."""
    return (path.startswith("releases/") and path.count("/") == 2) or path.startswith("trust-root/")


def _write_tiles(size: int, job: Job, destination: Destination, written: Written) -> None:
    """Hash tiles and entry bundles up to `size`; only those that are not there yet."""
    before = published_size(destination) if job.known else 0
    for path, made in ledger_tiles(min(before, size), size, job.entries()):
        data = made()
        written.count(put(destination, path, data), len(data))


def ledger_tiles(before: int, size: int, entries: AllEntries) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """(path, what makes its bytes) of the tiles that come when a ledger grows."""
    raws, tree = entries.raws, entries.tree
    for tile in tiles.grown(before, size):
        yield f"ledger/{tile.path}", partial(tiles.tile_bytes, tile, tree.hash_at)
    for tile in tiles.grown_entries(before, size):
        yield f"ledger/{tile.path}", partial(_bundle, raws, tile)


def _bundle(raws: Sequence[bytes], tile: Tile) -> bytes:
    return tiles.entries_bytes([raws[number] for number in tile.hashes])


def published_size(destination: Destination) -> int:
    """The entries of the checkpoint that is shown; 0 for none, and for one that cannot be read."""
    try:
        data = destination.read(CHECKPOINT)
        return checkpoints.parse(data)[0].size if data is not None else 0
    except FormatError:
        return 0


def _write_metadata(job: Job, destination: Destination, store: Blobs, checkpoint: bytes, written: Written) -> None:
    root = _write_root(job, destination, written)
    for name, row in job.older.live.items():
        if job.kept.get(name) != row:
            blob = Blob(row.digest, row.length, partial(store.chunks, row.digest))
            written.count(destination.put_blob(published_paths.role_path(row.version, name), blob), row.length)
    files = tuf_repository.make_metadata(
        job.number,
        root,
        job.listed,
        job.signers,
        now=job.time,
        existing=lambda name: _existing(destination, name, job, root),
        lifetimes=job.lifetimes,
        older=job.older,
    )
    for file in files[:-1]:
        written.count(put(destination, f"metadata/{file.name}", file.data), len(file.data))
    if published_size(destination) < checkpoints.parse(checkpoint)[0].size:
        _point(destination, CHECKPOINT, checkpoint, written)
    if job.cosigned is not None and (lacking := job.cosigned()) is not None:
        written.staged = lacking
        return
    if job.read_back is not None:
        job.read_back(files[-1].data)
    _point(destination, TIMESTAMP, files[-1].data, written)


def _write_root(job: Job, destination: Destination, written: Written) -> bytes:
    newest, root = next_root(destination, job.signers, job.publishers, job.time, job.lifetimes, job.reset)
    if root is None:
        return newest
    name = f"metadata/{tuf_repository.version_of(root)}.root.json"
    written.count(put(destination, name, root), len(root))
    return root


def next_root(
    destination: Destination,
    signers: TufSigners,
    publishers: frozenset[str],
    now: datetime,
    lifetimes: Lifetimes,
    reset: bool,
) -> tuple[bytes, bytes | None]:
    """The newest TUF root of a destination (the next one where there is none), and the next one if it is due.

    Raises SignerError when none of these signers can make it.
    """
    newest = newest_root(destination)
    root = tuf_repository.next_root(newest, signers, now=now, lifetimes=lifetimes, publishers=publishers, reset=reset)
    return newest or root or b"", root


def _existing(destination: Destination, name: str, job: Job, root: bytes) -> bytes | None:
    """What an interrupted run left. A timestamp of an earlier publication is none; a later one forbids."""
    data, number = destination.read(f"metadata/{name}"), job.number
    if data is None or name != "timestamp.json":
        return data
    there = number_of(data)
    if there > number and not job.reset:
        raise Conflict(
            f"{destination.url}: shows publication {there} already, {number} is older",
            hint="another publisher went ahead; publish again",
        )
    return data if there == number and tuf_repository.is_signed(root, data, "timestamp") else None


def _point(destination: Destination, path: str, data: bytes, written: Written) -> None:
    if destination.read(path) == data:
        return
    destination.point(path, data)
    written.count(True, len(data))
    written.pointers.append(path)
