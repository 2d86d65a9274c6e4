"""Collection: packs that a collection of garbage condemns, or gives up (docs/formats/predicates/collection.md).
The one subject, `packs`, is the list of them."""

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

TYPE = OWN.format("collection")
SUBJECT = "packs"

ACTIONS = ("condemn", "delete")


MAX_GRACE = 3660 * 24 * 3600
"""Seconds: ten years."""


@dataclass(frozen=True, slots=True)
class Collection:
    """One step of a collection; `after` and `condemned` belong to a delete, `grace` (seconds) to a condemn."""

    action: str
    store: str
    ledger: str
    time: datetime
    grace: int = 0
    after: Digest | None = None
    """The digest of the entry that the delete must directly follow: what was marked, was marked there."""
    condemned: tuple[int, ...] = ()
    """The condemn entries that the delete settles: what it does not give up of them, it lifts."""

    def to_json(self) -> dict[str, Any]:
        """The predicate."""
        return {
            "action": self.action,
            "store": self.store,
            "ledger": self.ledger,
            "time": times.format(self.time),
            "grace": self.grace,
            "after": self.after,
            "condemned": list(self.condemned),
        }


def parse(value: object) -> Collection:
    """The predicate's JSON to value. Raises FormatError."""
    names = ("action", "store", "ledger", "time", "grace", "after", "condemned")
    f = Fields(value, "collection", required=names)
    action, after = f.text("action"), f.optional_digest("after")
    if action not in ACTIONS:
        raise FormatError(f"collection: action is not one of {', '.join(ACTIONS)}")
    condemned = _numbers(value)
    if (action == "delete") != (after is not None) or (action == "condemn" and condemned):
        raise FormatError("collection: a delete names the entry before it, a condemn names none")
    return Collection(
        action, f.text("store"), f.text("ledger"), f.time("time"), f.integer("grace", most=MAX_GRACE), after, condemned
    )


def _numbers(predicate: object) -> tuple[int, ...]:
    value = predicate["condemned"] if isinstance(predicate, Mapping) else None
    if not isinstance(value, list) or any(type(item) is not int or item < 0 for item in value):
        raise FormatError("collection: condemned is no list of entry numbers")
    if value != sorted(set(value)):
        raise FormatError("collection: condemned is not sorted, or names an entry twice")
    return tuple(value)
