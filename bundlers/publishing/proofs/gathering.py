"""Gathers what proves a channel: ledger proof, checkpoint, objects, files of the release.

Promises: it judges the channel exactly as a consumer will, over a recording reader, so what it
hands out is complete; the same ledger, checkpoint and heads give the same bytes. Leaves to others:
where it goes (`publication`, `kits`).

    gathered = gather(store, ledger, state, {"prod": 41}, checkpoint)
    gathered.targets["channels/prod.json"]
"""

from __future__ import annotations

import io
from collections.abc import Container, Iterator, Mapping
from dataclasses import field, replace
from typing import BinaryIO, Protocol

from attest.core import limits
from attest.core.values import dataclass
from attest.digests import Digest, hex_of, sha256
from attest.errors import CasstoreError, PolicyDenied
from attest.judging.decisions import Record
from attest.statements.predicates import slsa_provenance
from attest.statements.predicates.promotion import Promotion
from attest.trust.trust_roots import TrustRoot
from bundlers import formats
from bundlers.errors import HostileArchive
from bundlers.formats import pieces
from bundlers.products import agreement, product_manifests
from bundlers.publishing.layout import kit_files, published_paths
from bundlers.publishing.layout.kit_files import Member
from bundlers.publishing.layout.records import CanaryRecord, ChannelRecord, PublishedBuild
from bundlers.publishing.layout.tuf_repository import TargetInfo
from bundlers.publishing.proofs import channel_proof
from bundlers.publishing.proofs.channel_proof import ChannelJudgement, History, Recorder, Selection
from casstore.ledger import release_objects
from casstore.ledger.entries import Entry
from casstore.ledger.release_objects import Release, label
from casstore.ledger.rules import Reader
from casstore.ledger.rules.moves import check_not_revoked
from casstore.ledger.states import state as states
from casstore.ledger.states.state import LedgerState
from casstore.machine.spooled import SpooledBytes
from casstore.objects import tree as trees
from casstore.objects.tree import Tree, TreeEntry
from casstore.store.attestations import parse_unverified


class ReadStore(Protocol):
    """What is needed of a store."""

    @property
    def store_id(self) -> str:
        """The id that statements name."""

    def read(self, digest: Digest, *, max_bytes: int | None = None) -> bytes:
        """An object's verified bytes."""

    def chunks(self, digest: Digest) -> Iterator[bytes]:
        """An object's verified bytes in pieces."""

    def size(self, digest: Digest) -> int:
        """An object's length."""

    def open_blob(self, digest: Digest) -> BinaryIO:
        """A seekable stream, verified before the first byte."""


@dataclass(frozen=True, slots=True)
class ChannelFiles:
    """One channel, judged, and its files."""

    record: ChannelRecord
    judged: ChannelJudgement
    chosen: Selection
    release: Release
    """What it names."""
    releases: tuple[Release, ...]
    """That, and the canary unless it was withdrawn."""


@dataclass(slots=True)
class Gathered:
    """Targets by path; `fresh` are the bytes that no store has yet."""

    targets: dict[str, TargetInfo] = field(default_factory=dict)
    fresh: SpooledBytes[str] = field(default_factory=SpooledBytes)

    def add(self, path: str, data: bytes) -> None:
        """Bytes that were made here."""
        self.targets[path] = TargetInfo(sha256(data), len(data))
        self.fresh[path] = data

    def refer(self, path: str, digest: Digest, store: ReadStore) -> None:
        """An object of the store."""
        self.targets[path] = TargetInfo(digest, store.size(digest))


class Recording:
    """A reader that remembers what was asked for."""

    def __init__(self, store: ReadStore) -> None:
        self._store = store
        self.store_id = store.store_id
        self.seen: SpooledBytes[Digest] = SpooledBytes()

    def read(self, digest: Digest, *, max_bytes: int | None = None) -> bytes:
        if digest not in self.seen:
            self.seen[digest] = self._store.read(digest, max_bytes=max_bytes)
        return self.seen[digest]

    def contents(self, digest: Digest) -> Iterator[tuple[bytes, TreeEntry]]:
        return trees.contents(self._tree, digest)

    def _tree(self, digest: Digest) -> Tree:
        return trees.parse(self.read(digest))


