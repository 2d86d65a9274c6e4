"""Suspension: an identity that counts for nothing for three days, by one owner or auditor
(docs/formats/predicates/suspension.md). The one subject is the identity."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from attest.core import times
from attest.core.fields import Fields
from attest.core.values import dataclass
from attest.statements.predicates import OWN

TYPE = OWN.format("suspension")
LASTS = timedelta(hours=72)


@dataclass(frozen=True, slots=True)
class Suspension:
    """Why, and since when; it lasts 72 hours."""

    reason: str
    time: datetime

    def to_json(self) -> dict[str, Any]:
        """The predicate."""
        return {"reason": self.reason, "time": times.format(self.time)}


def parse(value: object) -> Suspension:
    """The predicate's JSON to value. Raises FormatError."""
    f = Fields(value, "suspension", required=("reason", "time"))
    return Suspension(f.text("reason"), f.time("time"))
