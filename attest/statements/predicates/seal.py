"""Seal: what a ledger adds up to before the entry that names it (docs/formats/predicates/seal.md).
The subjects `state` and `full` are the roots of the two tries."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from attest.core import times
from attest.core.fields import Fields
from attest.core.values import dataclass
from attest.digests import Digest
from attest.errors import FormatError
from attest.statements.predicates import OWN

TYPE = OWN.format("seal")
FORMAT = "casstore-seal/1"


@dataclass(frozen=True, slots=True)
class Seal:
    """The state after `size` entries, of which `tip` is the last; `before` is the last seal that held."""

    store: str
    ledger: str
    rules: int
    size: int
    tip: Digest
    time: datetime
    trust_root: Digest
    trust_root_version: int
    state: Digest
    full: Digest
    before: int | None
    floor: datetime
    """The latest clock of all seals up to this one: nothing after it counts as signed earlier."""
    long: bool = False
    """The epoch that it ends is longer than clocks are believed for."""

    def to_json(self) -> dict[str, Any]:
        """The predicate."""
        return {
            "format": FORMAT,
            "store": self.store,
            "ledger": self.ledger,
            "rules": self.rules,
            "size": self.size,
            "tip": self.tip,
            "time": times.format(self.time),
            "trustRoot": {"digest": self.trust_root, "version": self.trust_root_version},
            "state": self.state,
            "full": self.full,
            "before": self.before,
            "floor": times.format(self.floor),
            "long": self.long,
        }

    @property
    def subjects(self) -> dict[str, Digest]:
        """What the statement speaks of."""
        return {"state": self.state, "full": self.full}


def parse(value: object) -> Seal:
    """The predicate's JSON to value. Raises FormatError."""
    names = ("format", "store", "ledger", "rules", "size", "tip", "time", "trustRoot", "state", "full", "before")
    f = Fields(value, "seal", required=(*names, "floor", "long"))
    if f.text("format") != FORMAT:
        raise FormatError(f"seal: the format is {f.text('format')[:60]!r}, not {FORMAT}")
    root = Fields(f.mapping("trustRoot"), "seal: trustRoot", required=("digest", "version"))
    return Seal(
        f.text("store"),
        f.text("ledger"),
        f.integer("rules", least=1),
        f.integer("size", least=1),
        f.digest("tip"),
        f.time("time"),
        root.digest("digest"),
        root.integer("version", least=1),
        f.digest("state"),
        f.digest("full"),
        f.optional_integer("before"),
        f.time("floor"),
        f.boolean("long", False),
    )
