"""SLSA provenance v1: how something was built, from what, by whom. v0.2, which most had published, is read too.

Source: https://slsa.dev/spec/v1.0/provenance . Foreign fields pass through.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from datetime import datetime
from typing import Any

from attest.core import times
from attest.core.values import dataclass
from attest.digests import Digest, from_hex, hex_of, is_digest
from attest.errors import FormatError

TYPE = "https://slsa.dev/provenance/v1"
TYPE_V02 = "https://slsa.dev/provenance/v0.2"
"""Read, never written: https://slsa.dev/spec/v0.2/provenance ."""

PUT = "https://casstore.dev/put/v1"
"""Our buildType of components."""

VOUCH = "https://casstore.dev/vouch/v1"
"""Our buildType of components that were put before, by somebody else."""

BUNDLE = "https://casstore.dev/bundle/v1"
"""Our buildType of an archive."""

INPUTS = "inputs/"
"""How the names of its dependencies begin that are lists of what a component was built from."""

COMPONENT = "component/"
"""How the names of its dependencies begin that are components' trees."""


@dataclass(frozen=True, slots=True)
class Dependency:
    """A resolved dependency: what it is called, where it is, its sha256."""

    name: str
    digest: Digest
    uri: str = ""

    def to_json(self) -> dict[str, Any]:
        """SLSA's ResourceDescriptor."""
        value: dict[str, Any] = {"name": self.name, "digest": {"sha256": hex_of(self.digest)}}
        return {**value, "uri": self.uri} if self.uri else value


@dataclass(frozen=True, slots=True)
class GitRevision:
    """A source as a resolved dependency: repository, ref, full commit."""

    repository: str
    ref: str
    commit: str

    def to_json(self) -> dict[str, Any]:
        """SLSA's ResourceDescriptor."""
        return {"uri": f"git+{self.repository}@{self.ref}", "digest": {"gitCommit": self.commit}}


@dataclass(frozen=True, slots=True)
class Provenance:
    """The parts of SLSA provenance that we write."""

    build_type: str
    external_parameters: Mapping[str, Any]
    builder_id: str
    internal_parameters: Mapping[str, Any] = field(default_factory=dict)
    dependencies: Sequence[Dependency | GitRevision] = ()
    invocation_id: str = ""
    started_on: datetime | None = None
    finished_on: datetime | None = None
    byproducts: Sequence[Dependency] = ()

    def to_json(self) -> dict[str, Any]:
        """The predicate."""
        definition: dict[str, Any] = {
            "buildType": self.build_type,
            "externalParameters": dict(self.external_parameters),
            "resolvedDependencies": [item.to_json() for item in self.dependencies],
        }
        if self.internal_parameters:
            definition["internalParameters"] = dict(self.internal_parameters)
        details: dict[str, Any] = {"builder": {"id": self.builder_id}}
        if metadata := self._metadata():
            details["metadata"] = metadata
        if self.byproducts:
            details["byproducts"] = [item.to_json() for item in self.byproducts]
        return {"buildDefinition": definition, "runDetails": details}

    def _metadata(self) -> dict[str, str]:
        return {
            **({"invocationId": self.invocation_id} if self.invocation_id else {}),
            **({"startedOn": times.format(self.started_on)} if self.started_on else {}),
            **({"finishedOn": times.format(self.finished_on)} if self.finished_on else {}),
        }


def builder_of(predicate: Mapping[str, Any]) -> str:
    """`runDetails.builder.id` of any SLSA provenance v1, `builder.id` of v0.2. Raises FormatError."""
    details = predicate if _is_v02(predicate) else predicate.get("runDetails")
    builder = details.get("builder") if isinstance(details, Mapping) else None
    found = builder.get("id") if isinstance(builder, Mapping) else None
    if not isinstance(found, str) or not found:
        raise FormatError("SLSA provenance: runDetails.builder.id is missing")
    return found


def _is_v02(predicate: Mapping[str, Any]) -> bool:
    """By its fields: nothing of v1 stands there."""
    return "builder" in predicate and not {"buildDefinition", "runDetails"} & predicate.keys()


def sources_of(predicate: Mapping[str, Any]) -> tuple[str, ...]:
    """The git sources that any SLSA provenance names, without `git+`, with their refs where it says them; sorted.

    They stand in `resolvedDependencies` (URIs that begin with `git+`), and in the external
    parameters `source` (ours and GitLab's) and `workflow.repository` (GitHub's); in v0.2 in `materials` and
    `invocation.configSource`.
    """
    if _is_v02(predicate):
        invocation, rows = predicate.get("invocation"), predicate.get("materials")
        parameters = {"source": invocation.get("configSource")} if isinstance(invocation, Mapping) else None
    else:
        definition = predicate.get("buildDefinition")
        if not isinstance(definition, Mapping):
            return ()
        parameters, rows = definition.get("externalParameters"), definition.get("resolvedDependencies")
    named = [row.get("uri") for row in rows if isinstance(row, Mapping)] if isinstance(rows, list) else []
    uris = [uri for uri in named if isinstance(uri, str) and uri.startswith("git+")]
    if isinstance(parameters, Mapping):
        uris += _named_sources(parameters)
    found = {uri.removeprefix("git+") for uri in uris}
    return tuple(sorted(uri for uri in found if not any(other.startswith(f"{uri}@") for other in found)))


def trees_of(predicate: Mapping[str, Any]) -> frozenset[Digest]:
    """The trees that an archive of ours was bundled from (docs/formats/predicates/build-types.md).

    Empty for any other build type. Raises FormatError for one that cannot be read.
    """
    definition = predicate.get("buildDefinition")
    if not isinstance(definition, Mapping) or definition.get("buildType") != BUNDLE:
        return frozenset()
    rows = definition.get("resolvedDependencies")
    return frozenset(_tree(row) for row in rows if _is_tree(row)) if isinstance(rows, list) else frozenset()


def _is_tree(row: object) -> bool:
    return isinstance(row, Mapping) and str(row.get("name")).startswith(COMPONENT)


def _tree(row: Mapping[str, Any]) -> Digest:
    found = row.get("digest")
    text = found.get("sha256") if isinstance(found, Mapping) else None
    if not is_digest(f"sha256:{text}"):
        raise FormatError(f"SLSA provenance: the dependency {str(row['name'])[:80]!r} has no sha256 digest")
    return from_hex(str(text))


def _named_sources(parameters: Mapping[str, Any]) -> list[str]:
    source, workflow = parameters.get("source"), parameters.get("workflow")
    named = [source, _at(source, "uri"), _at(workflow, "repository")]
    return [name for name in named if isinstance(name, str) and name]


def _at(value: object, key: str) -> str | None:
    """The repository under a key, with the ref beside it."""
    uri, ref = (value.get(key), value.get("ref")) if isinstance(value, Mapping) else (None, None)
    if not isinstance(uri, str) or not uri:
        return None
    return f"{uri}@{ref}" if isinstance(ref, str) and ref and "@" not in uri.rpartition("/")[2] else uri


def check(predicate: Mapping[str, Any]) -> None:
    """Whether it has what SLSA requires. Raises FormatError."""
    if _is_v02(predicate) and isinstance(predicate.get("buildType"), str):
        builder_of(predicate)
        return
    definition = predicate.get("buildDefinition")
    if not isinstance(definition, Mapping) or not isinstance(definition.get("buildType"), str):
        raise FormatError("SLSA provenance: buildDefinition.buildType is missing")
    if not isinstance(definition.get("externalParameters"), Mapping):
        raise FormatError("SLSA provenance: buildDefinition.externalParameters is missing")
    builder_of(predicate)
