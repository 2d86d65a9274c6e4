"""What the promotion services report: frozen, each with `to_json`."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from attest import times
from attest.decisions import Decision
from attest.digests import Digest
from casstore.ledger.views import ChannelState
from casstore.release_diffs import ReleaseDiff


@dataclass(frozen=True, slots=True)
class ApprovalReport:
    """A signed approval, handed in or only made."""

    release: Digest
    version: str
    channel: str
    action: str
    identity: str
    digest: Digest
    expires: datetime
    diff: ReleaseDiff
    raw: bytes = field(repr=False)
    number: int | None = None
    """The ledger entry; None when it was not handed in."""

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "release": self.release,
            "version": self.version,
            "channel": self.channel,
            "action": self.action,
            "identity": self.identity,
            "attestation": self.digest,
            "expires": times.format(self.expires),
            "diff": self.diff.to_json(),
            "entry": self.number,
        }


@dataclass(frozen=True, slots=True)
class MoveReport:
    """What a move did, or would do."""

    action: str
    channel: str
    release: Digest
    version: str
    from_release: Digest | None
    from_version: str
    pinned: bool
    moved: bool
    """False: it was there already, or this was a dry run."""
    number: int | None = None
    """The entry that put the channel where it is; None for a dry run."""
    entry: Digest | None = None
    statement: Digest | None = None
    evidence: tuple[Digest, ...] = ()
    dry_run: bool = False
    decision: Decision | None = None

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "action": self.action,
            "channel": self.channel,
            "release": self.release,
            "version": self.version,
            "fromRelease": self.from_release,
            "fromVersion": self.from_version or None,
            "pinned": self.pinned,
            "moved": self.moved,
            "entry": self.number,
            "entryDigest": self.entry,
            "statement": self.statement,
            "evidence": list(self.evidence),
            "dryRun": self.dry_run,
            "decision": None if self.decision is None else self.decision.to_json(),
        }


@dataclass(frozen=True, slots=True)
class RevocationReport:
    """What was revoked, or would be, and what that touches."""

    kind: str
    subject: Digest
    reason: str
    affected: tuple[str, ...]
    number: int | None = None

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "kind": self.kind,
            "subject": self.subject,
            "reason": self.reason,
            "affected": list(self.affected),
            "entry": self.number,
        }


@dataclass(frozen=True, slots=True)
class ChannelRow:
    """One channel, who moved it last, and whether what it names still counts."""

    state: ChannelState
    approved_by: tuple[str, ...]
    """Names of those whose approvals the last move leaned on."""
    moved_by: str
    revoked: bool

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        last = self.state.history[-1] if self.state.history else None
        return {
            **self.state.to_json(),
            "time": times.format(last.time) if last else None,
            "movedBy": self.moved_by or None,
            "approvedBy": list(self.approved_by),
            "revoked": self.revoked,
        }


@dataclass(frozen=True, slots=True)
class ChannelsReport:
    """The channels of a ledger, in the order of the policy."""

    ledger: str
    rows: tuple[ChannelRow, ...]
    history: bool
    """Whether one channel was asked for, with its history."""

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {"ledger": self.ledger, "channels": [row.to_json() for row in self.rows]}
