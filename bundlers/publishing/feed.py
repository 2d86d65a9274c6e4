"""The feed: what a fold of the whole ledger reads beside its entries, as plain files that grow with it.

Promises: each publication adds the parts of the entries that are new, and lists them in one index; the same ledger
gives the same parts; nothing of it needs to be trusted, since entries name all of it by digest. Leaves to others:
entries (tiles), and folding them (`consuming.replaying`).

    for part in parts(store, entries, state, 0, 42):
        part.path, part.tar
"""

from __future__ import annotations

import contextlib
import io
import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Protocol

from attest import canonical
from attest.core import limits
from attest.core.values import dataclass
from attest.digests import Digest, hex_of
from attest.errors import CasstoreError, FormatError
from attest.statements.predicates import collection, promotion
from attest.trust import trust_roots
from bundlers.publishing.layout import kit_files
from bundlers.publishing.layout.destinations import Blob, Destination, put
from bundlers.publishing.layout.kit_files import Member
from bundlers.publishing.proofs.gathering import ReadStore
from casstore.ledger import release_objects
from casstore.ledger.entries import MOVES, Entry, EntryKind
from casstore.ledger.rules.content import RELEASE_SUBJECT
from casstore.ledger.states.state import LedgerState
from casstore.objects import tree as trees
from casstore.store.attestations import parse_unverified

FORMAT = "casstore-feed/1"
INDEX = "ledger/feed/index.json"
_PART = re.compile(r"ledger/feed/(0|[1-9]\d*)-([1-9]\d*)\.tar", re.ASCII)
_ROOTS = frozenset({EntryKind.GENESIS, EntryKind.TRUST_ROOT})
_LISTS = frozenset({EntryKind.CONDEMN, EntryKind.DELETE})


@dataclass(frozen=True, slots=True)
class Part:
    """The objects of the entries `first` to `end` - 1."""

    first: int
    end: int
    tar: bytes
    large: tuple[tuple[Digest, int], ...]
    """(digest, size) of those that lie on their own."""

    @property
    def path(self) -> str:
        """Where it lies."""
        return part_path(self.first, self.end)


Feed = Callable[[int, int], Iterable[Part]]


def part_path(first: int, end: int) -> str:
    """Where the objects of some entries lie."""
    return f"ledger/feed/{first}-{end}.tar"


def object_path(digest: Digest) -> str:
    """Where a large object lies."""
    return f"ledger/feed/objects/{hex_of(digest)}"


def range_of(path: str) -> tuple[int, int] | None:
    """Which entries a part is of, by its name; None for another file."""
    match = _PART.fullmatch(path)
    return (int(match[1]), int(match[2])) if match else None


def index_of(rows: Iterable[tuple[int, int]]) -> bytes:
    """The index of some parts."""
    return canonical.dumps({"format": FORMAT, "parts": [list(row) for row in rows]})


def parse_index(data: bytes) -> tuple[tuple[int, int], ...]:
    """The parts, each going on where the one before ends. Raises FormatError."""
    value = canonical.loads_canonical(data, what="feed")
    rows = value.get("parts")
    if value.get("format") != FORMAT or not isinstance(rows, list):
        raise FormatError(f"feed: its format is {str(value.get('format'))[:60]!r}, not {FORMAT}")
    ends = [0]
    for row in rows:
        if not (
            isinstance(row, list)
            and len(row) == 2
            and row[0] == ends[-1]
            and isinstance(row[1], int)
            and row[1] > row[0]
        ):
            raise FormatError("feed: its parts do not go on where the one before ends")
        ends.append(row[1])
    return tuple(itertools.pairwise(ends))


def parts(store: ReadStore, entries: Mapping[int, Entry], state: LedgerState, first: int, end: int) -> Iterator[Part]:
    """What these entries bring that no earlier one did. Raises NoSuchObject."""
    begun, size, held = first, 0, dict[Digest, bytes]()
    large: dict[Digest, int] = {}
    for entry in (entries[number] for number in range(first, end)):
        for digest in _objects(store, entry):
            record = state.recorded.get(digest)
            if digest in held or digest in large or (record is not None and record.number < first):
                continue
            if store.size(digest) > limits.PACKED_OBJECT:
                large[digest] = store.size(digest)
            else:
                held[digest] = store.read(digest)
                size += len(held[digest])
        if size >= limits.OBJECTS_TAR:
            yield _part(begun, entry.number + 1, held, large)
            begun, size, held, large = entry.number + 1, 0, {}, {}
    if begun < end:
        yield _part(begun, end, held, large)


