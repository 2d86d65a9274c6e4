"""What an audit says: checks, rows, and the report with its verdict (docs/formats/audit-report.md)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from attest.core import times
from attest.core.values import dataclass
from attest.digests import Digest
from bundlers.blockers import Blocker

FORMAT = "casstore-audit/1"
OK, WARNING, BLOCKER = "ok", "warning", "blocker"
GREEN, WARNINGS, BLOCKED = "green", "warnings", "blocked"

PRECEDENCE = (7, 3, 11, 5, 6, 10, 4, 8, 9, 12, 1)
"""Which exit code is told where several apply (docs/exit-codes.md)."""
WARNINGS_ONLY = 2


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at; a blocker carries the exit code that it stands for."""

    id: str
    """`area.what`."""
    status: str
    message: str
    evidence: tuple[Digest, ...] = ()
    hint: str = ""
    exit_code: int = 1

    @property
    def area(self) -> str:
        """What it is about."""
        return self.id.partition(".")[0]

    def to_json(self) -> dict[str, Any]:
        """A row of `checks`."""
        return {
            "id": self.id,
            "area": self.area,
            "status": self.status,
            "message": self.message,
            "evidence": list(self.evidence),
            "hint": self.hint,
        }


@dataclass(frozen=True, slots=True)
class EvidenceRow:
    """One attestation, verified by the trust root in force when the ledger recorded it, or why it is not."""

    attestation: Digest
    type: str
    by: tuple[str, ...]
    roles: tuple[str, ...]
    entry: int | None
    time: datetime | None
    trust_root: int
    status: str
    """`verified`, else the reason why it counts for nothing."""

    def to_json(self) -> dict[str, Any]:
        """A row of `evidence`."""
        return {
            "attestation": self.attestation,
            "type": self.type,
            "by": list(self.by),
            "roles": list(self.roles),
            "entry": self.entry,
            "time": None if self.time is None else times.format(self.time),
            "trustRoot": self.trust_root,
            "status": self.status,
        }


@dataclass(frozen=True, slots=True)
class GateRow:
    """A signed result of a gate."""

    gate: str
    result: str
    by: tuple[str, ...]
    attestation: Digest
    settings: Mapping[str, Any] | None
    """All that it was set to, where the result says it; of isolation its parameters."""
    digest: str = ""
    """Of the settings, where the result names it."""

    def to_json(self) -> dict[str, Any]:
        """A row of `gates`."""
        return {
            "gate": self.gate,
            "result": self.result,
            "by": list(self.by),
            "attestation": self.attestation,
            "settings": None if self.settings is None else dict(self.settings),
            "settingsDigest": self.digest,
        }


@dataclass(frozen=True, slots=True)
class ApprovalRow:
    """Who allowed it."""

    by: tuple[str, ...]
    attestation: Digest
    channel: str
    expires: datetime
    comment: str

    def to_json(self) -> dict[str, Any]:
        """A row of `approvals`."""
        return {
            "by": list(self.by),
            "attestation": self.attestation,
            "channel": self.channel,
            "expires": times.format(self.expires),
            "comment": self.comment,
        }


@dataclass(frozen=True, slots=True)
class AuditReport:
    """Everything, with the verdict that follows from the checks."""

    kind: str
    timestamp: datetime
    tool: str
    """The version of casstore."""
    store: str
    ledger: Mapping[str, Any]
    trust_root: Mapping[str, Any]
    subject: Mapping[str, Any]
    checks: tuple[Check, ...]
    gates: tuple[GateRow, ...]
    approvals: tuple[ApprovalRow, ...]
    evidence: tuple[EvidenceRow, ...]

    @property
    def blockers(self) -> tuple[Blocker, ...]:
        """One record per blocker."""
        return tuple(Blocker(c.id, c.message, (), c.hint) for c in self.checks if c.status == BLOCKER)

    @property
    def verdict(self) -> str:
        """`green`, `warnings` or `blocked`."""
        found = {check.status for check in self.checks}
        return BLOCKED if BLOCKER in found else WARNINGS if WARNING in found else GREEN

    @property
    def exit_code(self) -> int:
        """0, 2, or the gravest of the blockers'."""
        codes = {check.exit_code for check in self.checks if check.status == BLOCKER}
        if not codes:
            return WARNINGS_ONLY if self.verdict == WARNINGS else 0
        return next((code for code in PRECEDENCE if code in codes), 1)

    def asked(self, area: str) -> dict[str, Any]:
        """How a check of its own area (`protection`, `baseline`) stands."""
        for check in self.checks:
            if check.area == area:
                return {"asked": True, "status": check.status, "message": check.message}
        return {"asked": False, "status": OK, "message": "no policy and no configuration asks for it"}

    def to_json(self) -> dict[str, Any]:
        """The report."""
        return {
            "format": FORMAT,
            "auditType": self.kind,
            "timestamp": times.format(self.timestamp),
            "tool": {"name": "casstore", "version": self.tool},
            "store": self.store,
            "ledger": dict(self.ledger),
            "trustRoot": dict(self.trust_root),
            "subject": dict(self.subject),
            "verdict": self.verdict,
            "ready": self.verdict != BLOCKED,
            "exitCode": self.exit_code,
            "checks": [check.to_json() for check in self.checks],
            "gates": [row.to_json() for row in self.gates],
            "protection": self.asked("protection"),
            "baseline": self.asked("baseline"),
            "approvals": [row.to_json() for row in self.approvals],
            "evidence": [row.to_json() for row in self.evidence],
            "blockers": [blocker.to_json() for blocker in self.blockers],
        }
