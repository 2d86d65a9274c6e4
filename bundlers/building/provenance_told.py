"""What a component's provenance says for people: who built it, and from which commit.

builder(predicate), commit(predicate)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def builder(predicate: Mapping[str, Any]) -> str:
    """`runDetails.builder.id`; empty where there is none."""
    details = predicate.get("runDetails")
    found = details.get("builder") if isinstance(details, Mapping) else None
    return str(found.get("id", "")) if isinstance(found, Mapping) else ""


def commit(predicate: Mapping[str, Any]) -> str:
    """As `repository@ref commit`; empty where the provenance names none."""
    rows = [row for row in _needed(predicate) if "gitCommit" in (row.get("digest") or {})]
    return ", ".join(f"{row.get('uri', '')} {row['digest']['gitCommit']}" for row in rows)


def inputs(predicate: Mapping[str, Any]) -> int:
    """How many other things it was made from."""
    return sum("gitCommit" not in (row.get("digest") or {}) for row in _needed(predicate))


def _needed(predicate: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    definition = predicate.get("buildDefinition")
    rows = definition.get("resolvedDependencies") if isinstance(definition, Mapping) else None
    return [row for row in rows if isinstance(row, Mapping)] if isinstance(rows, list) else []
