"""What a release signs: provenance per archive, isolation, one test-result per gate, the release itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from attest.core.values import dataclass
from attest.digests import Digest, sha256
from attest.statements import statements
from attest.statements.predicates import isolation as isolations
from attest.statements.predicates import release as releases
from attest.statements.predicates import test_result
from bundlers.building.provenance import archive_provenance
from bundlers.gates import Outcome, Phase, StagedArchive
from bundlers.isolation import IsolationReport
from bundlers.products import agreement, checksums, products
from bundlers.products.product_manifests import ProductManifest
from bundlers.releases.plan import Plan
from bundlers.releases.reports import ReleaseRequest
from casstore.ledger.release_objects import Release, ReleaseArchive, ReleaseBuild, label
from casstore.objects.kinds import Kind, NewObject
from casstore.store.attestations import parse_unverified


@dataclass(frozen=True, slots=True)
class Signed:
    """Everything small that a release adds to the store, made in one session of the signer."""

    made: Release
    checksums: bytes
    provenance: Mapping[str, bytes]
    """Archive name -> the attestation beside it, of the archives that were made now."""
    kept: Mapping[str, Digest]
    """Archive name -> the attestation of an archive that is kept."""
    others: tuple[bytes, ...]
    statement: bytes
    """What the ledger entry names."""
    notes: bytes | None = None

    def objects(self, config: bytes) -> list[NewObject]:
        """For one put, the release object and its statement included; ProductManifests are put as files."""
        notes = [self.notes] if self.notes is not None else []
        blobs = [self.checksums, self.made.to_bytes(), config, *notes]
        raws = [*self.provenance.values(), *self.others, self.statement]
        attested = [NewObject(raw, Kind.ATTESTATION, tuple(sorted(parse_unverified(raw).digests))) for raw in raws]
        return [*(NewObject(data, Kind.BLOB, ()) for data in blobs), *attested]


def sign(
    request: ReleaseRequest,
    plan: Plan,
    archives: Sequence[StagedArchive],
    outcomes: Sequence[Outcome],
    compared: IsolationReport,
) -> Signed:
    """All statements, and the release object that closes the list of its evidence. Raises SignerError."""
    provenance = {archive.name: _provenance(request, plan, archive) for archive in archives if not archive.kept}
    kept = {plan.names[key]: row.provenance for key, row in plan.kept.items()}
    others = (
        _attest(request, _isolation_subjects(plan, archives), isolations.TYPE, compared.predicate().to_json()),
        *(gate_result(request, _seen_by(outcome, plan, archives), outcome) for outcome in outcomes),
    )
    sums = checksums.to_bytes({archive.name: archive.digest for archive in archives})
    evidence = {*plan.statements.values(), *kept.values(), *map(sha256, [*provenance.values(), *others])}
    made = _release(request, plan, archives, sha256(sums), tuple(sorted(evidence)))
    made = replace(made, explained=compared.explained)
    claim = releases.ReleaseClaim(releases.purl_of(made.ledger, made.version), f"{made.store}/{made.ledger}")
    statement = _attest(request, {"release": made.digest, **made.archives}, releases.TYPE, claim.to_json())
    return Signed(made, sums, provenance, kept, others, statement, request.notes)


def _attest(request: ReleaseRequest, subjects: Mapping[str, Digest], kind: str, predicate: Mapping[str, Any]) -> bytes:
    return request.signer.sign_statement(statements.of_digests(subjects, kind, predicate).to_bytes())


def _provenance(request: ReleaseRequest, plan: Plan, archive: StagedArchive) -> bytes:
    manifest = archive.manifest
    payload = archive_provenance(
        (archive.name, archive.digest),
        product=manifest.product,
        build=manifest.build,
        version=plan.version,
        archive_format=manifest.archive_format,
        layout=_layout(request, manifest),
        times={name: component.time for name, component in manifest.components.items()},
        manifest=manifest.digest,
        config=request.config.digest,
        trees={name: component.tree for name, component in manifest.components.items()},
        identity=request.signer.identity,
        now=request.now,
    )
    return request.signer.sign_statement(payload)


def _layout(request: ReleaseRequest, manifest: ProductManifest) -> dict[str, Any]:
    components = request.config.components
    return agreement.layout_json(manifest, {name: products.layout_of(components[name]) for name in manifest.components})


def _isolation_subjects(plan: Plan, archives: Sequence[StagedArchive]) -> dict[str, Digest]:
    subjects = {archive.name: archive.digest for archive in archives}
    return subjects | {f"{label(key)}.product-manifest.json": m.digest for key, m in plan.manifests.items()}


def _seen_by(outcome: Outcome, plan: Plan, archives: Sequence[StagedArchive]) -> Mapping[str, Digest]:
    """The trees (inputs), or the archives (staged)."""
    on_archives = outcome.phase is Phase.STAGED
    return {archive.name: archive.digest for archive in archives} if on_archives else plan.trees


def gate_result(request: ReleaseRequest, subjects: Mapping[str, Digest], outcome: Outcome) -> bytes:
    """The signed test-result of one gate, passed or failed. Raises SignerError."""
    return _attest(request, subjects, test_result.TYPE, outcome.claim().to_json())


def _release(
    request: ReleaseRequest, plan: Plan, archives: Sequence[StagedArchive], sums: Digest, evidence: tuple[Digest, ...]
) -> Release:
    return Release(
        store=request.store.store_id,
        ledger=request.ledger.name,
        version=plan.version,
        epoch=plan.epoch,
        components=plan.trees,
        builds={archive.manifest.key: _build(request, archive) for archive in archives},
        checksums=sums,
        evidence=evidence,
        config=request.config.digest,
        taken=plan.taken,
        notes=sha256(request.notes) if request.notes is not None else None,
    )


def _build(request: ReleaseRequest, archive: StagedArchive) -> ReleaseBuild:
    manifest = archive.manifest
    return ReleaseBuild(
        manifest.archive_format,
        ReleaseArchive(archive.name, archive.digest, archive.size),
        manifest.digest,
        manifest.platform,
        manifest.foreign,
        _layout(request, manifest),
    )
