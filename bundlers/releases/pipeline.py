"""The order of a release; what each step does is left to its module."""

from __future__ import annotations

from collections.abc import Mapping

from attest.digests import Digest, sha256
from attest.statements.predicates import slsa_provenance
from bundlers import blockers
from bundlers.gates import StagedArchive
from bundlers.products.product_manifests import ProductManifest
from bundlers.products.release_papers import manifest_name
from bundlers.releases import bundling, checks, signing, staging
from bundlers.releases import plan as plans
from bundlers.releases.checks import InputsChecked
from bundlers.releases.plan import Plan
from bundlers.releases.reports import ReleaseReport, ReleaseRequest, Would
from bundlers.releases.signing import Signed
from bundlers.releases.staging import Quarantine
from casstore.errors import Conflict, ObjectDamaged, UnsupportedInput
from casstore.ingest import IngestOptions
from casstore.ledger import release_objects
from casstore.ledger.commit import commit
from casstore.ledger.entries import EntryKind
from casstore.ledger.folding import replay
from casstore.ledger.release_objects import Release, check_version
from casstore.ledger.states.state import LedgerState
from casstore.promotion.services import require_role
from casstore.store import attestations
from casstore.store.store import Store

_BUILDER = frozenset({"builder"})


def release(request: ReleaseRequest) -> ReleaseReport:
    """Make one version of all products visible.

    Raises GateFailed (exit 10), CrossProductLeak (11), Conflict (9) when the version is another
    release's, NoSuchObject (8) for a component that was not put, PolicyDenied (4) when the signer is
    no builder or a component is revoked. Nothing is visible then.
    """
    check_version(request.version)
    state = replay(request.ledger, request.store)
    require_role(state, request.signer, _BUILDER, request.now)
    asked = (request.version, request.epoch, request.components, request.source, request.times)
    plan = plans.make(request.store, state, request.config, *asked)
    if request.strict and plan.dropped:
        product, paths = next(iter(plan.dropped.items()))
        raise UnsupportedInput(
            f"product {product}: {len(paths)} empty folders are in no archive: {', '.join(paths[:3])}",
            hint='keep them: folders = { "**" = "0755" } under the component in casstore.toml, or exclude them',
        )
    if request.version in state.versions:
        return _again(request, state, plan)
    staging.check_free(request.out)
    checked = checks.inputs(request, state, plan)
    with Quarantine(request.out) as quarantine:
        return _stage(request, state, plan, checked, quarantine)


def _stage(
    request: ReleaseRequest, state: LedgerState, plan: Plan, checked: InputsChecked, quarantine: Quarantine
) -> ReleaseReport:
    archives = bundling.archives(request, plan, quarantine)
    outcomes = (*checked.outcomes, *checks.staged(request, plan, archives))
    signed = signing.sign(request, plan, archives, outcomes, checked.isolation)
    config = _config_bytes(request)
    would = _would(state, plan, signed, archives, config) if request.dry_run else None
    number = None
    if would is None:
        with request.store.gathering():
            there = _put(request, plan, signed, config, archives, quarantine)
        papers = {name: digest for name, digest in _papers(signed).items() if name not in there}
        staging.write_papers(quarantine, request.store, papers)
        try:
            entry, _ = commit(
                request.ledger, request.store, state, EntryKind.RELEASE, sha256(signed.statement), now=request.now
            )
        except Conflict:
            return _lost(request, plan)
        number = entry.number
        quarantine.keep()
    if request.blockers:
        blockers.save(request.blockers, request.version, ())
    return ReleaseReport(
        request.version,
        None if would else signed.made.digest,
        number,
        plan.epoch,
        plan.trees,
        archives,
        outcomes,
        checked.isolation,
        None if would else quarantine.out,
        () if would else signed.made.evidence,
        would,
        plan.dropped,
        plan.taken,
    )


