"""One release as a channel gives it out: its builds, evidence and signers, from a judgement that holds.

Promises: a ProductManifest is the release object's and what its trees make; no archive is read. Leaves to others:
that the moves hold, and that nothing speaks against them (`verification`).

    JudgedChannel(source, ledger, objects, judged, reader, pins, False).given("prod", (brought,), record.builds)
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from attest.core.values import dataclass
from attest.digests import Digest, from_hex, sha256
from attest.errors import FormatError, VerificationError
from attest.statements.predicates import approval
from attest.trust import verify
from bundlers.consuming import ledger_proof
from bundlers.consuming.ledger_proof import ProvenLedger, Source
from bundlers.consuming.published_objects import PublishedObjects
from bundlers.consuming.state import PinnedMove, Pins
from bundlers.consuming.verified import Signed, VerifiedBuild, VerifiedChannel
from bundlers.products import agreement, product_manifests
from bundlers.products.product_manifests import ProductManifest
from bundlers.publishing.layout.records import PublishedBuild
from bundlers.publishing.proofs.channel_proof import ChannelJudgement
from casstore.errors import NoSuchObject
from casstore.ledger import release_objects
from casstore.ledger.entries import Entry
from casstore.ledger.release_objects import Release, ReleaseBuild
from casstore.ledger.rules import Reader
from casstore.ledger.states.state import LedgerState
from casstore.ledger.states.views import RecordedSigner, ReleaseInfo
from casstore.store.attestations import id_of, parse_unverified


@dataclass(frozen=True, slots=True)
class JudgedChannel:
    """A channel that was judged, and where its files are."""

    source: Source
    ledger: ProvenLedger
    objects: PublishedObjects
    judged: ChannelJudgement
    reader: Reader
    pins: Pins | None
    first_use: bool

    def given(self, channel: str, moves: Sequence[Entry], published: Mapping[str, PublishedBuild]) -> VerifiedChannel:
        """What the first of these moves gives out; the others are what it stands on besides.

        Raises VerificationError, NoSuchObject.
        """
        ledger, objects, judged, move = self.ledger, self.objects, self.judged, moves[0]
        info = judged.state.releases[ledger.history.release_of(move)]
        release = release_objects.parse(objects.read(info.digest))
        if set(published) != set(release.builds):
            raise VerificationError(f"the channel record of {channel} says something else than the ledger: its builds")
        pinned = PinnedMove(judged.head.number, judged.head.digest)
        after = ledger_proof.pins_after(ledger, self.pins)
        claim = ledger.history.claim(move)
        closed = sorted({*release.evidence, *claim.evidence})
        builds = {key: _build(self.source, published, release, key) for key in sorted(release.builds)}
        _check_agreement(objects, release, builds)
        signed = tuple(self._signed(digest, claim.time) for digest in closed)
        leaned_on = {*closed, *(one.statement for one in moves), ledger.history.number(info.number).statement}
        return VerifiedChannel(
            store=ledger.store,
            ledger=ledger.ledger,
            channel=channel,
            version=release.version,
            release=release,
            release_digest=info.digest,
            action=str(move.kind),
            move=pinned,
            moved_at=claim.time,
            promoted_by=self._signed(move.statement, claim.time).names,
            approved_by=tuple(sorted({n for s in signed if s.predicate_type == approval.TYPE for n in s.names})),
            evidence=signed,
            builds=builds,
            trust_root=ledger.trust_root,
            checkpoint_size=ledger.size,
            root_hash=ledger.root_hash,
            cosigned_by=tuple(ledger.cosigned.notes),
            newest=ledger.newest,
            first_use=self.first_use,
            revocations=ledger.revocations,
            suspensions=ledger.suspensions,
            attestations=tuple(sorted({id_of(objects.read(digest)) for digest in leaned_on})),
            signers=_signers(judged, info, signed, channel, moves),
            known=frozenset({*objects.known, *_papers(release)}),
            pins=replace(after, channels={**after.channels, channel: pinned}),
            before=self.pins,
        )

    def check_taken(self, channel: str, move: Entry, entries: Collection[int]) -> None:
        """Raises VerificationError unless one of these entries takes away what a move gives out, or leans on."""
        ledger, objects = self.ledger, self.objects
        info = self.judged.state.releases[ledger.history.release_of(move)]
        release, claim = release_objects.parse(objects.read(info.digest)), ledger.history.claim(move)
        closed = {*release.evidence, *claim.evidence}
        statements = {*closed, move.statement, ledger.history.number(info.number).statement}
        who = {name for digest in statements for name in self._signed(digest, claim.time).identities}
        made = {info.digest, *release.archives.values(), *release.components.values()}
        touched = who | made | {id_of(objects.read(digest)) for digest in statements}
        gone = [{row.name, *row.holders} for row in ledger.revocations if row.entry in entries]
        gone += [{row.identity} for row in ledger.suspensions if row.entry in entries]
        if not any(names & touched for names in gone):
            raise VerificationError(
                f"{channel} {release.version} is called withdrawn, and nothing of it was taken away",
                hint="do not install from here",
            )

    def _signed(self, digest: Digest, at: datetime) -> Signed:
        return _signed(self.objects.read(digest), self.judged.state, at, self.reader)


def _signers(
    judged: ChannelJudgement, info: ReleaseInfo, signed: tuple[Signed, ...], channel: str, given: Sequence[Entry]
) -> tuple[RecordedSigner, ...]:
    """Builder, promoters and who signed evidence, which was there by the move at the latest."""
    held = {move.number for move in given}
    moves = [(move.by, move.number) for move in judged.state.channels[channel].history if move.number in held]
    last = given[0].number
    evidence = [(who, last if item.entry is None else item.entry) for item in signed for who in item.identities]
    return tuple(sorted({RecordedSigner(*row) for row in [(info.builder, info.number), *moves, *evidence]}))


def _papers(release: Release) -> Iterator[Digest]:
    """What the release object names beside archives and evidence."""
    yield from (build.product_manifest for build in release.builds.values())
    if release.notes is not None:
        yield release.notes


def _build(source: Source, given: Mapping[str, PublishedBuild], release: Release, key: str) -> VerifiedBuild:
    published, made = given[key], release.builds[key]
    if (published.archive, published.digest, published.size) != (
        made.archive.name,
        made.archive.digest,
        made.archive.size,
    ):
        raise VerificationError(f"product {key}: the channel record names another archive than the release object")
    manifest = _manifest(source, published.product_manifest, made, key)
    if (manifest.key, manifest.platform) != (key, made.platform):
        raise VerificationError(f"product {key}: its ProductManifest is another build's than the release object's")
    return VerifiedBuild(key, made.format, made.archive, published.path, manifest)


def _manifest(source: Source, path: str, made: ReleaseBuild, key: str) -> ProductManifest:
    """The very one of the release object; other bytes are that, whatever else is wrong with them."""
    hasher = hashlib.sha256()

    def hashed() -> Iterator[bytes]:
        for piece in source.pieces(path):
            hasher.update(piece)
            yield piece

    pieces, wrong = hashed(), None
    try:
        manifest = product_manifests.read(pieces)
    except FormatError as exc:
        wrong = exc
        for _ in pieces:
            pass
    if from_hex(hasher.hexdigest()) != made.product_manifest:
        raise VerificationError(f"product {key}: its ProductManifest is not the one of the release object")
    if wrong is not None:
        raise wrong
    return manifest


def _check_agreement(objects: PublishedObjects, release: Release, builds: Mapping[str, VerifiedBuild]) -> None:
    """Each ProductManifest is what the trees that were put, signed and approved make."""
    try:
        agreement.check_all(objects, release, {key: build.manifest for key, build in builds.items()})
    except NoSuchObject as exc:
        raise ledger_proof.as_verification(exc) from exc


def _signed(raw: bytes, state: LedgerState, at: datetime, reader: Reader) -> Signed:
    """Who signed an attestation, for reports; the decision has judged already what it is worth."""
    said = parse_unverified(raw)
    record = state.recorded.get(sha256(raw))
    root = record.trust_root if record else state.require_trust_root()
    try:
        found = verify.verify(
            raw,
            trust_root=root,
            predicate_type=said.predicate_type,
            subjects=said.digests,
            at=record.at if record else at,
            sigstore_root=reader.sigstore_roots(root).of(root),
        )
    except VerificationError:
        return Signed(sha256(raw), said.predicate_type, ())
    who = tuple(sorted({found.identity, found.proven}))
    entry = record.number if record else None
    return Signed(sha256(raw), said.predicate_type, tuple(sorted(found.names)), who, entry)
