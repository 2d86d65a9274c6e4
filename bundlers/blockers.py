"""Blockers: the record of a failed gate (docs/formats/blocker.md)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Blocker:
    """What stands in the way of a release."""

    gate: str
    message: str
    files: tuple[str, ...] = ()
    suggested_fix: str = ""
    severity: str = "error"
    status: str = "open"

    @property
    def issue_id(self) -> str:
        """The same for the same problem: gate, message and files decide."""
        text = "\0".join((self.gate, self.message, *self.files))
        return f"{self.gate}-{hashlib.sha256(text.encode('utf-8', 'surrogateescape')).hexdigest()[:12]}"

    def to_json(self) -> dict[str, Any]:
        """The record."""
        return {
            "issue_id": self.issue_id,
            "gate": self.gate,
            "severity": self.severity,
            "message": self.message,
            "files": list(self.files),
            "suggested_fix": self.suggested_fix,
            "status": self.status,
        }
