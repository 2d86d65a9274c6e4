"""osv-scanner's JSON (`osv-scanner --format json`): https://github.com/google/osv-scanner .

It names neither itself, nor a time, nor a version of its data.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from attest.core.purls import Purl
from attest.errors import FormatError
from attest.statements.scanners.reports import Found, Report, Severities, objects, text

_URI = "https://github.com/google/osv-scanner"
_TYPES = {
    "PyPI": "pypi",
    "npm": "npm",
    "crates": "cargo",
    "Go": "golang",
    "Maven": "maven",
    "NuGet": "nuget",
    "RubyGems": "gem",
    "Packagist": "composer",
    "Hex": "hex",
    "Pub": "pub",
    "ConanCenter": "conan",
}
"""OSV's ecosystem, up to a dot or colon -> the type of a package URL."""


def is_report(document: Mapping[str, Any]) -> bool:
    """By its fields."""
    rows = document.get("results")
    return isinstance(rows, list) and all(isinstance(row, Mapping) and "packages" in row for row in rows)


def read(document: Mapping[str, Any]) -> Report:
    """A report. Raises FormatError, KeyError, TypeError."""
    return Report("osv-scanner", "", _URI, tuple(_found(document)), "https://osv.dev")


def _found(document: Mapping[str, Any]) -> Iterator[Found]:
    for result in objects(document["results"], "osv-scanner: results"):
        for row in objects(result["packages"], "osv-scanner: packages"):
            package, scores = row["package"], _scores(row)
            for said in objects(row.get("vulnerabilities"), "osv-scanner: vulnerabilities"):
                name = text(said.get("id"), "osv-scanner: a vulnerability's id")
                severities = Severities()
                severities.add("osv", (said.get("database_specific") or {}).get("severity"))
                severities.add("cvss", scores.get(name))
                yield Found(
                    name,
                    severities.rows,
                    _purl(package),
                    str(package.get("name") or ""),
                    str(package.get("version") or ""),
                    tuple(sorted({str(alias) for alias in said.get("aliases") or ()} - {name})),
                    str((result.get("source") or {}).get("path") or ""),
                )


def _scores(row: Mapping[str, Any]) -> dict[str, object]:
    """The highest CVSS score that the scanner computed, by id."""
    groups = objects(row.get("groups"), "osv-scanner: groups")
    return {str(name): group.get("max_severity") for group in groups for name in group.get("ids") or ()}


def _purl(package: Mapping[str, Any]) -> Purl | None:
    kind = _TYPES.get(str(package.get("ecosystem") or "").partition(":")[0].partition(".")[0])
    name, version = str(package.get("name") or ""), str(package.get("version") or "")
    if kind is None or not name:
        return None
    if kind == "golang" and name == "stdlib":
        return Purl.of("golang", "stdlib", version.removeprefix("go"))
    if kind == "golang" and version and version[0].isdigit():
        version = f"v{version}"  # a package URL has it as Go writes it
    try:
        return Purl.of(kind, name.replace(":", "/") if kind == "maven" else name, version)
    except FormatError:
        return None
