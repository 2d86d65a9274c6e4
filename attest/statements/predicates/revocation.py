"""Revocation: an artifact, attestation or identity that counts no more
(docs/formats/predicates/revocation.md). The one subject is what is revoked."""

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
    from_entry: int | None = None
    """Of an identity: what the ledger recorded before this entry stays good; None: nothing does."""

    def to_json(self) -> dict[str, Any]:
        """The predicate."""
        value: dict[str, Any] = {"kind": self.kind, "reason": self.reason, "time": times.format(self.time)}
        if self.from_entry is not None:
            value = {**value, "from": self.from_entry}
        return {**value, "holders": sorted(self.holders)} if self.holders else value


def parse(value: object) -> Revocation:
    """The predicate's JSON to value. Raises FormatError."""
    f = Fields(value, "revocation", required=("kind", "reason", "time"), optional=("holders", "from"))
    if f.text("kind") not in KINDS:
        raise FormatError(f"revocation: kind is not one of {', '.join(KINDS)}")
    holders = f.digests("holders") if isinstance(value, Mapping) and "holders" in value else ()
    if holders and f.text("kind") != "artifact":
        raise FormatError("revocation: only an artifact has holders")
    if f.has("from") and f.text("kind") != "identity":
        raise FormatError("revocation: only an identity counts until an entry")
    start = f.integer("from", least=1) if f.has("from") else None
    return Revocation(f.text("kind"), f.text("reason"), f.time("time"), holders, start)
