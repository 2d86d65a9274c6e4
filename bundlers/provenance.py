"""Put components: build, store the tree, sign its provenance, record it in the ledger.

One put of several components is one signed statement and one `component` entry; the release
takes what the ledger says, never a glob.

    report = put_components(store, ledger, config, ["core-bin"], version="1.4.0", signer=ci, root=".", now=now)
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from attest import identities, statements
from attest.digests import Digest
from attest.errors import CasstoreError
from attest.predicates import slsa_provenance
from attest.predicates.slsa_provenance import Dependency, Provenance
from attest.signers import Signer
from casstore import runner
from casstore.config import Component, Config
from casstore.errors import Conflict, NoSuchObject
from casstore.ingest import IngestReport
from casstore.ledger.commit import commit
from casstore.ledger.entries import Entry, EntryKind
from casstore.ledger.log import Ledger
from casstore.ledger.state import replay
from casstore.progress import NullProgress, Progress
from casstore.promotion.services import keep, require_role
from casstore.release_objects import check_version
from casstore.runner import CommandResult
from casstore.store import Store

PUT = "https://casstore.dev/put/v1"
"""buildType of a component's provenance (docs/formats/predicates/build-types.md)."""
BUNDLE = "https://casstore.dev/bundle/v1"
"""buildType of an archive's provenance."""


class BuildFailed(CasstoreError):
    """A component's build command failed; nothing was stored."""


@dataclass(frozen=True, slots=True)
class PutComponent:
    """One component that was put."""

    name: str
    report: IngestReport
    build: CommandResult | None = None

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
    entry: Entry

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "version": self.version,
            "components": [item.to_json() for item in self.components],
            "statement": self.statement,
            "entry": self.entry.number,
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
) -> PutReport:
    """Put components of one version.

    Raises NoSuchObject for an unknown component or one without files, PolicyDenied when the signer
    is no builder, Conflict when the version is released already.
    """
    check_version(version)
    unknown = [name for name in names if name not in config.components]
    if unknown:
        raise NoSuchObject(
            f"{config.path}: no component {unknown[0]!r}", hint=f"known: {', '.join(config.components) or 'none'}"
        )
    state = replay(ledger, store)
    require_role(state, signer, frozenset({"builder"}), now)
    if version in state.versions:
        raise Conflict(f"version {version} is released already, its components are closed", hint="put a new version")
    put = tuple(_put(store, name, config.components[name], root, progress or NullProgress()) for name in names)
    raw = signer.sign_statement(_statement(put, version, config, signer.identity, now))
    statement = keep(store, [raw])[0]
    entry, _ = commit(ledger, store, state, EntryKind.COMPONENT, statement, now=now)
    return PutReport(version, put, statement, entry)


def builder_id(identity: str) -> str:
    """The `runDetails.builder.id` of who signs: a URI that names the identity."""
    return f"urn:casstore:builder:{identity}" if identities.is_key(identity) else identity


def _put(store: Store, name: str, component: Component, root: str, progress: Progress) -> PutComponent:
    folder = os.path.join(root, component.root)
    result = _build(name, component, root) if component.build else None
    report = store.put_tree(folder, include=component.include, exclude=component.exclude, progress=progress)
    if not report.files:
        raise NoSuchObject(
            f"component {name}: no file in {folder} matches its globs", hint=f"include = {component.include!r}"
        )
    return PutComponent(name, report, result)


def _build(name: str, component: Component, root: str) -> CommandResult:
    result = runner.run(component.build, cwd=root, timeout=component.build_timeout)
    if not result.ok:
        tail = " ".join((result.stderr or result.stdout)[-300:].decode("utf-8", "backslashreplace").split())
        how = "did not end in time" if result.timed_out else f"ended with exit code {result.exit_code}"
        raise BuildFailed(
            f"component {name}: its build {how}" + (f": {tail}" if tail else ""), hint=" ".join(component.build)
        )
    return result


def _statement(put: Sequence[PutComponent], version: str, config: Config, identity: str, now: datetime) -> bytes:
    trees = {item.name: item.report.tree for item in put}
    provenance = Provenance(
        build_type=PUT,
        external_parameters={
            "releaseVersion": version,
            "components": {item.name: _parameters(config.components[item.name]) for item in put},
        },
        internal_parameters=_measured(put),
        builder_id=builder_id(identity),
        dependencies=(Dependency("casstore.toml", config.digest),),
        finished_on=now,
    )
    return statements.of_digests(trees, slsa_provenance.TYPE, provenance.to_json()).to_bytes()


def _parameters(component: Component) -> dict[str, Any]:
    return {
        "include": component.include,
        "exclude": component.exclude,
        "root": component.root,
        "build": component.build,
    }


def _measured(put: Sequence[PutComponent]) -> Mapping[str, Any]:
    return {"builds": {item.name: item.build.to_json() for item in put if item.build}}


def archive_provenance(
    archive: tuple[str, Digest],
    *,
    product: str,
    version: str,
    archive_format: str,
    epoch: int,
    manifest: Digest,
    config: Digest,
    trees: Mapping[str, Digest],
    identity: str,
    now: datetime,
) -> bytes:
    """The statement that an archive was bundled from these trees and this ProductManifest."""
    provenance = Provenance(
        build_type=BUNDLE,
        external_parameters={"product": product, "version": version, "format": archive_format, "epoch": epoch},
        builder_id=builder_id(identity),
        dependencies=(
            Dependency("product-manifest", manifest),
            Dependency("casstore.toml", config),
            *(Dependency(f"component/{name}", tree) for name, tree in sorted(trees.items())),
        ),
        finished_on=now,
    )
    return statements.of_digests(dict([archive]), slsa_provenance.TYPE, provenance.to_json()).to_bytes()
