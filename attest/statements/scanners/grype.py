"""grype's JSON (`grype -o json`): https://github.com/anchore/grype ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from attest.statements.scanners.reports import Found, Report, Severities, objects, purl_of, text, time_of

_URI = "https://github.com/anchore/grype"


def is_report(document: Mapping[str, Any]) -> bool:
    """By its fields."""
    descriptor = document.get("descriptor")
    return "matches" in document and isinstance(descriptor, Mapping) and descriptor.get("name") == "grype"


def read(document: Mapping[str, Any]) -> Report:
    """A report. Raises FormatError, KeyError, TypeError."""
    descriptor = document["descriptor"]
    data = descriptor.get("db") or {}
    data = data.get("status") or data  # since 0.90
    built = str(data.get("built") or "")
    schema = str(data.get("schemaVersion") or "")
    return Report(
        "grype",
        str(descriptor.get("version") or ""),
        _URI,
        tuple(_found(document)),
        "grype-db" + (f" schema {schema}" if schema else "") if data else "",
        built,
        time_of(descriptor.get("timestamp")),
    )


def _found(document: Mapping[str, Any]) -> Iterator[Found]:
    for row in objects(document["matches"], "grype: matches"):
        said, package = row["vulnerability"], row["artifact"]
        severities = Severities()
        severities.add("grype", said.get("severity"))
        for score in objects(said.get("cvss"), "grype: cvss"):
            severities.add(f"cvss {score.get('version')}", (score.get("metrics") or {}).get("baseScore"))
        related = objects(row.get("relatedVulnerabilities"), "grype: relatedVulnerabilities")
        name = text(said.get("id"), "grype: a vulnerability's id")
        places = objects(package.get("locations"), "grype: locations")
        yield Found(
            name,
            severities.rows,
            purl_of(package.get("purl")),
            str(package.get("name") or ""),
            str(package.get("version") or ""),
            tuple(sorted({str(other.get("id")) for other in related} - {name})),
            str(places[0].get("path") or "") if places else "",
        )