def gather_channel(
    into: Gathered,
    store: ReadStore,
    state: LedgerState,
    history: History,
    channel: str,
    head: int,
    *,
    canary_withdrawn: tuple[int, ...] = (),
    sigstore_root: bytes | None = None,
) -> ChannelFiles:
    """Judge a channel at a move and add its record, objects and the files of its release and its canary.

    `canary_withdrawn`: the entries that took the canary away. Raises what the ledger's rules raise, PolicyDenied for
    a revoked release, NoSuchObject for bytes that are gone.
    """
    roots = {root.digest: root for root in state.trust_roots}
    chosen = channel_proof.select(history, channel, head, roots.get, recorder(state))
    reading = Recording(store)
    start, reader = states.start(state.store, state.ledger), Reader(reading, sigstore_root)
    judged = channel_proof.judge_channel(start, history, channel, head, chosen, reader, canary=not canary_withdrawn)
    given = [judged.brought] + ([judged.canary] if judged.canary is not None and not canary_withdrawn else [])
    releases, evidence = [], set[Digest]()
    for entry in given:
        release, found = _gather_release(into, store, history, judged, entry, reading)
        releases.append(release)
        evidence |= found
    tars, alone = _add_objects(into, store, channel, reading.seen, evidence)
    record = replace(_record(state, channel, judged, releases[0]), tars=tars, alone=alone)
    if judged.canary is not None:
        builds = {} if canary_withdrawn else _builds(releases[1])
        record = replace(record, canary=_canary(state, channel, builds, canary_withdrawn))
    into.add(published_paths.channel_path(channel), record.to_bytes())
    return ChannelFiles(record, judged, chosen, releases[0], tuple(releases))


def _gather_release(
    into: Gathered, store: ReadStore, history: History, judged: ChannelJudgement, move: Entry, reading: Recording
) -> tuple[Release, set[Digest]]:
    """Add the files of what a move gives out; returns it and its evidence."""
    digest = history.release_of(move)
    check_not_revoked(judged.state, judged.state.releases[digest])
    release = release_objects.parse(reading.read(digest))
    evidence = {*release.evidence, *history.claim(move).evidence, move.statement}
    for item in sorted({*evidence, release.checksums}):
        reading.read(item)
    manifests = {
        key: product_manifests.read(store.chunks(build.product_manifest)) for key, build in release.builds.items()
    }
    agreement.check_all(reading, release, manifests)
    _release_files(into, store, release, digest, evidence, reading)
    return release, evidence


def _add_objects(
    into: Gathered, store: ReadStore, channel: str, objects: SpooledBytes[Digest], evidence: set[Digest]
) -> tuple[int, tuple[Digest, ...]]:
    """Small objects in tars, the smallest first; larger ones on their own, unless they are evidence, which is there."""
    tars: list[list[Digest]] = []
    room = 0
    for size, digest in sorted((objects.size(digest), digest) for digest in objects):
        if size > limits.PACKED_OBJECT:
            continue
        if size > room:
            tars.append([])
            room = limits.OBJECTS_TAR
        tars[-1].append(digest)
        room -= size
    for number, packed in enumerate(tars, start=1):
        held = {digest: objects[digest] for digest in packed}
        into.add(published_paths.objects_path(channel, number), objects_tar(held))
    large = {digest for digest in objects if objects.size(digest) > limits.PACKED_OBJECT}
    alone = tuple(sorted(large - evidence))
    for digest in alone:
        into.refer(published_paths.object_path(digest), digest, store)
    return len(tars), alone


def recorder(state: LedgerState) -> Recorder:
    """The entry that took an attestation in first, where a move judges it otherwise without knowing that."""

    def entry_of(attestation: Digest, move: Promotion) -> int | None:
        record = state.recorded.get(attestation)
        root = next(root for root in state.trust_roots if root.digest == move.trust_root)
        told = record is not None and (bool(state.limited) or _tells(record, root, move))
        return record.number if record is not None and told else None

    return entry_of


def _tells(record: Record, root: TrustRoot, move: Promotion) -> bool:
    if record.trust_root != root or root.channels[move.channel].asks_age:
        return True
    return any(entry.valid_at(record.at) != entry.valid_at(move.time) for entry in root.identities)


def check_archives(store: ReadStore, release: Release, known: frozenset[Digest] = frozenset()) -> int:
    """Read every archive once against its ProductManifest but those published before; returns the bytes.

    Raises ObjectDamaged, HostileArchive, NoSuchObject.
    """
    total = 0
    for build in release.builds.values():
        if build.archive.digest in known:
            continue
        manifest = product_manifests.read(store.chunks(build.product_manifest))
        size = store.size(build.archive.digest)
        if size != build.archive.size:
            raise HostileArchive(f"{build.archive.name}: its size is not what the release object says")
        with store.open_blob(build.archive.digest) as source:
            for _, chunks in formats.read(manifest, source):
                for _ in chunks:
                    pass
        total += size
    return total


