"""Reads every file of a publication again and holds it against the store: named, and mended from there.

What a file must be follows from the ledger: publication records name targets by digest, tiles follow from the entries,
the checkpoint is a target too. TUF's metadata is signed, so it is checked and not made anew: the next `publish` does;
roles of older releases are kept in the store.

    report = check(open_storage("./public"), store, ledger, "cdn")
    report.damaged                       # {"ledger/tile/0/000.p/7": "other bytes than ..."}
    mend(storage, store, report)         # those that the store can make; then check again
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import field

from attest.core.values import dataclass
from attest.digests import Digest, from_hex, sha256
from attest.errors import CasstoreError, FormatError
from attest.log import checkpoints, cosignatures, tiles
from attest.log.checkpoints import Checkpoint
from attest.log.merkle import MemoryTree
from attest.log.tiles import Tile
from attest.statements.predicates import publication, seal
from attest.statements.predicates.publication import Publication
from bundlers.publishing import cosigned, feed
from bundlers.publishing.layout import older_lists, published_paths, target_lists, tuf_repository
from bundlers.publishing.layout.published_paths import role_path
from bundlers.publishing.layout.records import ChannelRecord
from bundlers.publishing.layout.tuf_repository import TargetInfo
from bundlers.publishing.writing import CHECKPOINT, TIMESTAMP, number_of, places
from casstore.errors import NoSuchObject, StorageUnavailable
from casstore.ledger import checkpoints as ledger_checkpoints
from casstore.ledger.book.log import Ledger
from casstore.ledger.folding import replay_whole
from casstore.ledger.states.state import LedgerState
from casstore.storage import Storage
from casstore.store.attestations import parse_unverified
from casstore.store.store import Store

_PIECE = 1024 * 1024
_MISSING, _OTHER = "is missing", "has other bytes than were published"
_METADATA = "metadata/"
_LINES = "ledger/cosignatures/"
_NOTE = checkpoints.MAX_NOTE + 1


@dataclass(frozen=True, slots=True)
class Expected:
    """What a file must be: an object of the store, or bytes that follow from the ledger."""

    digest: Digest
    data: bytes | None = None


@dataclass(slots=True)
class PublishedReport:
    """`damaged`: path -> what is wrong; `expected` says what belongs there, as far as the store tells."""

    files: int = 0
    damaged: dict[str, str] = field(default_factory=dict)
    strangers: list[str] = field(default_factory=list)
    expected: dict[str, Expected] = field(default_factory=dict)
    mended: list[str] = field(default_factory=list)


def check(storage: Storage, store: Store, ledger: Ledger, destination: str) -> PublishedReport:
    """Every file. Raises NoSuchObject where nothing was published there, StorageUnavailable, StoreDamaged."""
    report = PublishedReport()
    state = replay_whole(ledger, store)
    rows = state.publications.get(destination)
    if not rows:
        raise NoSuchObject(f"nothing was published to {destination}", hint="casstore ledger log shows what was")
    reads = target_lists.reader(store.read, rows)
    for row in rows:
        claim = reads(row.number)
        _add_targets(report.expected, store, row.number, row.statement, claim)
        report.expected |= {role_path(role.version, name): Expected(role.digest) for name, role in claim.roles.items()}
    there = set(storage.list(""))
    staged = _lacking(storage, store, ledger, state, there, _claim(store, rows[-1].statement)) is not None
    shown, needed = _shown(storage, there, len(rows), staged=staged), set[str]()
    for number in sorted({shown or len(rows), len(rows)}):  # while the last one is staged, consumers read one before
        row = rows[number - 1]
        claim = target_lists.whole(reads, number)
        needed |= _add_targets(report.expected, store, number, row.statement, claim)
        older = claim.roles.keys() & older_lists.names_of(older_lists.parts_of(reads, number))
        needed |= {role_path(claim.roles[name].version, name) for name in older}
        needed |= _add_ledger(report.expected, store, ledger)
    held = {report.expected[path].digest for path in needed}
    plain = (path for path in report.expected if path.startswith("releases/"))
    needed |= {path for path in plain if report.expected[path].digest in held}  # names that earlier records gave
    needed |= _add_feed(report.expected, storage, store, ledger)
    entries = ledger.all_entries()
    raws, tree = entries.raws, entries.tree
    for path in sorted(there):
        if path.startswith(_LINES):
            _check_line(report, storage, path, state, tree)
        else:
            _check_file(report, storage, path, raws)
    for path in sorted(needed - there):
        report.damaged[path] = _MISSING
    _check_metadata(report, storage, there, shown, len(rows))
    claim = _claim(store, rows[(shown or len(rows)) - 1].statement)
    lacking = _lacking(storage, store, ledger, state, there, claim) if shown else None
    if lacking is not None and not claim.withdrawn:
        report.damaged[f"{_LINES}{_checkpoint(store, claim).size}"] = f"consumers take nothing of it: {lacking}"
    return report


def mend(storage: Storage, store: Store, report: PublishedReport) -> None:
    """Put in place what the store has; what it cannot make stays named."""
    for path in list(report.damaged):
        if (good := report.expected.get(path)) is not None:
            with contextlib.suppress(NoSuchObject):
                _put(storage, path, good.digest, store.chunks(good.digest) if good.data is None else (good.data,))
                report.mended.append(path)
                del report.damaged[path]


def _claim(store: Store, statement: Digest) -> Publication:
    return publication.parse(parse_unverified(store.read(statement)).predicate)


def _checkpoint(store: Store, claim: Publication) -> Checkpoint:
    return checkpoints.parse(store.read(claim.targets[published_paths.CHECKPOINT].digest))[0]


def _lacking(
    storage: Storage, store: Store, ledger: Ledger, state: LedgerState, there: set[str], claim: Publication
) -> str | None:
    """Which lines a publication lacks, by the trust root under which its checkpoint was sealed."""
    checkpoint = _checkpoint(store, claim)
    last = ledger.all_entries()[checkpoint.size - 1]
    sealed = seal.parse(parse_unverified(store.read(last.statement)).predicate)
    read = lambda path: storage.read(path, 0, _NOTE) if path in there else None  # noqa: E731
    found = cosigned.look([read], state.trust_roots[sealed.trust_root_version - 1].witnesses, checkpoint)
    if found.unread is not None:
        raise StorageUnavailable(f"{storage.url}: {found.unread}", hint="try again later")
    return found.lacking


def _add_targets(
    into: dict[str, Expected], store: Store, number: int, statement: Digest, claim: Publication
) -> set[str]:
    """The files that a publication names; those that a reader of them needs are returned."""
    targets = {path: TargetInfo(info.digest, info.length) for path, info in claim.targets.items()}
    targets[published_paths.publication_path(number)] = TargetInfo(statement, store.size(statement))
    files = {place: Expected(info.digest) for path, info in targets.items() for place in places(path, info)}
    for path, info in targets.items():
        if path.startswith("channels/") and path.endswith(".json"):  # archives under the names that people know
            record = ChannelRecord.parse(store.read(info.digest))
            named = {
                published_paths.release_path(version, one.archive): one.digest for version, one in record.named_builds
            }
            files |= {name: Expected(digest) for name, digest in named.items()}
    into.update(files)
    into[CHECKPOINT] = Expected(targets[published_paths.CHECKPOINT].digest)
    return {*files, CHECKPOINT}


def _add_ledger(into: dict[str, Expected], store: Store, ledger: Ledger) -> set[str]:
    """The tiles up to the size of the checkpoint that is shown."""
    size = checkpoints.parse(store.read(into[CHECKPOINT].digest))[0].size
    raws = ledger.all_entries().raws
    found = [*tiles.grown(0, size), *tiles.grown_entries(0, size)]
    into.update({f"ledger/{tile.path}": _tile(tile, raws) for tile in found})
    return {f"ledger/{tile.path}" for tile in found}


def _add_feed(into: dict[str, Expected], storage: Storage, store: Store, ledger: Ledger) -> set[str]:
    """The feed up to the checkpoint that is shown: its index follows from the parts, else the parts from the index."""
    size = checkpoints.parse(store.read(into[CHECKPOINT].digest))[0].size
    state, entries = replay_whole(ledger, store), ledger.all_entries()
    rows = _feed_rows(storage, size)
    into[feed.INDEX] = Expected(sha256(made := feed.index_of(rows)), made)
    needed = {feed.INDEX}
    for first, end in rows:
        for part in feed.parts(store, entries, state, first, end):
            files = {part.path: Expected(sha256(part.tar), part.tar)}
            files |= {feed.object_path(digest): Expected(digest) for digest, _ in part.large}
            into.update(files)
            needed |= files.keys()
    return needed


def _feed_rows(storage: Storage, size: int) -> list[tuple[int, int]]:
    """The parts that lead to a size: by their names, else by the index, else one for all."""
    named = [found for name in storage.list("ledger/feed/") if (found := feed.range_of(name)) is not None]
    ends = [0]
    while ends[-1] < size and (after := [end for first, end in named if first == ends[-1] < end <= size]):
        ends.append(max(after))
    if ends[-1] == size:
        return list(itertools.pairwise(ends))
    with contextlib.suppress(CasstoreError):
        rows = list(feed.parse_index(storage.read(feed.INDEX)))
        if rows and rows[-1][1] == size:
            return rows
    return [(0, size)]


def _tile(tile: Tile, raws: Sequence[bytes]) -> Expected:
    """What a tile holds. Raises FormatError for one beyond the ledger."""
    if tile.level < 0:
        if tile.hashes.stop > len(raws):
            raise FormatError(f"{tile.path}: is beyond the ledger")
        data = tiles.entries_bytes([raws[number] for number in tile.hashes])
    else:
        if tile.hashes.stop * tiles.WIDTH**tile.level > len(raws):
            raise FormatError(f"{tile.path}: is beyond the ledger")
        data = tiles.tile_bytes(tile, MemoryTree(raws).hash_at)
    return Expected(sha256(data), data)


def _check_file(report: PublishedReport, storage: Storage, path: str, raws: Sequence[bytes]) -> None:
    if path.startswith(_METADATA) and path not in report.expected:
        return
    if path not in report.expected and path.startswith("ledger/tile/"):
        with contextlib.suppress(FormatError):  # of an earlier size
            report.expected[path] = _tile(Tile.parse(path.removeprefix("ledger/")), raws)
    good = report.expected.get(path)
    if good is None:
        report.strangers.append(path)
        return
    report.files += 1
    if _digest(storage, path) != good.digest:
        report.damaged[path] = _OTHER


def _check_line(report: PublishedReport, storage: Storage, path: str, state: LedgerState, tree: MemoryTree) -> None:
    """A witness's line: over this ledger at its size, or its newest one; by a witness of any trust root."""
    report.files += 1
    known = {one.key_id: one for root in state.trust_roots if root.witnesses for one in root.witnesses.keys}
    place, _, key_id = path.removeprefix(_LINES).partition("/")
    try:
        note = storage.read(path, 0, _NOTE)
        checkpoint = checkpoints.parse(note)[0]
        if key_id not in known:
            report.strangers.append(path)
        elif place not in ("newest", str(checkpoint.size)):
            raise FormatError(f"it is over {checkpoint.size} entries")
        elif not _is_of(checkpoint, state, tree):
            raise FormatError("it is over another history: show it to the owners")
        else:
            cosignatures.time_of(note, known[key_id].key, checkpoint)
    except CasstoreError as exc:
        report.damaged[path] = f"is no line of a witness over this size: {exc.message}"


