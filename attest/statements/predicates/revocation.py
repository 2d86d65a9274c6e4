"""Revocation: an artifact, attestation or identity that counts no more
(docs/formats/predicates/revocation.md). The one subject is what is revoked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from attest.core import times
from attest.core.fields import Fields
from attest.digests import Digest
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
    holders: tuple[Digest, ...] = ()
    """Of an artifact: the component trees that hold it, which count no more either."""

    def to_json(self) -> dict[str, Any]:
        """The predicate."""
        value = {"kind": self.kind, "reason": self.reason, "time": times.format(self.time)}
        return {**value, "holders": sorted(self.holders)} if self.holders else value


def parse(value: object) -> Revocation:
    """The predicate's JSON to value. Raises FormatError."""
    f = Fields(value, "revocation", required=("kind", "reason", "time"), optional=("holders",))
    if f.text("kind") not in KINDS:
        raise FormatError(f"revocation: kind is not one of {', '.join(KINDS)}")
    holders = f.digests("holders") if isinstance(value, Mapping) and "holders" in value else ()
    if holders and f.text("kind") != "artifact":
        raise FormatError("revocation: only an artifact has holders")
    return Revocation(f.text("kind"), f.text("reason"), f.time("time"), holders)
