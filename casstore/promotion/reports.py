"""What the promotion services report: frozen, each with `to_json`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from attest.core import times
from attest.core.values import dataclass
from attest.digests import Digest

if TYPE_CHECKING:
    from attest.judging.values import Decision
    from casstore.ledger.release_diffs import ReleaseDiff


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
    share: int | None = None
    """The percentage of consumers that the promotion may reach; None: all of the channel."""

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
            "share": self.share,
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
    share: int | None = None
    """The percentage of consumers that it reaches; None: all of the channel."""
    taken_back: str = ""
    """The version that came to a share until a rollback."""
    voids: tuple[str, ...] = ()
    """Approvals that count no more once the channel has moved."""

    @property
    def told(self) -> str:
        """One line for people."""
        before = f" (was {self.from_version})" if self.from_version and self.action in ("promote", "rollback") else ""
        if self.share is not None:
            before = f" for {self.share}% (the others keep {self.from_version})"
        elif self.taken_back:
            before = f" ({self.taken_back} is taken back)"
        pinned = ", pinned" if self.pinned else ""
        if self.dry_run and self.action == "unpin":
            return f"{self.channel}: {self.version}, pinned; unpinning ends approvals (give --confirm)"
        if self.dry_run:
            return f"{self.channel}: {self.action} to {self.version} would be allowed{before} (give --confirm)"
        if not self.moved:
            pinned += "" if self.share is None else f" for {self.share}%"
            return f"{self.channel}: {self.version} already{pinned}, nothing to do (ledger entry {self.number})"
        return f"{self.channel}: {self.action} {self.version}{before}{pinned}, ledger entry {self.number}"

    @property
    def notes(self) -> tuple[str, ...]:
        """What to know besides."""
        told = [f"{self.version} {why.removeprefix('it ')}" for why in self._rolled_back()]
        told += [f"approved for {self.channel} as it was, to be approved again: {one}" for one in self.voids]
        if self.pinned and not self.dry_run:
            told.append(f"{self.channel} takes no promotion until: casstore unpin {self.channel} --reason TEXT")
        return tuple(told)

    def _rolled_back(self) -> list[str]:
        from attest.judging.limits import NEVER_ROLLED_BACK

        rules = self.decision.rules if self.decision is not None else ()
        return [rule.message for rule in rules if rule.id == "rolled-back" and rule.message != NEVER_ROLLED_BACK]

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "action": self.action,
            "channel": self.channel,
            "release": self.release,
            "version": self.version,
            "fromRelease": self.from_release,
            "fromVersion": self.from_version or None,
            "share": self.share,
            "takenBack": self.taken_back or None,
            "pinned": self.pinned,
            "moved": self.moved,
            "entry": self.number,
            "entryDigest": self.entry,
            "statement": self.statement,
            "evidence": list(self.evidence),
            "dryRun": self.dry_run,
            "voids": list(self.voids),
            "decision": None if self.decision is None else self.decision.to_json(),
        }


@dataclass(frozen=True, slots=True)
class ChannelSpan:
    """A time in which a channel named a release, or gave it to a share."""

    channel: str
    since: str
    until: str | None
    """None: it still does."""
    approved_by: tuple[str, ...] = ()
    """Names behind the approvals that the move leaned on."""
    share: int | None = None
    """The percentage of consumers that got it; None: all of them."""

    @property
    def told(self) -> str:
        """Channel, share, times."""
        share = "" if self.share is None else f" for {self.share}%"
        return f"{self.channel}{share} since {self.since}" + (f" until {self.until}" if self.until else "")

    def to_json(self) -> dict[str, Any]:
        """A row of `channels`."""
        return {
            "channel": self.channel,
            "since": self.since,
            "until": self.until,
            "approvedBy": list(self.approved_by),
            **({} if self.share is None else {"share": self.share}),
        }


@dataclass(frozen=True, slots=True)
class RevocationReport:
    """What was revoked, or would be, and what that touches."""

    kind: str
    subject: Digest
    reason: str
    affected: tuple[str, ...]
    number: int | None = None
    raw: bytes = field(default=b"", repr=False)
    """What more owners have to sign; empty where it is not handed on."""

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
class SuspensionReport:
    """Who was suspended, or would be, until when, and what that touches."""

    identity: str
    reason: str
    until: datetime
    affected: tuple[str, ...]
    number: int | None = None

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "identity": self.identity,
            "reason": self.reason,
            "until": times.format(self.until),
            "affected": list(self.affected),
            "entry": self.number,
        }


@dataclass(frozen=True, slots=True)
class ChannelRow:
    """A channel as a move left it; `since` is empty for a channel that names nothing yet."""

    channel: str
    version: str = ""
    release: Digest | None = None
    action: str = ""
    number: int | None = None
    since: str = ""
    pinned: bool = False
    promoter: str = ""
    approvers: tuple[str, ...] = ()
    """Names of those whose approvals the move leaned on."""
    reason: str = ""
    revoked: bool = False
    """Whether the release, or something in it, counts no more."""
    share: int | None = None
    """Of a move: the percentage of consumers that it reaches; None: all of the channel."""
    canary: ChannelRow | None = None
    """What a share of the channel has instead."""

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "channel": self.channel,
            "version": self.version or None,
            "release": self.release,
            "action": self.action or None,
            "entry": self.number,
            "since": self.since or None,
            "pinned": self.pinned,
            "promoter": self.promoter or None,
            "approvers": list(self.approvers),
            "reason": self.reason,
            "revoked": self.revoked,
            "share": self.share,
            "canary": None if self.canary is None else self.canary.to_json(),
        }


@dataclass(frozen=True, slots=True)
class ChannelsReport:
    """All channels in the order of the policy, or the moves of one, oldest first."""

    ledger: str
    rows: tuple[ChannelRow, ...]
    history: bool

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        name = "history" if self.history else "channels"
        return {"ledger": self.ledger, name: [row.to_json() for row in self.rows]}


@dataclass(frozen=True, slots=True)
class EvidenceRow:
    """One attestation that a move leaned on."""

    digest: Digest
    kind: str
    """The short name of its predicate type."""
    names: tuple[str, ...] = ()

    @property
    def told(self) -> str:
        """What it is, by whom."""
        return f"{self.kind} by {', '.join(self.names) or 'somebody unknown now'}"

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {"digest": self.digest, "kind": self.kind, "by": list(self.names)}


@dataclass(frozen=True, slots=True)
class StandingReport:
    """Where one channel stands, or stood at another time."""

    ledger: str
    row: ChannelRow
    at: str = ""
    """The time or entry that was asked for; empty: now."""
    until: str = ""
    """When the next move came; empty where there is none."""
    next_move: int | None = None
    archives: Mapping[str, Digest] = field(default_factory=dict)
    evidence: tuple[EvidenceRow, ...] = ()
    canary_archives: Mapping[str, Digest] = field(default_factory=dict)
    canary_evidence: tuple[EvidenceRow, ...] = ()
    trust_root: int | None = None
    """The version of the trust root in force at the move."""
    policy: Mapping[str, Any] = field(default_factory=dict)
    """The signed policy that the move was judged by."""

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "ledger": self.ledger,
            "at": self.at or None,
            **self.row.to_json(),
            "until": self.until or None,
            "nextMove": self.next_move,
            "archives": dict(self.archives),
            "evidenceOfMove": [row.to_json() for row in self.evidence],
            "canaryArchives": dict(self.canary_archives),
            "evidenceOfCanary": [row.to_json() for row in self.canary_evidence],
            "trustRoot": self.trust_root,
            "policy": dict(self.policy),
        }