def gather_pieces(into: Gathered, store: ReadStore, release: Release, before: Container[str]) -> None:
    """Add the lengths of archives' pieces, of those that were not published before."""
    for key, build in sorted(release.builds.items()):
        path = published_paths.pieces_path(published_paths.archive_path(key, build.format, build.archive.digest))
        if path in before or build.archive.size < pieces.LEAST:
            continue
        manifest = product_manifests.read(store.chunks(build.product_manifest))
        with store.open_blob(build.archive.digest) as archive:
            found = pieces.measure(manifest, archive, build.archive.digest)
        if found is not None:
            into.add(path, found.to_bytes())


def _release_files(
    into: Gathered,
    store: ReadStore,
    release: Release,
    digest: Digest,
    evidence: set[Digest],
    reading: Recording,
) -> None:
    version = release.version
    into.refer(published_paths.release_path(version, "release.json"), digest, store)
    into.refer(published_paths.release_path(version, "SHA256SUMS"), release.checksums, store)
    for key, build in sorted(release.builds.items()):
        manifest = published_paths.release_path(version, f"{label(key)}.product-manifest.json")
        into.refer(manifest, build.product_manifest, store)
        into.refer(published_paths.archive_path(key, build.format, build.archive.digest), build.archive.digest, store)
    if release.notes is not None:
        into.refer(published_paths.release_path(version, "NOTES"), release.notes, store)
    provenance = _provenance({item: reading.read(item) for item in release.evidence})
    for archive, archive_digest in release.archives.items():
        if archive_digest in provenance:
            path = published_paths.release_path(version, f"{archive}.sigstore.json")
            into.refer(path, provenance[archive_digest], store)
    for item in sorted(evidence):
        into.refer(published_paths.evidence_path(version, item), item, store)


def _provenance(raws: Mapping[Digest, bytes]) -> dict[Digest, Digest]:
    """Subject -> its SLSA provenance, the first one by digest."""
    found: dict[Digest, Digest] = {}
    for digest, raw in sorted(raws.items()):
        try:
            statement = parse_unverified(raw)
        except CasstoreError:
            continue
        if statement.predicate_type == slsa_provenance.TYPE:
            for subject in statement.digests:
                found.setdefault(subject, digest)
    return found


def _record(state: LedgerState, channel: str, judged: ChannelJudgement, release: Release) -> ChannelRecord:
    root = state.require_trust_root()
    return ChannelRecord(
        state.store,
        state.ledger,
        channel,
        release.version,
        release.digest,
        judged.head.number,
        judged.head.digest,
        root.version,
        root.digest,
        _builds(release),
    )


def _canary(
    state: LedgerState, channel: str, builds: Mapping[str, PublishedBuild], why: tuple[int, ...]
) -> CanaryRecord:
    moves = state.channel(channel).canary_moves
    first, last = moves[0], moves[-1]
    assert last.share is not None  # noqa: S101 - it is the move of a canary
    return CanaryRecord(last.version, last.release, last.share, first.number, first.entry, builds, why)


def _builds(release: Release) -> dict[str, PublishedBuild]:
    return {
        key: PublishedBuild(
            build.archive.name,
            published_paths.archive_path(key, build.format, build.archive.digest),
            build.archive.digest,
            build.archive.size,
            published_paths.release_path(release.version, f"{label(key)}.product-manifest.json"),
        )
        for key, build in release.builds.items()
    }


def objects_tar(objects: Mapping[Digest, bytes]) -> bytes:
    out = io.BytesIO()
    members = {f"objects/{hex_of(digest)}": _member(data) for digest, data in objects.items()}
    kit_files.write(out, members, mtime=0)
    return out.getvalue()


def _member(data: bytes) -> Member:
    return Member(len(data), lambda: (data,))


def require_moved(state: LedgerState, channel: str) -> int:
    """The number of a channel's last move. Raises PolicyDenied when it holds nothing."""
    found = state.channel(channel)
    if found.release is None:
        raise PolicyDenied(f"channel {channel} holds no release yet", hint=f"casstore promote VERSION --to {channel}")
    return found.number
