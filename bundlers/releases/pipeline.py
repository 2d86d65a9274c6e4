"""The order of a release (see the package), and what each step signs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from attest import statements
from attest.digests import Digest, sha256
from attest.predicates import isolation as isolations
from attest.predicates import release as releases
from attest.predicates import slsa_provenance, test_result
from attest.signers import Signer
from bundlers import checksums, gates, isolation
from bundlers.blockers import Blocker
from bundlers.errors import GateFailed
from bundlers.gates.base import Phase, ReleaseView, StagedArchive
from bundlers.isolation import IsolationReport
from bundlers.provenance import archive_provenance
from bundlers.releases import plan as plans
from bundlers.releases.plan import Plan
from bundlers.releases.staging import Quarantine, restore, write_papers
from casstore import attestations, release_objects
from casstore.config import Config
from casstore.errors import Conflict
from casstore.ledger.commit import commit
from casstore.ledger.entries import EntryKind
from casstore.ledger.log import Ledger
from casstore.ledger.state import LedgerState, replay
from casstore.objects.kinds import Kind, NewObject
from casstore.progress import NullProgress, Progress
from casstore.promotion.services import keep, require_role
from casstore.release_objects import Release, ReleaseArchive, ReleaseProduct, check_version
from casstore.store import Store


@dataclass(frozen=True, slots=True)
class ReleaseRequest:
    """Everything that a release needs."""

    store: Store
    ledger: Ledger
    config: Config
    version: str
    signer: Signer
    now: datetime
    out: str | None = None
    """A folder that does not exist yet; None writes no output folder."""
    epoch: int | None = None
    components: Mapping[str, Digest] = field(default_factory=dict)
    """Trees by hand; the others are what the ledger has for this version."""
    dry_run: bool = False
    workers: int = 2
    progress: Progress = field(default_factory=NullProgress)


@dataclass(frozen=True, slots=True)
class ReleaseReport:
    """What was released, or would be."""

    version: str
    release: Digest | None
    entry: int | None
    archives: tuple[StagedArchive, ...]
    outcomes: tuple[gates.Outcome, ...]
    isolation: IsolationReport | None
    out: str | None
    dry_run: bool = False
    again: bool = False
    """The very same release was in the ledger already."""

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "version": self.version,
            "release": self.release,
            "entry": self.entry,
            "archives": [{"name": a.name, "digest": a.digest, "size": a.size} for a in self.archives],
            "gates": [outcome.to_json() for outcome in self.outcomes],
            "isolation": self.isolation.to_json() if self.isolation else None,
            "out": self.out,
            "dryRun": self.dry_run,
            "again": self.again,
        }


def release(request: ReleaseRequest) -> ReleaseReport:
    """Make one version of all products visible.

    Raises GateFailed (exit 10), CrossProductLeak (11), Conflict (9) when the version is another
    release's, NoSuchObject (8) for a component that was not put, PolicyDenied (4) when the signer is
    no builder. Nothing is visible then.
    """
    check_version(request.version)
    state = replay(request.ledger, request.store)
    require_role(state, request.signer, frozenset({"builder"}), request.now)
    plan = plans.make(request.store, state, request.config, request.version, request.epoch, request.components)
    if request.version in state.versions:
        return _again(request, state, plan)
    view = ReleaseView(request.version, plan.trees, plan.manifests, request.store, request.config.folder)
    outcomes = _pass(view, request, Phase.INPUTS)
    compared = isolation.check(request.store, plan.manifests, isolation.Settings.parse(request.config.isolation))
    compared.require()
    with Quarantine(request.out) as quarantine:
        archives = _bundle(request, plan, quarantine)
        staged = ReleaseView(
            view.version, view.trees, view.manifests, view.store, view.root, {a.manifest.product: a for a in archives}
        )
        outcomes += _pass(staged, request, Phase.STAGED)
        if request.dry_run:
            return ReleaseReport(request.version, None, None, archives, outcomes, compared, None, dry_run=True)
        return _publish(request, state, plan, archives, outcomes, compared, quarantine)


def _pass(view: ReleaseView, request: ReleaseRequest, phase: Phase) -> tuple[gates.Outcome, ...]:
    outcomes = gates.run(view, request.config.gates, phase)
    blockers = [blocker for outcome in outcomes for blocker in outcome.blockers]
    if blockers:
        raise _failed(blockers)
    return outcomes


def _failed(blockers: Sequence[Blocker]) -> GateFailed:
    names = sorted({blocker.gate for blocker in blockers})
    more = f" (and {len(blockers) - 1} more)" if len(blockers) > 1 else ""
    return GateFailed(
        f"gate {', '.join(names)} failed: {blockers[0].message}{more}",
        hint=blockers[0].suggested_fix,
        blockers=tuple(blockers),
    )


def _bundle(request: ReleaseRequest, plan: Plan, quarantine: Quarantine) -> tuple[StagedArchive, ...]:
    request.progress.start("bundling", len(plan.manifests), sum(m.size for m in plan.manifests.values()))
    archives = []
    for manifest in plan.manifests.values():
        archives.append(quarantine.archive(request.store, manifest, workers=request.workers))
        request.progress.advance(1, manifest.size, archives[-1].size)
    request.progress.finish()
    return tuple(archives)


def _publish(
    request: ReleaseRequest,
    state: LedgerState,
    plan: Plan,
    archives: tuple[StagedArchive, ...],
    outcomes: tuple[gates.Outcome, ...],
    compared: IsolationReport,
    quarantine: Quarantine,
) -> ReleaseReport:
    provenance = {archive.name: _archive_statement(request, plan, archive) for archive in archives}
    others = [_isolation_statement(request, compared, archives), *_gate_statements(request, plan, archives, outcomes)]
    evidence = keep(request.store, [*provenance.values(), *others])
    made = _release_object(request, state, plan, archives, (*plan.statements, *evidence))
    for archive in archives:
        request.store.put_path(archive.path)
    papers = [checksums.to_bytes(made.archives), made.to_bytes(), *(m.to_bytes() for m in plan.manifests.values())]
    request.store.put_many([NewObject(data, Kind.BLOB, ()) for data in [*papers, *_config_bytes(request)]])
    statement = keep(request.store, [_release_statement(request, made)])[0]
    entry, _ = commit(request.ledger, request.store, state, EntryKind.RELEASE, statement, now=request.now)
    bundles = {name: sha256(raw) for name, raw in provenance.items()}
    write_papers(quarantine, made, request.store, bundles)
    quarantine.keep()
    return ReleaseReport(request.version, made.digest, entry.number, archives, outcomes, compared, quarantine.out)


def _archive_statement(request: ReleaseRequest, plan: Plan, archive: StagedArchive) -> bytes:
    manifest = archive.manifest
    payload = archive_provenance(
        (archive.name, archive.digest),
        product=manifest.product,
        version=plan.version,
        archive_format=manifest.archive_format,
        epoch=plan.epoch,
        manifest=manifest.digest,
        trees={name: component.tree for name, component in manifest.components.items()},
        identity=request.signer.identity,
        now=request.now,
    )
    return request.signer.sign_statement(payload)


def _isolation_statement(
    request: ReleaseRequest, compared: IsolationReport, archives: Sequence[StagedArchive]
) -> bytes:
    subjects = {archive.name: archive.digest for archive in archives}
    subjects |= {f"{product}.product-manifest.json": digest for product, digest in compared.products.items()}
    made = statements.of_digests(subjects, isolations.TYPE, compared.predicate().to_json())
    return request.signer.sign_statement(made.to_bytes())


def _gate_statements(
    request: ReleaseRequest, plan: Plan, archives: Sequence[StagedArchive], outcomes: Sequence[gates.Outcome]
) -> list[bytes]:
    """One test-result per gate: about the trees it saw (inputs), or the archives (staged)."""
    made = []
    for outcome in outcomes:
        staged = gates.find(outcome.name, outcome.settings).PHASE is Phase.STAGED
        subjects = {a.name: a.digest for a in archives} if staged else dict(plan.trees)
        claim = statements.of_digests(subjects, test_result.TYPE, outcome.claim().to_json())
        made.append(request.signer.sign_statement(claim.to_bytes()))
    return made


def _release_object(
    request: ReleaseRequest,
    state: LedgerState,
    plan: Plan,
    archives: Sequence[StagedArchive],
    evidence: Sequence[Digest],
) -> Release:
    return Release(
        store=state.store,
        ledger=state.ledger,
        version=plan.version,
        epoch=plan.epoch,
        components=plan.trees,
        products={
            a.manifest.product: ReleaseProduct(
                a.manifest.archive_format, ReleaseArchive(a.name, a.digest, a.size), a.manifest.digest
            )
            for a in archives
        },
        checksums=sha256(checksums.to_bytes({a.name: a.digest for a in archives})),
        evidence=tuple(sorted(set(evidence))),
        config=request.config.digest,
    )


def _config_bytes(request: ReleaseRequest) -> list[bytes]:
    """The casstore.toml that was read, if it still has those bytes."""
    with open(request.config.path, "rb") as file:
        data = file.read()
    if sha256(data) != request.config.digest:
        raise Conflict(f"{request.config.path}: changed while the release ran", hint="run it again")
    return [data]


def _release_statement(request: ReleaseRequest, made: Release) -> bytes:
    claim = releases.ReleaseClaim(releases.purl_of(made.ledger, made.version), made.digest)
    subjects = {"release": made.digest, **made.archives}
    return request.signer.sign_statement(statements.of_digests(subjects, releases.TYPE, claim.to_json()).to_bytes())


def _again(request: ReleaseRequest, state: LedgerState, plan: Plan) -> ReleaseReport:
    """The version is in the ledger: the same inputs give the output folder again, others are refused."""
    info = state.releases[state.versions[request.version]]
    made = release_objects.parse(request.store.read(info.digest))
    manifests = {product: row.product_manifest for product, row in made.products.items()}
    if manifests != {product: manifest.digest for product, manifest in plan.manifests.items()}:
        raise Conflict(
            f"version {request.version} is taken by {info.digest}, made of other files",
            hint="release under a new version",
        )
    if request.out and not request.dry_run:
        restore(request.store, made, request.out, _provenance_of(request.store, made))
    archives = tuple(
        StagedArchive(row.archive.name, "", row.archive.digest, row.archive.size, plan.manifests[product])
        for product, row in made.products.items()
    )
    return ReleaseReport(
        request.version, info.digest, info.number, archives, (), None, request.out, request.dry_run, again=True
    )


def _provenance_of(store: Store, made: Release) -> dict[str, Digest]:
    found = {}
    for name, digest in made.archives.items():
        for item in attestations.find(store, digest, slsa_provenance.TYPE):
            if item.digest in made.evidence:
                found[name] = item.digest
    return found
