"""OpenVEX: which vulnerabilities do, or do not, affect a product.

Source: https://github.com/openvex/spec/blob/main/OPENVEX-SPEC.md . As an in-toto predicate the
document is the predicate; its products are among the statement's subjects. Documents of all versions are read
(0.0.x wrote products and vulnerabilities as plain texts). Foreign fields pass through. What they add up to over
an artifact: `attest.judging.vex`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from attest.core import times
from attest.core.values import dataclass
from attest.digests import Digest, from_hex, is_digest
from attest.errors import FormatError

TYPE = "https://openvex.dev/ns"
CONTEXT = "https://openvex.dev/ns/v0.2.0"

STATUSES = ("not_affected", "affected", "fixed", "under_investigation")
HARMLESS = frozenset({"not_affected", "fixed"})


@dataclass(frozen=True, slots=True)
class VexProduct:
    """A product as a statement names it: by its ids (purl, CPE, any IRI), and by digests where it has some."""

    ids: tuple[str, ...]
    digests: frozenset[Digest] = frozenset()


@dataclass(frozen=True, slots=True)
class VexStatement:
    """What is said of one vulnerability."""

    vulnerability: str
    status: str
    products: Sequence[VexProduct] = ()
    """None: all subjects of the statement."""
    justification: str = ""
    impact: str = ""
    action: str = ""
    aliases: tuple[str, ...] = ()
    """Other names of the vulnerability."""
    time: datetime | None = None
    """When it was said last, or the document was; None where nothing readable stands there."""

    @property
    def names(self) -> frozenset[str]:
        """All names of the vulnerability."""
        return frozenset({self.vulnerability, *self.aliases})

    def to_json(self) -> dict[str, Any]:
        """A row of `statements`."""
        return {
            "vulnerability": {
                "name": self.vulnerability,
                **({"aliases": list(self.aliases)} if self.aliases else {}),
            },
            "status": self.status,
            **({"products": [{"@id": item.ids[0]} for item in self.products if item.ids]} if self.products else {}),
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
    told = _time(predicate.get("last_updated")) or _time(predicate.get("timestamp"))
    return tuple(_statement(row, told) for row in rows)


def check(predicate: Mapping[str, Any]) -> None:
    """Whether its statements can be read. Raises FormatError."""
    statements_of(predicate)


def _statement(row: object, told: datetime | None) -> VexStatement:
    if not isinstance(row, Mapping) or row.get("status") not in STATUSES:
        raise FormatError(f"OpenVEX: a statement whose status is none of {', '.join(STATUSES)}")
    named = row.get("vulnerability")
    inner: Mapping[str, Any] = named if isinstance(named, Mapping) else {"name": named}
    name, aliases = inner.get("name") or inner.get("@id"), inner.get("aliases") or []
    if not isinstance(name, str) or not name:
        raise FormatError("OpenVEX: a statement without a vulnerability's name")
    justification, impact, action = texts = [
        row.get(key) or "" for key in ("justification", "impact_statement", "action_statement")
    ]
    products = row.get("products") or []
    if not all(isinstance(text, str) for text in texts) or not isinstance(products, list):
        raise FormatError(f"OpenVEX: the statement about {name[:60]} has fields of another kind")
    if not isinstance(aliases, list) or not all(isinstance(alias, str) for alias in aliases):
        raise FormatError(f"OpenVEX: the aliases of {name[:60]} are no list of texts")
    time = _time(row.get("last_updated")) or _time(row.get("timestamp")) or told
    found = tuple(_product(item, name) for item in products)
    return VexStatement(name, str(row["status"]), found, justification, impact, action, tuple(aliases), time)


def _product(item: object, name: str) -> VexProduct:
    if isinstance(item, str):
        return VexProduct((item,))
    identifiers = item.get("identifiers") or {} if isinstance(item, Mapping) else None
    hashes = item.get("hashes") or {} if isinstance(item, Mapping) else None
    if not isinstance(item, Mapping) or not isinstance(identifiers, Mapping) or not isinstance(hashes, Mapping):
        raise FormatError(f"OpenVEX: the statement about {name[:60]} has a product that is none")
    ids = [item.get("@id"), *identifiers.values()]
    texts = [str(value) for key, value in hashes.items() if str(key).lower().replace("-", "") == "sha256"]
    digests = frozenset(from_hex(text.lower()) for text in texts if is_digest(f"sha256:{text.lower()}"))
    return VexProduct(tuple(dict.fromkeys(value for value in ids if isinstance(value, str) and value)), digests)


def _time(value: object) -> datetime | None:
    """RFC 3339 with whatever fraction and offset; None where it is none."""
    if not isinstance(value, str) or len(value) > 40:
        return None
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        return None
    return found.astimezone(UTC) if found.tzinfo is not None else None
