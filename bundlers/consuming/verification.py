"""Verify a channel from published bytes: the one function for a web server, a folder and a kit.

The rules are those of docs/formats/publication.md, "What a consumer checks", in that order.
Promises: pure over bytes (`Source`), time and pins come in as arguments; returns a verified
channel or raises; no archive is read. Leaves to others: getting the bytes (`sources`),
remembering (`state`), archives (`install`).

    found = verify_channel(source, "prod", at=now, pins_of=state.pins)
    found.builds["core"].archive.digest
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from attest.digests import Digest, sha256
from attest.errors import PolicyDenied, VerificationError
from attest.statements.predicates import approval
from attest.trust import verify
from attest.trust.trust_roots import TrustRoot
from bundlers.consuming import ledger_proof, withdrawn
from bundlers.consuming.ledger_proof import CheckKeys, Objects, ProvenLedger, Source
from bundlers.consuming.published_objects import PublishedObjects, tar
from bundlers.consuming.state import PinnedMove, Pins
from bundlers.products import agreement, product_manifests
from bundlers.products.product_manifests import ProductManifest
from bundlers.publishing import absence, channel_proof, records
from bundlers.publishing.absence import Against
from bundlers.publishing.channel_proof import ChannelJudgement
from bundlers.publishing.records import ChannelRecord
from casstore.errors import Conflict, NoSuchObject, StoreDamaged
from casstore.ledger import release_objects
from casstore.ledger import state as states
from casstore.ledger.release_objects import Release, ReleaseArchive
from casstore.ledger.rules import Reader
from casstore.ledger.rules.moves import check_not_revoked
from casstore.ledger.state import LedgerState
from casstore.ledger.views import RecordedSigner, ReleaseInfo, Revocation, Suspension
from casstore.store.attestations import id_of, parse_unverified


@dataclass(frozen=True, slots=True)
class VerifiedBuild:
    """A build of the release, and where its archive is published."""

    key: str
    """`product`, or `product/build` for one of several."""
    format: str
    archive: ReleaseArchive
    path: str
    manifest: ProductManifest
    manifest_bytes: bytes


@dataclass(frozen=True, slots=True)
class Signed:
    """One attestation that was leaned on."""

    digest: Digest
    predicate_type: str
    names: tuple[str, ...]
    """Who signed it, by the trust root's names; empty when nobody counts whom it names."""
    identities: tuple[str, ...] = ()
    """Likewise; a certificate's own subject beside whom the trust root means by it."""
    entry: int | None = None
    """The ledger entry that recorded it first, where that was proven."""


@dataclass(frozen=True, slots=True)
class VerifiedChannel:
    """What a channel holds, all of it verified."""

    store: str
    ledger: str
    channel: str
    version: str
    release: Release
    release_digest: Digest
    action: str
    move: PinnedMove
    moved_at: datetime
    promoted_by: tuple[str, ...]
    approved_by: tuple[str, ...]
    evidence: tuple[Signed, ...]
    builds: Mapping[str, VerifiedBuild]
    trust_root: TrustRoot
    checkpoint_size: int
    root_hash: Digest
    cosigned_by: tuple[str, ...]
    """The witnesses that were asked for and signed the checkpoint."""
    newest: datetime
    """The time of the newest ledger entry that was proven."""
    first_use: bool
    """Nothing of this ledger was remembered, and no digest of trust root 1 was given."""
    revocations: tuple[Revocation, ...]
    """Of the whole line, as far as the proof has them."""
    suspensions: tuple[Suspension, ...]
    """Likewise."""
    attestations: tuple[Digest, ...]
    """The ids of what was leaned on: evidence, the moves, the release's own statement."""
    signers: tuple[RecordedSigner, ...]
    """Who signed these."""
    known: frozenset[Digest]
    """All that was proven: statements, objects, manifests."""
    pins: Pins
    """What to remember."""
    before: Pins | None
    """What was remembered when it was verified."""


