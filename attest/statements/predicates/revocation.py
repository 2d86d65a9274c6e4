"""Revocation: an artifact, attestation or identity that counts no more
(docs/formats/predicates/revocation.md). The one subject is what is revoked."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from attest.core import times
from attest.core.fields import Fields
from attest.errors import FormatError
from attest.statements.predicates import OWN

TYPE = OWN.format("revocation")

KINDS = ("artifact", "attestation", "identity")


@dataclass(frozen=True, slots=True)
class Revocation:
    """Why, and since when."""

    kind: str
    reason: str
    time: datetime

    def to_json(self) -> dict[str, Any]:
        """The predicate."""
        return {"kind": self.kind, "reason": self.reason, "time": times.format(self.time)}


def parse(value: object) -> Revocation:
    """The predicate's JSON to value. Raises FormatError."""
    f = Fields(value, "revocation", required=("kind", "reason", "time"))
    if f.text("kind") not in KINDS:
        raise FormatError(f"revocation: kind is not one of {', '.join(KINDS)}")
    return Revocation(f.text("kind"), f.text("reason"), f.time("time"))
