"""Isolation: all products of a release were compared by content (docs/formats/predicates/isolation.md).

Subjects are all archives and ProductManifests of the release.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from attest import digests
from attest.core.fields import Fields
from attest.digests import Digest
from attest.errors import FormatError
from attest.statements.predicates import OWN

TYPE = OWN.format("isolation")


@dataclass(frozen=True, slots=True)
class Isolation:
    """What was compared, by which parameters, and what was found."""

    products: Mapping[str, Digest]
    """Product -> its ProductManifest."""
    parameters: Mapping[str, Any]
    shared: Mapping[str, str]
    """Component -> the reason why more than one product carries it."""
    findings: tuple[Mapping[str, Any], ...]
    compared: int
    unopened: tuple[str, ...] = field(default=())
    """Nested archives that could not be looked into, as product/path."""

    def to_json(self) -> dict[str, Any]:
        """The predicate."""
        return {
            "products": dict(self.products),
            "parameters": dict(self.parameters),
            "shared": dict(self.shared),
            "findings": [dict(item) for item in self.findings],
            "compared": self.compared,
            "unopened": list(self.unopened),
        }


def parse(value: object) -> Isolation:
    """The predicate's JSON to value. Raises FormatError."""
    names = ("products", "parameters", "shared", "findings", "compared")
    f = Fields(value, "isolation", required=names, optional=("unopened",))
    findings = value["findings"] if isinstance(value, Mapping) else None
    if not isinstance(findings, list) or not all(isinstance(item, Mapping) for item in findings):
        raise FormatError("isolation: findings is no list of objects")
    return Isolation(
        {name: digests.parse(item) for name, item in f.mapping("products").items()},
        f.mapping("parameters"),
        {name: str(reason) for name, reason in f.mapping("shared").items()},
        tuple(findings),
        f.integer("compared"),
        f.texts("unopened", ()),
    )
