"""Promotion: one move of one channel, with the closed list of its evidence
(docs/formats/predicates/promotion.md). The subject `release` is what the channel names after it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from attest.core import shares, times
from attest.core.fields import Fields
from attest.core.values import dataclass
from attest.digests import Digest
from attest.errors import FormatError
from attest.statements.predicates import OWN

TYPE = OWN.format("promotion")

ACTIONS = ("promote", "rollback", "pin", "unpin")


@dataclass(frozen=True, slots=True)
class Promotion:
    """A channel move, signed before the race for its ledger entry."""

    store: str
    ledger: str
    action: str
    channel: str
    from_move: Digest | None
    """The digest of the entry of the channel's last move; None for its first."""
    release: str
    """The version, for people; the subject is what counts."""
    time: datetime
    trust_root: Digest
    evidence: tuple[Digest, ...] = ()
    reason: str = ""
    share: int | None = None
    """Of a promotion: the percentage of consumers that it reaches; None: the whole channel."""

    def to_json(self) -> dict[str, Any]:
        """The predicate."""
        value: dict[str, Any] = {
            "store": self.store,
            "ledger": self.ledger,
            "action": self.action,
            "channel": self.channel,
            "from": self.from_move,
            "release": self.release,
            "time": times.format(self.time),
            "trustRoot": self.trust_root,
            "evidence": sorted(self.evidence),
        }
        if self.share is not None:
            value["share"] = self.share
        return {**value, "reason": self.reason} if self.reason else value


def parse(value: object) -> Promotion:
    """The predicate's JSON to value. Raises FormatError."""
    names = ("store", "ledger", "action", "channel", "from", "release", "time", "trustRoot", "evidence")
    f = Fields(value, "promotion", required=names, optional=("reason", "share"))
    found = Promotion(
        f.text("store"),
        f.text("ledger"),
        f.text("action"),
        f.text("channel"),
        f.optional_digest("from"),
        f.text("release"),
        f.time("time"),
        f.digest("trustRoot"),
        f.digests("evidence"),
        f.text("reason", ""),
        shares.of(f),
    )
    if found.share is not None and found.action != "promote":
        raise FormatError(f"a {found.action[:40]} has no share")
    return found