def verify_channel(
    source: Source,
    channel: str,
    *,
    at: datetime,
    pins_of: Callable[[str, str], Pins | None],
    first_trust_root: Digest | None = None,
    sigstore_root: bytes | None = None,
    check_keys: CheckKeys | None = None,
) -> VerifiedChannel:
    """`check_keys` judges who published it, by the proven ledger and what is revoked in it.

    Raises Withdrawn, VerificationError, TrustError, FormatError, NoSuchObject.
    """
    record = ChannelRecord.parse(source.read(records.channel_path(channel)))
    if record.channel != channel:
        raise VerificationError(f"the channel record of {channel} says something else: it is that of {record.channel}")
    ledger = ledger_proof.prove(
        source, at=at, pins_of=pins_of, first_trust_root=first_trust_root, sigstore_root=sigstore_root
    )
    pins = pins_of(ledger.store, ledger.ledger)
    if record.withdrawn:
        raise withdrawn.read(source, ledger, record, channel, pins, check_keys, at)
    if ledger.cosigned.lacking is not None:
        raise VerificationError(
            f"channel {channel}: {ledger.cosigned.lacking}", hint="wait for them; the version before stays good"
        )
    objects = PublishedObjects(ledger.objects, source, record)
    against = _sealed(source, ledger, objects, record, channel, at)
    if check_keys is not None:
        check_keys(ledger, against.names)
    judged = _judge(ledger, objects, record, channel, sigstore_root, against)
    ledger_proof.check_seen(channel, judged.head.number, judged.head.digest, pins)
    info = _release_info(judged, channel)
    release = release_objects.parse(objects.read(info.digest))
    _check_record(record, ledger, channel, judged, release, info.digest)
    move = PinnedMove(judged.head.number, judged.head.digest)
    after = ledger_proof.pins_after(ledger, pins)
    claim = ledger.history.claim(judged.brought)
    closed = sorted({*release.evidence, *claim.evidence})
    reader = Reader(objects, sigstore_root)
    builds = {key: _build(source, record, release, key) for key in sorted(release.builds)}
    _check_agreement(objects, release, builds)
    signed = tuple(_signed(objects.read(digest), judged.state, claim.time, reader) for digest in closed)
    return VerifiedChannel(
        store=ledger.store,
        ledger=ledger.ledger,
        channel=channel,
        version=release.version,
        release=release,
        release_digest=info.digest,
        action=str(judged.brought.kind),
        move=move,
        moved_at=claim.time,
        promoted_by=_signed(objects.read(judged.brought.statement), judged.state, claim.time, reader).names,
        approved_by=tuple(sorted({n for s in signed if s.predicate_type == approval.TYPE for n in s.names})),
        evidence=signed,
        builds=builds,
        trust_root=ledger.trust_root,
        checkpoint_size=ledger.size,
        root_hash=ledger.root_hash,
        cosigned_by=tuple(ledger.cosigned.notes),
        newest=ledger.newest,
        first_use=pins is None and first_trust_root is None,
        revocations=ledger.revocations,
        suspensions=ledger.suspensions,
        attestations=tuple(
            sorted({id_of(objects.read(digest)) for digest in _leaned_on(ledger, judged, info, closed)})
        ),
        signers=_signers(judged, info, signed, channel),
        known=frozenset({*objects.known, *_papers(release)}),
        pins=replace(after, channels={**after.channels, channel: move}),
        before=pins,
    )


def _sealed(
    source: Source, ledger: ProvenLedger, objects: PublishedObjects, record: ChannelRecord, channel: str, at: datetime
) -> Against:
    """What the sealed state says against the channel's head: raises, or returns what counts no more."""
    try:
        return _against(source, ledger, objects, record, channel, at)
    except NoSuchObject as exc:
        raise VerificationError(
            f"channel {channel}: it is not shown that nothing speaks against it: {exc.message}",
            hint="do not install from here; ask the publisher to publish again",
        ) from exc


