"""OpenVEX: which vulnerabilities do, or do not, affect a product.

Source: https://github.com/openvex/spec/blob/main/OPENVEX-SPEC.md . As an in-toto predicate the
document is the predicate and the products are the statement's subjects. Foreign fields pass through.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from attest.core import times
from attest.errors import FormatError

TYPE = "https://openvex.dev/ns"
CONTEXT = "https://openvex.dev/ns/v0.2.0"

STATUSES = ("not_affected", "affected", "fixed", "under_investigation")
JUSTIFICATIONS = (
    "component_not_present",
    "vulnerable_code_not_present",
    "vulnerable_code_not_in_execute_path",
    "vulnerable_code_cannot_be_controlled_by_adversary",
    "inline_mitigations_already_exist",
)
HARMLESS = frozenset({"not_affected", "fixed"})


@dataclass(frozen=True, slots=True)
class VexStatement:
    """What is said of one vulnerability."""

    vulnerability: str
    status: str
    products: Sequence[str] = ()
    """Product ids (purl, or sha256 digests); none: all subjects of the statement."""
    justification: str = ""
    impact: str = ""
    action: str = ""

    def to_json(self) -> dict[str, Any]:
        """A row of `statements`."""
        return {
            "vulnerability": {"name": self.vulnerability},
            "status": self.status,
            **({"products": [{"@id": name} for name in self.products]} if self.products else {}),
            **({"justification": self.justification} if self.justification else {}),
            **({"impact_statement": self.impact} if self.impact else {}),
            **({"action_statement": self.action} if self.action else {}),
        }


@dataclass(frozen=True, slots=True)
class Vex:
    """A document."""

    id: str
    author: str
    timestamp: datetime
    statements: Sequence[VexStatement]
    version: int = 1

    def to_json(self) -> dict[str, Any]:
        """The predicate."""
        return {
            "@context": CONTEXT,
            "@id": self.id,
            "author": self.author,
            "timestamp": times.format(self.timestamp),
            "version": self.version,
            "statements": [item.to_json() for item in self.statements],
        }


def statements_of(predicate: Mapping[str, Any]) -> tuple[VexStatement, ...]:
    """The statements of any OpenVEX document. Raises FormatError."""
    context = predicate.get("@context")
    rows = predicate.get("statements")
    if not isinstance(context, str) or not context.startswith(TYPE) or not isinstance(rows, list):
        raise FormatError("OpenVEX: @context or statements are missing")
    return tuple(_statement(row) for row in rows)


def harmless(predicate: Mapping[str, Any]) -> frozenset[str]:
    """The vulnerabilities that do not affect any subject: `not_affected` (for a reason) or `fixed`.

    A statement about named products is left out: which subject it means is not ours to guess; so
    is one that another statement of the document contradicts.
    """
    good, bad = set(), set()
    for item in statements_of(predicate):
        explained = item.status == "fixed" or bool(item.justification or item.impact)
        if item.status in HARMLESS and explained and not item.products:
            good.add(item.vulnerability)
        elif item.status not in HARMLESS:
            bad.add(item.vulnerability)
    return frozenset(good - bad)


def check(predicate: Mapping[str, Any]) -> None:
    """Whether its statements can be read. Raises FormatError."""
    statements_of(predicate)


def _statement(row: object) -> VexStatement:
    if not isinstance(row, Mapping) or row.get("status") not in STATUSES:
        raise FormatError(f"OpenVEX: a statement whose status is none of {', '.join(STATUSES)}")
    named = row.get("vulnerability")
    name = named.get("name") if isinstance(named, Mapping) else named
    if not isinstance(name, str) or not name:
        raise FormatError("OpenVEX: a statement without a vulnerability's name")
    texts = [row.get(key, "") for key in ("justification", "impact_statement", "action_statement")]
    products = row.get("products", [])
    if not all(isinstance(text, str) for text in texts) or not isinstance(products, list):
        raise FormatError(f"OpenVEX: the statement about {name[:60]} has fields of another kind")
    ids = tuple(str(item.get("@id", "")) if isinstance(item, Mapping) else str(item) for item in products)
    return VexStatement(name, str(row["status"]), ids, *texts)
