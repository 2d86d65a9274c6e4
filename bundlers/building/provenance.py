"""Put components: build, store the tree, sign its provenance, record it in the ledger.

One put of several components is one signed statement and one `component` entry; the release
takes what the ledger says, never a glob.

    report = put_components(store, ledger, config, ["core-bin"], version="1.4.0", signer=ci, root=".", now=now)
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from datetime import datetime
from difflib import get_close_matches
from functools import cache
from typing import Any

from attest import digests
from attest.core.values import dataclass
from attest.digests import Digest
from attest.errors import BadInput, CasstoreError
from attest.signers import Signer
from attest.statements import statements
from attest.statements.predicates import slsa_provenance
from attest.statements.predicates.slsa_provenance import Dependency, GitRevision, Provenance
from attest.trust import origins
from attest.trust.verify import verify
from bundlers.building import build_inputs, ci_systems, put_times
from bundlers.building.build_inputs import BuildInputs
from bundlers.building.building import Build, BuildChangedInputs, build
from bundlers.building.ci_systems import Run
from bundlers.building.put_times import Times
from casstore.config import Component, Config
from casstore.errors import Conflict, GivenUp, NoSuchObject
from casstore.ingest import IngestReport
from casstore.ingest.losses import require_none
from casstore.ingest.reports import IngestOptions
from casstore.ledger.book.log import Ledger
from casstore.ledger.commit import commit
from casstore.ledger.entries import Entry, EntryKind
from casstore.ledger.folding import replay
from casstore.ledger.release_objects import check_version
from casstore.ledger.rules import Reader
from casstore.ledger.states.state import LedgerState
from casstore.machine import runner
from casstore.machine.progress import NullProgress, Progress
from casstore.objects.tree import TreeEntry
from casstore.promotion.services import check_contents, keep, require_role
from casstore.store.attestations import parse_unverified
from casstore.store.parents_index import ParentsIndex
from casstore.store.store import Store

INPUTS = slsa_provenance.INPUTS
BUNDLE = slsa_provenance.BUNDLE
"""buildType of an archive's provenance."""


_GIT_SECONDS = 60.0
_TRIES = 20
"""How often bytes are stored again when collections of garbage take them before their entry."""
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


@dataclass(frozen=True, slots=True)
class PutComponent:
    """One component that was put."""

    name: str
    report: IngestReport
    build: Build | None = None
    inputs: BuildInputs | None = None
    """What it is built from, of its build or as it says without one."""
    sources: Digest | None = None
    """The inputs as a tree."""

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        value = {"component": self.name, **self.report.to_json()}
        return {**value, "build": self.build.to_json()} if self.build else value


@dataclass(frozen=True, slots=True)
class PutReport:
    """What one put recorded."""

    version: str
    components: tuple[PutComponent, ...]
    statement: Digest
    entry: Entry | None
    """None: the ledger names the same trees by the same builder already."""
    replaced: tuple[str, ...] = ()
    """Components that had other bytes in this version."""

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "version": self.version,
            "components": [item.to_json() for item in self.components],
            "statement": self.statement,
            "entry": self.entry.number if self.entry else None,
            "replaced": list(self.replaced),
        }


def put_components(
    store: Store,
    ledger: Ledger,
    config: Config,
    names: Sequence[str],
    *,
    version: str,
    signer: Signer,
    root: str,
    now: datetime,
    progress: Progress | None = None,
    reread: bool = False,
    replace: bool = False,
    strict: bool = False,
    builds: Mapping[str, Build] | None = None,
    held: ExitStack | None = None,
) -> PutReport:
    """Put components of one version, relative to `root`; nothing is recorded unless all of them can be.

    Raises NoSuchObject for an unknown component or one without files, BuildFailed, BuildChangedInputs,
    PolicyDenied when the signer is no builder, Conflict when the version is released already, or when a component
    of it has other bytes and `replace` is not set, UnsupportedInput when `strict` and something of a file is not
    kept. The same trees again are told, and nothing is recorded twice. `builds`: what was built a moment ago, which
    is not built again; what builds lie in goes away with `held`.
    """
    check_version(version)
    wanted = known_components(config, names)
    state = replay(ledger, store)
    require_role(state, signer, frozenset({"builder"}), now)
    with store.gathering(), ExitStack() as own:
        job = _Job(store, config, root, version, progress or NullProgress(), reread, builds or {}, held or own)
        return _put(job, ledger, state, wanted, signer, now, replace=replace, strict=strict)


