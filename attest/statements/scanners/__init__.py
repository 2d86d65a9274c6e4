"""Scanners' own reports, one file each and one row in the table: which tool with which data found what, and where.

In: a report as JSON. Out: findings with the tool and data that found them, as one predicate. Called by the gate
`vulnerabilities`, `bundlers.audit` and `attest sign`.

Read are the JSON of grype, trivy and osv-scanner, and SARIF 2.1.0 of any tool. What a report does not say (a version of
its data, a time) is left empty and never guessed.

    report = read(canonical.loads_object(data, what="grype.json"))
    report.tool, report.database, report.found[0].purl
    report.predicate()          # in-toto vulns v0.2
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from attest.errors import FormatError
from attest.statements.scanners import grype, osv, sarif, trivy
from attest.statements.scanners.reports import Found, Report

__all__ = ["Found", "Report", "is_report", "read"]

_READERS: Mapping[str, tuple[Callable[[Mapping[str, Any]], bool], Callable[[Mapping[str, Any]], Report]]] = {
    "grype": (grype.is_report, grype.read),
    "trivy": (trivy.is_report, trivy.read),
    "osv-scanner": (osv.is_report, osv.read),
    "SARIF": (sarif.is_report, sarif.read),
}


def is_report(document: Mapping[str, Any]) -> bool:
    """Whether one of the readers knows it."""
    return any(knows(document) for knows, _ in _READERS.values())


def read(document: Mapping[str, Any]) -> Report:
    """A report. Raises FormatError: one that cannot be read whole is no clean scan."""
    for name, (knows, reader) in _READERS.items():
        if knows(document):
            try:
                return reader(document)
            except (KeyError, TypeError, AttributeError, ValueError, IndexError) as exc:
                raise FormatError(f"{name} report: it cannot be read: {type(exc).__name__}: {exc}") from exc
    raise FormatError("no report of a scanner that is known", hint=f"known: {', '.join(_READERS)} (JSON)")
