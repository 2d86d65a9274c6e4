"""Ceremony: the transcript of how a trust root came about (docs/formats/predicates/ceremony.md).

The one subject is `trust-root/<version>` with the trust root's digest.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from attest.core import times
from attest.core.fields import Fields
from attest.core.values import dataclass
from attest.digests import Digest
from attest.errors import FormatError
from attest.statements.predicates import OWN

TYPE = OWN.format("ceremony")


@dataclass(frozen=True, slots=True)
class OwnerSignature:
    """One attestation of the signed trust root."""

    identity: str
    names: tuple[str, ...]
    signature: Digest

    def to_json(self) -> dict[str, Any]:
        """A row of `signatures`."""
        return {"identity": self.identity, "names": list(self.names), "signature": self.signature}


@dataclass(frozen=True, slots=True)
class Transcript:
    """Who signed which version, and what it changed."""

    store: str
    version: int
    previous: Digest | None
    changes: tuple[str, ...]
    signatures: tuple[OwnerSignature, ...]
    finished: datetime

    def to_json(self) -> dict[str, Any]:
        """The predicate."""
        return {
            "store": self.store,
            "version": self.version,
            "previous": self.previous,
            "changes": list(self.changes),
            "signatures": [row.to_json() for row in self.signatures],
            "finished": times.format(self.finished),
        }


def parse(value: object) -> Transcript:
    """The predicate's JSON to value. Raises FormatError."""
    names = ("store", "version", "previous", "changes", "signatures", "finished")
    f = Fields(value, "ceremony", required=names)
    rows = value["signatures"] if isinstance(value, Mapping) else None
    if not isinstance(rows, list):
        raise FormatError("ceremony: signatures is no list")
    return Transcript(
        f.text("store"),
        f.integer("version", least=1),
        f.optional_digest("previous"),
        f.texts("changes"),
        tuple(_signature(item) for item in rows),
        f.time("finished"),
    )


def _signature(value: object) -> OwnerSignature:
    f = Fields(value, "ceremony: signature", required=("identity", "names", "signature"))
    return OwnerSignature(f.text("identity"), f.texts("names"), f.digest("signature"))
