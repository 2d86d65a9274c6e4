"""Isolation: all products of a release were compared by content (docs/formats/predicates/isolation.md).

Subjects are all archives and ProductManifests of the release.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any

from attest import digests
from attest.core.fields import Fields
from attest.core.values import dataclass
from attest.digests import Digest
from attest.errors import FormatError
from attest.statements.predicates import ISOLATION

TYPE = ISOLATION

FAILS: Mapping[str, Any] = {
    "text": [1024, 4096],
    "other": [2048, 8192],
    "share": "1/4",
    "together": 65536,
    "reference": "1/4",
}
"""The table of severity: bytes in a row and altogether, for texts and others; shares; bytes that are told together."""
STRICT: Mapping[str, Any] = {
    "copies": "fail",
    "fails": FAILS,
    "maxDepth": 4,
    "maxMember": 256 << 20,
    "maxRatio": 1000,
    "maxTotal": 8 << 30,
    "minCopy": 512,
    "minEntropy": "2.5",
    "minSize": 1,
    "unopened": "report",
}
"""The parameters by default: what is looser counts only where a policy says so."""


@dataclass(frozen=True, slots=True)
class Isolation:
    """What was compared, by which parameters, and what was found."""

    products: Mapping[str, Mapping[str, Digest]]
    """Product -> build -> its ProductManifest."""
    parameters: Mapping[str, Any]
    shared: Mapping[str, str]
    """Component -> the reason why more than one product carries it."""
    findings: tuple[Mapping[str, Any], ...]
    """What stops a release."""
    reported: tuple[Mapping[str, Any], ...]
    """What is told only, and how much: a row for two products."""
    accepted: tuple[Mapping[str, Any], ...]
    """What two products may both carry since somebody accepted it."""
    compared: int
    unopened: tuple[str, ...] = field(default=())
    """Nested archives that could not be looked into, as product/path."""
    inputs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Product -> how many files, and bytes, only it is built from: they were compared like what it ships."""

    def to_json(self) -> dict[str, Any]:
        """The predicate."""
        return {
            "products": {product: dict(builds) for product, builds in self.products.items()},
            "parameters": dict(self.parameters),
            "shared": dict(self.shared),
            "findings": [dict(item) for item in self.findings],
            "reported": [dict(item) for item in self.reported],
            "accepted": [dict(item) for item in self.accepted],
            "compared": self.compared,
            "unopened": list(self.unopened),
            **({"inputs": {name: dict(row) for name, row in self.inputs.items()}} if self.inputs else {}),
        }


def parse(value: object) -> Isolation:
    """The predicate's JSON to value. Raises FormatError."""
    names = ("products", "parameters", "shared", "findings", "reported", "accepted", "compared")
    f = Fields(value, "isolation", required=names, optional=("unopened", "inputs"))
    return Isolation(
        {name: _builds(name, builds) for name, builds in f.mapping("products").items()},
        f.mapping("parameters"),
        {name: str(reason) for name, reason in f.mapping("shared").items()},
        f.objects("findings"),
        f.objects("reported"),
        f.objects("accepted"),
        f.integer("compared"),
        f.texts("unopened", ()),
        f.optional_mapping("inputs"),
    )


def _builds(product: str, value: object) -> dict[str, Digest]:
    if not isinstance(value, Mapping) or not value:
        raise FormatError(f"isolation: {product[:60]!r} has no builds")
    return {str(name): digests.parse(digest) for name, digest in value.items()}
