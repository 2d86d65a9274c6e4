"""in-toto vulns v0.2: what a scanner found in an artifact.

Source: https://github.com/in-toto/attestation/blob/main/spec/predicates/vuln.md (predicate type vulns/v0.2).
Foreign fields pass through.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from attest.core import times
from attest.core.values import dataclass
from attest.errors import FormatError

TYPE = "https://in-toto.io/attestation/vulns/v0.2"

SEVERITIES = ("critical", "high", "medium", "low")
"""From worst to least; `none` is beside them. What a scanner calls otherwise counts as critical."""

_CVSS = ((9.0, "critical"), (7.0, "high"), (4.0, "medium"), (0.1, "low"))
_HARMLESS = frozenset({"none", "negligible", "informational", "info"})


@dataclass(frozen=True, slots=True)
class Finding:
    """One vulnerability, with what methods say of its severity: method -> score or word."""

    id: str
    severity: Mapping[str, str]

    @property
    def worst(self) -> str:
        """One of SEVERITIES, or `none`; critical where nothing is said that we understand."""
        found = [_word(score) for score in self.severity.values()]
        return min(found, key=[*SEVERITIES, "none"].index, default="critical")

    def to_json(self) -> dict[str, Any]:
        """A row of `scanner.result`."""
        rows = [{"method": method, "score": score} for method, score in sorted(self.severity.items())]
        return {"id": self.id, "severity": rows}


@dataclass(frozen=True, slots=True)
class Scan:
    """Which scanner with which data, when, and what it found."""

    scanner: str
    """Its URI."""
    version: str
    findings: Sequence[Finding]
    finished: datetime
    started: datetime | None = None
    database: str = ""
    database_version: str = ""

    def to_json(self) -> dict[str, Any]:
        """The predicate."""
        database = {
            **({"uri": self.database} if self.database else {}),
            **({"version": self.database_version} if self.database_version else {}),
        }
        return {
            "scanner": {
                "uri": self.scanner,
                "version": self.version,
                "db": database,
                "result": [item.to_json() for item in self.findings],
            },
            "metadata": {
                "scanStartedOn": times.format(self.started or self.finished),
                "scanFinishedOn": times.format(self.finished),
            },
        }


def findings_of(predicate: Mapping[str, Any]) -> tuple[Finding, ...]:
    """The findings of any vulns v0.2 predicate. Raises FormatError: what cannot be read is no clean scan."""
    scanner = predicate.get("scanner")
    rows = scanner.get("result") if isinstance(scanner, Mapping) else None
    if not isinstance(rows, list):
        raise FormatError("vulns: scanner.result is no list")
    return tuple(_finding(row) for row in rows)


def check(predicate: Mapping[str, Any]) -> None:
    """Whether its findings can be read. Raises FormatError."""
    findings_of(predicate)


def _finding(row: object) -> Finding:
    name = row.get("id") if isinstance(row, Mapping) else None
    severity = row.get("severity", []) if isinstance(row, Mapping) else None
    if not isinstance(name, str) or not name or not isinstance(severity, list):
        raise FormatError("vulns: a finding without id or with a severity that is no list")
    rows = [_severity(name, number, item) for number, item in enumerate(severity)]
    if len(dict(rows)) != len(rows):
        raise FormatError(f"vulns: {name[:60]} has two severities by one method")
    return Finding(name, dict(rows))


def _severity(name: str, number: int, item: object) -> tuple[str, str]:
    score = item.get("score") if isinstance(item, Mapping) else None
    if not isinstance(item, Mapping) or isinstance(score, bool) or not isinstance(score, str | int | float):
        raise FormatError(f"vulns: the severity of {name[:60]} has no score")
    return str(item.get("method") or f"method {number}"), str(score)


def _word(score: str) -> str:
    word = score.strip().lower()
    if word in SEVERITIES:
        return word
    if word in _HARMLESS:
        return "none"
    if word == "moderate":
        return "medium"
    try:
        number = float(word)
    except ValueError:
        return "critical"
    if not 0 <= number <= 10:
        return "critical"
    return next((name for least, name in _CVSS if number >= least), "none")
