"""The values of a decision: what is asked, each rule, the verdict (docs/formats/decision.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from typing import Any

from attest.core.values import dataclass
from attest.digests import Digest
from attest.judging.explained import Explained

SATISFIED, MISSING, REFUSED = "satisfied", "missing", "refused"

ACTIONS = ("promote", "rollback")
"""What a policy decides; any other word is refused, for it would have no rules."""


@dataclass(frozen=True, slots=True)
class Canary:
    """A release that reaches a part of a channel's consumers."""

    release: Digest
    version: str
    share: int
    """Percent."""
    ran: int
    """For how many seconds with this share."""


@dataclass(frozen=True, slots=True)
class MoveRequest:
    """What is asked: one release, one channel, on one state of the ledger."""

    store: str
    ledger: str
    channel: str
    action: str
    """`promote` or `rollback`."""
    release: Digest
    version: str
    archives: Mapping[str, Digest]
    """File name -> digest."""
    trees: Mapping[str, Digest]
    """Component -> tree."""
    from_move: Digest | None
    """The entry of the channel's last move."""
    from_release: Digest | None
    diff: Digest
    now: datetime
    promoter: str | None
    """The identity that will sign the move; None while nobody is named."""
    in_channels: frozenset[str] = frozenset()
    """Channels that name this release or once did."""
    stayed: Mapping[str, int] = field(default_factory=dict)
    """Channel -> for how many seconds it named this release, the last time that it came there."""
    rolled_back: Mapping[str, str] | None = None
    """Channel -> why it was rolled back from this release since the release came there last; None: it is not known."""
    share: int | None = None
    """The percentage of consumers that a promotion reaches; None: all of the channel."""
    canary: Canary | None = None
    """What runs beside the channel's release."""
    ends: datetime | None = None
    """By when windows and approvals must not have ended, where that is later than `now`."""

    @property
    def ended(self) -> datetime:
        """What has ended by then does not count."""
        return self.ends or self.now

    explained: tuple[Explained, ...] = ()
    """What explains common content of the release's products."""
    explained_before: tuple[Explained, ...] = ()
    """The same of the channel's release."""

    @property
    def newly_explained(self) -> tuple[Explained, ...]:
        """What the channel's release had not, the largest first."""
        known = {row.key for row in self.explained_before}
        new = [row for row in self.explained if row.key not in known]
        return tuple(sorted(new, key=lambda row: (-row.bytes, row.key)))

    @property
    def archive_names(self) -> dict[Digest, str]:
        """Digest -> file name."""
        return {digest: name for name, digest in self.archives.items()}

    @property
    def tree_names(self) -> dict[Digest, str]:
        """Digest -> component, in words."""
        return {digest: f"component {name}" for name, digest in self.trees.items()}

    @property
    def made(self) -> frozenset[Digest]:
        """The release and what is in it."""
        return frozenset({self.release, *self.archives.values(), *self.trees.values()})


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule and how it stands."""

    id: str
    status: str
    message: str
    evidence: tuple[Digest, ...] = ()
    needed_role: str | None = None
    who: tuple[str, ...] = ()
    """Names that may still give what is missing."""
    action: str = "none"
    """Code of what to do (docs/formats/decision.md): approve, attest, hand-in, promote-first, wait, ..."""
    count_missing: int = 0

    def to_json(self) -> dict[str, Any]:
        """A row of the blocker map."""
        return {
            "id": self.id,
            "status": self.status,
            "message": self.message,
            "actor_needed": list(self.who) or ([self.needed_role] if self.needed_role else []),
            "next_action": self.action,
            "missing": self.count_missing,
            "evidence": list(self.evidence),
        }


@dataclass(frozen=True, slots=True)
class Ignored:
    """An attestation that counts for nothing here, and why."""

    attestation: Digest
    reason: str


@dataclass(frozen=True, slots=True)
class Decision:
    """Allow or deny, with every rule."""

    allowed: bool
    rules: tuple[Rule, ...]
    evidence: tuple[Digest, ...]
    ignored: tuple[Ignored, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The blocker map (docs/formats/decision.md)."""
        return {
            "allowed": self.allowed,
            "rules": [{**rule.to_json(), "blocks": rule.status != SATISFIED} for rule in self.rules],
            "evidence": list(self.evidence),
            "ignored": [{"attestation": item.attestation, "reason": item.reason} for item in self.ignored],
        }