def _put(
    job: _Job,
    ledger: Ledger,
    state: LedgerState,
    wanted: Sequence[str],
    signer: Signer,
    now: datetime,
    *,
    replace: bool,
    strict: bool,
) -> PutReport:
    store, config, version = job.store, job.config, job.version
    put = tuple(job.put(name) for name in wanted)
    for one in put if strict else ():
        require_none(one.report.losses, f"component {one.name}")
    check_contents(store, state, {one.name: one.report.tree for one in put})
    with ParentsIndex.beside(store) as index, suppress(NoSuchObject):  # taken by a collection: `commit` notices
        index.take(store, [one.report.tree for one in put])
    again = version in state.versions or not any(component.build for component in put)  # a build is recorded anew
    if again and (same := _put_before(store, state, version, put, signer.identity)) is not None:
        return PutReport(version, put, same, None)
    if version in state.versions:
        raise Conflict(f"version {version} is released already, its components are closed", hint="put a new version")
    other = tuple(c.name for c in put if state.components.get((version, c.name), c.report.tree) != c.report.tree)
    if other and not replace:
        raise Conflict(
            f"component {other[0]} of version {version} was put with other bytes before",
            hint="put a new version; to take these instead, on purpose: --replace",
        )
    for _ in range(_TRIES):
        times = _times(store, state, put, now)
        raw = signer.sign_statement(
            _statement(put, version, config, revision_of(job.root), signer.identity, now, times)
        )
        statement = keep(store, [raw])[0]
        try:
            entry, _ = commit(ledger, store, state, EntryKind.COMPONENT, statement, now=now)
        except GivenUp:  # a collection of garbage came between
            put = tuple(job.store_again(one) for one in put)
        else:
            return PutReport(version, put, statement, entry, other)
    raise GivenUp(statement)


def _times(store: Store, state: LedgerState, put: Sequence[PutComponent], now: datetime) -> dict[str, Times]:
    trees = {item.name: item.report.tree for item in put}

    @cache  # one statement speaks of many components
    def predicate_of(statement: Digest) -> Mapping[str, Any]:
        return parse_unverified(store.read(statement)).predicate

    return put_times.for_put(state, predicate_of, trees, now, os.environ.get("SOURCE_DATE_EPOCH"))


def _put_before(
    store: Store, state: LedgerState, version: str, put: Sequence[PutComponent], identity: str
) -> Digest | None:
    """A provenance of them, when the version has all these trees by this very builder: a CI job runs again."""
    if any(state.components.get((version, c.name)) != c.report.tree for c in put):
        return None
    named = {state.component_statements[version, c.name] for c in put}
    for digest in named:
        raw = store.read(digest)
        record = state.recorded[digest]
        claimed = parse_unverified(raw)
        sigstore = Reader(store).sigstore_roots(record.trust_root).of(record.trust_root)
        found = verify(
            raw,
            trust_root=record.trust_root,
            predicate_type=claimed.predicate_type,
            subjects=claimed.digests,
            at=record.at,
            sigstore_root=sigstore,
        )
        if found.identity != identity:
            return None
    return min(named)


def builder_id(identity: str, run: Run | None = None) -> str:
    """The `runDetails.builder.id`: the CI system's workflow, else a URI that names the identity that signs."""
    if run is not None:
        return run.builder
    return origins.own_builder(identity)


def known_components(config: Config, names: Sequence[str]) -> tuple[str, ...]:
    """The names, each once. Raises NoSuchObject for an unknown one, BadInput for none."""
    for name in names:
        if name not in config.components:
            near = get_close_matches(name, config.components, n=1)
            meant = f", did you mean {near[0]!r}?" if near else ""
            known = ", ".join(config.components) or "none"
            raise NoSuchObject(f"{config.path}: no component {name!r}{meant}", hint=f"known: {known}")
    if not names:
        raise BadInput("no component is named", hint="name one of [components.NAME] in casstore.toml")
    return tuple(dict.fromkeys(names))


@dataclass(frozen=True, slots=True)
class _Job:
    """One put, component by component."""

    store: Store
    config: Config
    root: str
    version: str
    progress: Progress
    reread: bool
    builds: Mapping[str, Build]
    """What was built already."""
    held: ExitStack
    """What outputs lie in goes away with it."""

    def put(self, name: str) -> PutComponent:
        component = self.config.components[name]
        if name in self.builds:
            return self._store(name, self.builds[name])
        built = None
        if component.build:
            built = build(self.config, name, version=self.version, root=self.root, held=self.held)
        return self._store(name, built)

    def store_again(self, put: PutComponent) -> PutComponent:
        """What was built before, as it lies there now."""
        return self._store(put.name, put.build)

    def _store(self, name: str, built: Build | None) -> PutComponent:
        component = self.config.components[name]
        sealed = built.root if built else ""
        folder = os.path.join(sealed or self.root, component.root)
        inputs, sources = built.inputs if built else self._declared(name), None
        if inputs:
            self.store.put_bytes(inputs.listing)
            sources = keep_inputs(self.store, self.root, inputs)
            built = replace(built, sources=sources) if built else None
        report = self.store.put_tree(
            folder,
            include=component.include,
            exclude=component.exclude,
            progress=self.progress,
            options=IngestOptions(stat_cache=not (self.reread or sealed)),
        )
        if not report.files:
            raise NoSuchObject(
                f"component {name}: no file in {folder} matches its globs", hint=f"include = {component.include!r}"
            )
        return PutComponent(name, report, built, inputs, sources)

    def _declared(self, name: str) -> BuildInputs | None:
        """The inputs that a component without a build names: they are its product's all the same."""
        if not self.config.components[name].inputs:
            return None
        return build_inputs.record(build_inputs.select(self.config, name, self.root), self.root)