def _against(
    source: Source, ledger: ProvenLedger, objects: PublishedObjects, record: ChannelRecord, channel: str, at: datetime
) -> Against:
    leaves = Objects(ledger.store, tar(source, records.state_path(channel)))
    brought = channel_proof.brought_by(ledger.history, channel, record.move_number, set())
    digest = ledger.history.release_of(brought)
    release = release_objects.parse(objects.read(digest))
    history, number = ledger.history, record.move_number
    chosen = channel_proof.select(history, channel, number, ledger.policies, history.recorder)
    question = absence.ask(history, channel, number, digest, release, ledger.trust_roots, objects.read, chosen)
    against = absence.check(question, absence.answer(ledger.seal.state, leaves.read, question.names), at)
    ledger_proof.check_seal(ledger, against)
    return against


def _judge(
    ledger: ProvenLedger,
    objects: PublishedObjects,
    record: ChannelRecord,
    channel: str,
    sigstore_root: bytes | None,
    against: Against,
) -> ChannelJudgement:
    start = states.start(ledger.store, ledger.ledger)
    head = record.move_number
    chosen = channel_proof.select(ledger.history, channel, head, ledger.policies, ledger.history.recorder)
    try:
        reader = Reader(objects, sigstore_root)
        judged = channel_proof.judge_channel(
            start, ledger.history, channel, head, chosen, reader, against.revoked, against.limited
        )
        check_not_revoked(judged.state, _release_info(judged, channel))
    except (NoSuchObject, StoreDamaged) as exc:
        raise ledger_proof.as_verification(exc) from exc
    except (PolicyDenied, Conflict) as exc:
        raise VerificationError(
            f"channel {channel}: the move of ledger entry {head} does not hold: {exc.message}",
            hint="do not install it; ask the promoters",
        ) from exc
    return judged


def _release_info(judged: ChannelJudgement, channel: str) -> ReleaseInfo:
    digest = judged.state.channels[channel].release
    assert digest is not None  # noqa: S101 - a judged channel holds a release
    return judged.state.releases[digest]


def _check_record(
    record: ChannelRecord,
    ledger: ProvenLedger,
    channel: str,
    judged: ChannelJudgement,
    release: Release,
    digest: Digest,
) -> None:
    said = (record.store, record.ledger, record.channel, record.version, record.release, record.move)
    true = (ledger.store, ledger.ledger, channel, release.version, digest, judged.head.digest)
    if said != true or set(record.builds) != set(release.builds):
        raise VerificationError(f"the channel record of {channel} says something else than the ledger")


def _leaned_on(
    ledger: ProvenLedger, judged: ChannelJudgement, info: ReleaseInfo, closed: list[Digest]
) -> Iterator[Digest]:
    yield from closed
    yield from (judged.head.statement, judged.brought.statement)
    yield ledger.history.number(info.number).statement


def _signers(
    judged: ChannelJudgement, info: ReleaseInfo, signed: tuple[Signed, ...], channel: str
) -> tuple[RecordedSigner, ...]:
    """Builder, promoters and who signed evidence, which was there by the move at the latest."""
    held = {judged.head.number, judged.brought.number}
    moves = [(move.by, move.number) for move in judged.state.channels[channel].history if move.number in held]
    last = judged.brought.number
    evidence = [(who, last if item.entry is None else item.entry) for item in signed for who in item.identities]
    return tuple(sorted({RecordedSigner(*row) for row in [(info.builder, info.number), *moves, *evidence]}))


def _papers(release: Release) -> Iterator[Digest]:
    """What the release object names beside archives and evidence."""
    yield from (build.product_manifest for build in release.builds.values())
    if release.notes is not None:
        yield release.notes


def _build(source: Source, record: ChannelRecord, release: Release, key: str) -> VerifiedBuild:
    published, made = record.builds[key], release.builds[key]
    if (published.archive, published.digest, published.size) != (
        made.archive.name,
        made.archive.digest,
        made.archive.size,
    ):
        raise VerificationError(f"product {key}: the channel record names another archive than the release object")
    data = source.read(published.product_manifest)
    if sha256(data) != made.product_manifest:
        raise VerificationError(f"product {key}: its ProductManifest is not the one of the release object")
    manifest = product_manifests.parse(data)
    if (manifest.key, manifest.platform) != (key, made.platform):
        raise VerificationError(f"product {key}: its ProductManifest is another build's than the release object's")
    return VerifiedBuild(key, made.format, made.archive, published.path, manifest, data)


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
