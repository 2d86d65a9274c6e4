"""Rehearsal: a promotion and rollback played on a clone of the ledger
(docs/formats/predicates/rehearsal.md). The subject `release` is the one that was rolled back from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from attest import times
from attest.errors import FormatError
from attest.fields import Fields
from attest.predicates import OWN

TYPE = OWN.format("rehearsal")


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What was played, how long it took, how it ended."""

    store: str
    ledger: str
    channel: str
    tip: int
    """The number of the ledger's last entry when it was cloned."""
    result: str
    seconds: int
    time: datetime

    def to_json(self) -> dict[str, Any]:
        """The predicate."""
        return {
            "store": self.store,
            "ledger": self.ledger,
            "channel": self.channel,
            "tip": self.tip,
            "result": self.result,
            "seconds": self.seconds,
            "time": times.format(self.time),
        }


def parse(value: object) -> Rehearsal:
    """The predicate's JSON to value. Raises FormatError."""
    f = Fields(value, "rehearsal", required=("store", "ledger", "channel", "tip", "result", "seconds", "time"))
    if f.text("result") not in ("PASSED", "FAILED"):
        raise FormatError("rehearsal: result is neither PASSED nor FAILED")
    return Rehearsal(
        f.text("store"),
        f.text("ledger"),
        f.text("channel"),
        f.integer("tip"),
        f.text("result"),
        f.integer("seconds"),
        f.time("time"),
    )