def _is_of(checkpoint: Checkpoint, state: LedgerState, tree: MemoryTree) -> bool:
    origin = ledger_checkpoints.origin(state.store, state.ledger)
    same = 0 < checkpoint.size <= len(tree) and tree.root(checkpoint.size) == checkpoint.root
    return checkpoint.origin == origin and same


def _digest(storage: Storage, path: str) -> Digest:
    hasher, offset = hashlib.sha256(), 0
    while data := storage.read(path, offset, _PIECE):
        hasher.update(data)
        offset += len(data)
    return from_hex(hasher.hexdigest())


def _shown(storage: Storage, there: set[str], number: int, *, staged: bool) -> int:
    """The publication that consumers read: the newest one, or while that waits for witnesses one before it, or none."""
    with contextlib.suppress(CasstoreError):
        found = number_of(storage.read(TIMESTAMP) if TIMESTAMP in there else None)
        if staged and 0 < found < number:
            return found
        if found == number:
            return number
    return number - 1 if staged else number


def _check_metadata(report: PublishedReport, storage: Storage, there: set[str], shown: int, number: int) -> None:
    """Signatures by the newest root, and the number that is shown; files of earlier roots are their own affair.

    One that is staged waits for witnesses: the pointer shows one before, or is not there yet.
    """

    def read(path: str) -> bytes | None:
        return storage.read(path) if path in there else None

    try:
        root = tuf_repository.newest_root(lambda version: read(f"{_METADATA}{version}.root.json"))
    except CasstoreError as exc:
        report.damaged[f"{_METADATA}root.json"] = exc.message
        return
    if root is None:
        report.damaged[f"{_METADATA}1.root.json"] = _MISSING
        return
    numbers = sorted({shown or number, number})
    lists = ((role, f"{at}.{role}.json", at) for at in numbers for role in ("snapshot", "targets"))
    for role, name, at in (("timestamp", "timestamp.json", shown), *lists):
        data, path = read(_METADATA + name), _METADATA + name
        report.files += data is not None
        try:
            if data is None:
                if role != "timestamp" or shown:
                    report.damaged[path] = _MISSING
            elif not tuf_repository.is_signed(root, data, role) or tuf_repository.version_of(data) != at:
                report.damaged[path] = f"is not signed by its keys, or not of publication {at}"
        except CasstoreError as exc:
            report.damaged[path] = exc.message
    chain = [
        ("timestamp.json", f"{shown}.snapshot.json"),
        *((f"{n}.snapshot.json", f"{n}.targets.json") for n in numbers),
    ]
    for above, below in ((_METADATA + above, _METADATA + below) for above, below in chain):
        whole = {above, below} <= there and not report.damaged.keys() & {above, below}
        if whole and not tuf_repository.names(storage.read(above), storage.read(below)):
            report.damaged[below] = _OTHER
    _check_names(report, there)


def _check_names(report: PublishedReport, there: set[str]) -> None:
    for path in sorted(one for one in there - report.expected.keys() if one.startswith(_METADATA) and one != TIMESTAMP):
        number, _, role = path.removeprefix(_METADATA).partition(".")
        if not number.isdecimal() or role not in ("root.json", "snapshot.json", "targets.json"):
            report.strangers.append(path)


def _put(storage: Storage, path: str, digest: Digest, chunks: Iterator[bytes] | tuple[bytes, ...]) -> None:
    with tempfile.TemporaryDirectory(prefix="casstore-mend-") as folder:
        temporary = os.path.join(folder, "file")
        with open(temporary, "xb") as file:
            for chunk in chunks:
                file.write(chunk)
        storage.mend(path, temporary, digest)
