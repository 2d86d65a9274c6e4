"""Approval: one identity lets one release make one move (docs/formats/predicates/approval.md).

It covers exactly what it names: this release (the subject `release`), store, ledger, action,
channel, the channel's last move and the diff that was shown, until it expires.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from attest.core import shares, times
from attest.core.fields import Fields
from attest.core.values import dataclass
from attest.digests import Digest
from attest.statements.predicates import OWN

TYPE = OWN.format("approval")


@dataclass(frozen=True, slots=True)
class Approval:
    """The grant of one approver."""

    store: str
    ledger: str
    action: str
    channel: str
    from_move: Digest | None
    diff: Digest
    expires: datetime
    id: str
    comment: str = ""
    share: int | None = None
    """The percentage of consumers that a promotion may reach; None: the whole channel."""

    def to_json(self) -> dict[str, Any]:
        """The predicate."""
        value: dict[str, Any] = {
            "store": self.store,
            "ledger": self.ledger,
            "action": self.action,
            "channel": self.channel,
            "from": self.from_move,
            "diff": self.diff,
            "expires": times.format(self.expires),
            "id": self.id,
        }
        if self.share is not None:
            value["share"] = self.share
        return {**value, "comment": self.comment} if self.comment else value


def parse(value: object) -> Approval:
    """The predicate's JSON to value. Raises FormatError."""
    names = ("store", "ledger", "action", "channel", "from", "diff", "expires", "id")
    f = Fields(value, "approval", required=names, optional=("comment", "share"))
    return Approval(
        f.text("store"),
        f.text("ledger"),
        f.text("action"),
        f.text("channel"),
        f.optional_digest("from"),
        f.digest("diff"),
        f.time("expires"),
        f.text("id"),
        f.text("comment", ""),
        shares.of(f),
    )
