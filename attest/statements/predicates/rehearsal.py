"""Rehearsal: a promotion and rollback played on a clone of the ledger
(docs/formats/predicates/rehearsal.md). The subject `release` is the one that was rolled back from."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from attest.core import times
from attest.core.fields import Fields
from attest.core.values import dataclass
from attest.digests import Digest
from attest.errors import FormatError
from attest.statements.predicates import OWN

TYPE = OWN.format("rehearsal")
PASSED, FAILED = "PASSED", "FAILED"


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that was played."""

    name: str
    outcome: str
    milliseconds: int

    def to_json(self) -> dict[str, Any]:
        """A row of `steps`."""
        return {"name": self.name, "outcome": self.outcome, "milliseconds": self.milliseconds}


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What was played, how long it took, how it ended."""

    store: str
    ledger: str
    channel: str
    tip: int
    """The number of the ledger's last entry when it was cloned."""
    back: Digest | None
    """The release that the rollback came to."""
    result: str
    seconds: int
    steps: tuple[Step, ...]
    time: datetime

    def to_json(self) -> dict[str, Any]:
        """The predicate."""
        return {
            "store": self.store,
            "ledger": self.ledger,
            "channel": self.channel,
            "tip": self.tip,
            "back": self.back,
            "result": self.result,
            "seconds": self.seconds,
            "steps": [step.to_json() for step in self.steps],
            "time": times.format(self.time),
        }


def parse(value: object) -> Rehearsal:
    """The predicate's JSON to value. Raises FormatError."""
    names = ("store", "ledger", "channel", "tip", "back", "result", "seconds", "steps", "time")
    f = Fields(value, "rehearsal", required=names)
    if f.text("result") not in (PASSED, FAILED):
        raise FormatError("rehearsal: result is neither PASSED nor FAILED")
    steps = value["steps"] if isinstance(value, dict) else None
    if not isinstance(steps, list):
        raise FormatError("rehearsal: steps is no list")
    return Rehearsal(
        f.text("store"),
        f.text("ledger"),
        f.text("channel"),
        f.integer("tip"),
        f.optional_digest("back"),
        f.text("result"),
        f.integer("seconds"),
        tuple(_step(item) for item in steps),
        f.time("time"),
    )


def _step(value: object) -> Step:
    f = Fields(value, "rehearsal: step", required=("name", "outcome", "milliseconds"))
    return Step(f.text("name"), f.text("outcome"), f.integer("milliseconds"))