def _put(
    request: ReleaseRequest,
    plan: Plan,
    signed: Signed,
    config: bytes,
    archives: tuple[StagedArchive, ...],
    quarantine: Quarantine,
) -> Mapping[str, Digest]:
    """Archives and ProductManifests first, then everything that speaks of them; in one pack, unless one is large.

    Returns the files that were put.
    """
    made = {archive.name: archive.digest for archive in archives if not archive.kept}
    for key, manifest in _new(plan).items():
        quarantine.write(manifest_name(key), manifest.pieces())
        made[manifest_name(key)] = manifest.digest
    stored: dict[str, Digest] = {}
    if made:
        names = [name.encode() for name in sorted(made)]
        report = request.store.put_paths(quarantine.folder, names, options=IngestOptions(stat_cache=False))
        stored = {entry.name.decode(): entry.content for entry in request.store.tree(report.tree).entries}
    if stored != made:
        raise ObjectDamaged(
            f"{quarantine.folder}: an archive changed between its check and its put", hint="run the release again"
        )
    request.store.put_many(signed.objects(config))
    return made


def _new(plan: Plan) -> dict[str, ProductManifest]:
    """Of the builds that are made now."""
    return {key: manifest for key, manifest in plan.manifests.items() if key not in plan.kept}


def _would(state: LedgerState, plan: Plan, signed: Signed, archives: tuple[StagedArchive, ...], config: bytes) -> Would:
    objects = signed.objects(config)
    made = [archive for archive in archives if not archive.kept]
    new = _new(plan).values()
    size = sum(len(item.data) for item in objects) + sum(archive.size for archive in made)
    size += sum(len(piece) for manifest in new for piece in manifest.pieces())
    files = sorted([*(archive.name for archive in archives), *_papers(signed)])
    return Would(state.count, len(objects) + len(new) + len(made), size, tuple(files))


def _config_bytes(request: ReleaseRequest) -> bytes:
    """The casstore.toml that was read, if it still has those bytes."""
    with open(request.config.path, "rb") as file:
        data = file.read()
    if sha256(data) != request.config.digest:
        raise Conflict(f"{request.config.path}: changed while the release ran", hint="run it again")
    return data


def _lost(request: ReleaseRequest, plan: Plan) -> ReleaseReport:
    """Somebody else was faster. Raises Conflict, unless it was with the same release."""
    state = replay(request.ledger, request.store)
    if request.version not in state.versions:
        raise Conflict(
            f"version {request.version}: the ledger refused it", hint="look at what changed: casstore ledger log"
        )
    return _again(request, state, plan)


def _again(request: ReleaseRequest, state: LedgerState, plan: Plan) -> ReleaseReport:
    """The version is in the ledger: the same inputs give the output folder again, others are refused."""
    info = state.releases[state.versions[request.version]]
    made = release_objects.parse(request.store.read(info.digest))
    manifests = {key: row.product_manifest for key, row in made.builds.items()}
    if manifests != {key: manifest.digest for key, manifest in plan.manifests.items()}:
        raise Conflict(
            f"version {request.version} is taken by {info.digest}, made of other files",
            hint="release under a new version",
        )
    if request.out and not request.dry_run:
        provenance = _provenance_of(request.store, made)
        staging.restore(
            request.store, {**made.archives, **staging.papers(made, info.statement, provenance)}, request.out
        )
    archives = tuple(
        StagedArchive(row.archive.name, "", row.archive.digest, row.archive.size, plan.manifests[key])
        for key, row in made.builds.items()
    )
    return ReleaseReport(
        request.version,
        info.digest,
        info.number,
        made.epoch,
        made.components,
        archives,
        (),
        None,
        request.out,
        made.evidence,
        Would(state.count, 0, 0, ()) if request.dry_run else None,
        plan.dropped,
        made.taken,
        again=True,
    )


def _papers(signed: Signed) -> dict[str, Digest]:
    """File name -> object, beside the archives."""
    made = {name: sha256(raw) for name, raw in signed.provenance.items()}
    return staging.papers(signed.made, sha256(signed.statement), {**made, **signed.kept})


def _provenance_of(store: Store, made: Release) -> dict[str, Digest]:
    """Archive name -> its provenance in the release's closed list."""
    found = {}
    for name, digest in made.archives.items():
        for item in attestations.find(store, digest, slsa_provenance.TYPE):
            if item.digest in made.evidence:
                found[name] = item.digest
    return found