class Chunks(Protocol):
    """What writing needs of a store."""

    def chunks(self, digest: Digest) -> Iterator[bytes]:
        """An object's verified bytes in pieces."""


def write(
    destination: Destination,
    store: Chunks,
    feed: Feed,
    size: int,
    placed: Mapping[Digest, str],
    *,
    again: bool = False,
) -> list[tuple[bool, int]]:
    """Bring the feed to `size` entries; (whether it was new, its bytes) of each file. Raises Conflict.

    `placed`: what lies at the destination already, by digest: a hard link will do. `again`: parts that the index has
    are looked for as well.
    """
    known = _known(destination.read(INDEX))
    done: list[tuple[bool, int]] = []
    before = known[-1][1] if known else 0
    new = []
    lost = [row for row in known if again and not destination.read(part_path(*row), most=1)]
    for part in itertools.chain(*(feed(*row) for row in lost), feed(before, size) if before < size else ()):
        for digest, length in part.large:
            blob = Blob(digest, length, lambda digest=digest: store.chunks(digest))  # type: ignore[misc]
            place = object_path(digest)
            there = destination.copy(placed[digest], place, blob) if digest in placed else None
            done.append((destination.put_blob(place, blob) if there is None else there, length))
        done.append((put(destination, part.path, part.tar), len(part.tar)))
        if part.first >= before:
            new.append((part.first, part.end))
    if new:
        destination.point(INDEX, made := index_of((*known, *new)))
        done.append((True, len(made)))
    return done


def shown(destination: Destination) -> tuple[int, tuple[str, ...]]:
    """The entries that the index comes to, and the paths of its parts."""
    known = _known(destination.read(INDEX))
    return (known[-1][1] if known else 0), tuple(part_path(*row) for row in known)


def _known(index: bytes | None) -> tuple[tuple[int, int], ...]:
    """The parts that are there; of an index that cannot be read none, so that they are made anew."""
    try:
        return () if index is None else parse_index(index)
    except FormatError:
        return ()


def read_index(data: bytes) -> tuple[str, ...]:
    """The paths of the parts."""
    return tuple(part_path(first, end) for first, end in parse_index(data))


def _part(first: int, end: int, held: dict[Digest, bytes], large: dict[Digest, int]) -> Part:
    out = io.BytesIO()
    members = {f"objects/{hex_of(d)}": Member(len(data), lambda data=data: (data,)) for d, data in held.items()}  # type: ignore[misc]
    kit_files.write(out, members, mtime=0)
    return Part(first, end, out.getvalue(), tuple(sorted(large.items())))


def _objects(store: ReadStore, entry: Entry) -> list[Digest]:
    """What the rules read for an entry; of a statement that cannot be read nothing more."""
    found = [entry.statement]
    with contextlib.suppress(CasstoreError):
        found += _named(store, entry)
    return found


def _named(store: ReadStore, entry: Entry) -> Iterator[Digest]:
    if entry.kind in _ROOTS:
        pinned = trust_roots.parse_payload(trust_roots.payload_of(store.read(entry.statement))).sigstore_root
        yield from () if pinned is None else (pinned,)
        return
    statement = parse_unverified(store.read(entry.statement))
    if entry.kind is EntryKind.RELEASE:
        digest = statement.subject(RELEASE_SUBJECT)
        yield digest
        release = release_objects.parse(store.read(digest))
        yield from release.evidence
        for tree in release.components.values():
            yield from _trees(store, tree)
    elif entry.kind in MOVES:
        yield from promotion.parse(statement.predicate).evidence
    elif entry.kind in _LISTS:
        yield statement.subject(collection.SUBJECT)


def _trees(store: ReadStore, digest: Digest) -> Iterator[Digest]:
    """A tree and all below it: releases are compared folder by folder."""
    yield digest
    for entry in trees.parse(store.read(digest)):
        if entry.kind == "dir":
            yield from _trees(store, entry.content)
