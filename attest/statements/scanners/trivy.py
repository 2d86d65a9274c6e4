"""trivy's JSON (`trivy --format json`, schema 2): https://github.com/aquasecurity/trivy .

It names no version of its data.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from attest.statements.scanners.reports import Found, Report, Severities, objects, purl_of, text, time_of

_URI = "https://github.com/aquasecurity/trivy"


def is_report(document: Mapping[str, Any]) -> bool:
    """By its fields; without findings `Results` may be left out."""
    return document.get("SchemaVersion") == 2 and "ArtifactName" in document


def read(document: Mapping[str, Any]) -> Report:
    """A report. Raises FormatError, KeyError, TypeError."""
    own = document.get("Trivy") or {}
    return Report(
        "trivy",
        str(own.get("Version") or ""),
        _URI,
        tuple(_found(document)),
        finished=time_of(document.get("CreatedAt")),
    )


def _found(document: Mapping[str, Any]) -> Iterator[Found]:
    for result in objects(document.get("Results"), "trivy: Results"):
        for row in objects(result.get("Vulnerabilities"), "trivy: Vulnerabilities"):
            severities = Severities()
            severities.add("trivy", row.get("Severity"))
            name = text(row.get("VulnerabilityID"), "trivy: VulnerabilityID")
            vendor = row.get("VendorIDs") or []
            yield Found(
                name,
                severities.rows,
                purl_of((row.get("PkgIdentifier") or {}).get("PURL")),
                str(row.get("PkgName") or ""),
                str(row.get("InstalledVersion") or ""),
                tuple(sorted({str(other) for other in vendor} - {name})),
                str(row.get("PkgPath") or result.get("Target") or ""),
            )