def keep_inputs(store: Store, root: str, inputs: BuildInputs) -> Digest:
    """The inputs as a tree, for who builds it again. Raises BuildChangedInputs when they are others by now."""
    tree = store.put_paths(root, list(inputs.files)).tree
    kept = {path: _hex(entry) for path, entry in store.walk(tree) if entry.kind != "dir"}
    for path, value in inputs.files.items():
        if kept.get(path) != value:
            raise BuildChangedInputs(f"{os.fsdecode(path)}: an input was changed while it was put")
    return tree


def _hex(entry: TreeEntry) -> str:
    """As the list of inputs has it: of a link the digest of its text."""
    return digests.hex_of(digests.sha256(entry.target) if entry.kind == "link" else entry.content)


@dataclass(frozen=True, slots=True)
class Revision:
    """What Git says of the folder: the commit, its tags, and whether files differ from it."""

    commit: str
    tags: tuple[str, ...]
    dirty: bool

    def to_json(self) -> dict[str, Any]:
        """For the provenance."""
        return {"commit": self.commit, "tags": list(self.tags), "dirty": self.dirty}


def revision_of(folder: str) -> Revision | None:
    """The Git revision of a folder, or None where Git knows none."""
    try:
        head = runner.run(["git", "rev-parse", "HEAD"], cwd=folder, timeout=_GIT_SECONDS)
        status = runner.run(["git", "status", "--porcelain", "-uno"], cwd=folder, timeout=_GIT_SECONDS)
        tags = runner.run(["git", "tag", "--points-at", "HEAD"], cwd=folder, timeout=_GIT_SECONDS)
    except CasstoreError:  # no git here
        return None
    commit = head.stdout.decode("ascii", "replace").strip()
    if not head.ok or not status.ok or not _COMMIT.fullmatch(commit):
        return None
    names = tags.stdout.decode("utf-8", "replace").split() if tags.ok else []
    return Revision(commit, tuple(sorted(names)), bool(status.stdout.strip()))


def _statement(
    put: Sequence[PutComponent],
    version: str,
    config: Config,
    revision: Revision | None,
    identity: str,
    now: datetime,
    times: Mapping[str, Times],
) -> bytes:
    run = ci_systems.of(os.environ)
    trees = {item.name: item.report.tree for item in put}
    source = (GitRevision(run.source, run.ref, run.commit),) if run else ()
    provenance = Provenance(
        build_type=slsa_provenance.PUT,
        external_parameters={
            "releaseVersion": version,
            "components": {item.name: _parameters(config.components[item.name]) for item in put},
            **(run.parameters() if run else {}),
        },
        internal_parameters={
            **_measured(put, revision),
            **put_times.parameters(times),
            **({run.system: dict(run.details)} if run else {}),
        },
        builder_id=builder_id(identity, run),
        dependencies=(
            Dependency("casstore.toml", config.digest),
            *(Dependency(INPUTS + item.name, item.inputs.digest) for item in put if item.inputs),
            *source,
        ),
        invocation_id=run.invocation if run else "",
        finished_on=now,
    )
    return statements.of_digests(trees, slsa_provenance.TYPE, provenance.to_json()).to_bytes()


def _parameters(component: Component) -> dict[str, Any]:
    return {
        "include": component.include,
        "exclude": component.exclude,
        "root": component.root,
        "build": component.build,
        "inputs": component.inputs,
    }


def _measured(put: Sequence[PutComponent], revision: Revision | None) -> Mapping[str, Any]:
    builds = {item.name: item.build.to_json() for item in put if item.build}
    given = {item.name: item.inputs.record(item.sources) for item in put if item.inputs and not item.build}
    return {
        "builds": builds,
        **({"inputs": given} if given else {}),
        **({"revision": revision.to_json()} if revision else {}),
    }


def archive_provenance(
    archive: tuple[str, Digest],
    *,
    product: str,
    build: str,
    version: str,
    archive_format: str,
    layout: Mapping[str, Any],
    times: Mapping[str, int],
    manifest: Digest,
    config: Digest,
    trees: Mapping[str, Digest],
    identity: str,
    now: datetime,
) -> bytes:
    """The statement that an archive was bundled from these trees and this ProductManifest."""
    run = ci_systems.of(os.environ)
    provenance = Provenance(
        build_type=BUNDLE,
        external_parameters={
            "product": product,
            "build": build,
            "version": version,
            "format": archive_format,
            "layout": dict(layout),
            "times": dict(times),
        },
        builder_id=builder_id(identity, run),
        invocation_id=run.invocation if run else "",
        dependencies=(
            Dependency("product-manifest", manifest),
            Dependency("casstore.toml", config),
            *(Dependency(f"component/{name}", tree) for name, tree in sorted(trees.items())),
        ),
        finished_on=now,
    )
    return statements.of_digests(dict([archive]), slsa_provenance.TYPE, provenance.to_json()).to_bytes()
