"""What a component's provenance says for people: who built it, from which commit and from what else.

builder(predicate), commit(predicate), inputs(predicate, "core")
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attest.core.fields import Fields
from attest.core.values import dataclass
from attest.digests import Digest
from attest.errors import FormatError
from attest.statements.predicates import slsa_provenance

DEPENDENCIES = "dependencies"


@dataclass(frozen=True, slots=True)
class Inputs:
    """The files that a component was made from."""

    files: int
    by: str
    """Who named them: `globs`, `git`, `folder`; `dependencies` are those of a provenance that lists no files."""
    digest: Digest | None
    """Of their list, as `sha256sum` writes it; a store has it under this digest."""

    @property
    def told(self) -> str:
        """For people."""
        if self.by == DEPENDENCIES:
            return f"{self.files} dependencies"
        return f"{self.files} input file{'' if self.files == 1 else 's'} by {self.by} (list {self.digest})"

    def to_json(self) -> dict[str, Any]:
        """`inputs` of a component."""
        return {"files": self.files, "by": self.by, "digest": self.digest}

    @staticmethod
    def parse(value: object, what: str) -> Inputs:
        """The inverse of `to_json`. Raises FormatError."""
        f = Fields(value, what, required=("files", "by", "digest"))
        return Inputs(f.integer("files"), f.text("by"), f.optional_digest("digest"))


def inputs_told(found: Inputs | None) -> str:
    """For people; None is what nobody recorded, or told."""
    return found.told if found else "inputs unknown"


def builder(predicate: Mapping[str, Any]) -> str:
    """`runDetails.builder.id`; empty where there is none."""
    details = predicate.get("runDetails")
    found = details.get("builder") if isinstance(details, Mapping) else None
    return str(found.get("id", "")) if isinstance(found, Mapping) else ""


def commit(predicate: Mapping[str, Any]) -> str:
    """As `repository@ref commit`; empty where the provenance names none."""
    rows = [row for row in _needed(predicate) if "gitCommit" in (row.get("digest") or {})]
    return ", ".join(f"{row.get('uri', '')} {row['digest']['gitCommit']}" for row in rows)


def inputs(predicate: Mapping[str, Any], component: str) -> Inputs | None:
    """What a component was made from; None where nothing is recorded. Of provenance of other tools its dependencies."""
    definition = predicate.get("buildDefinition")
    said = _mapping(_mapping(definition).get("internalParameters"))
    given = _mapping(_mapping(said.get("inputs")).get(component))
    built = _mapping(_mapping(_mapping(said.get("builds")).get(component)).get("inputs"))
    try:
        if row := given or built:
            return Inputs.parse({name: row.get(name) for name in ("files", "by", "digest")}, "inputs")
    except FormatError:
        return None
    if _mapping(definition).get("buildType") == slsa_provenance.PUT:
        return None
    others = sum("gitCommit" not in (row.get("digest") or {}) for row in _needed(predicate))
    return Inputs(others, DEPENDENCIES, None) if others else None


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _needed(predicate: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    definition = predicate.get("buildDefinition")
    rows = definition.get("resolvedDependencies") if isinstance(definition, Mapping) else None
    return [row for row in rows if isinstance(row, Mapping)] if isinstance(rows, list) else []
