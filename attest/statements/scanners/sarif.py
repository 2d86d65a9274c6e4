"""SARIF 2.1.0 of any tool: https://docs.oasis-open.org/sarif/sarif/v2.1.0/ . A rule's id is the vulnerability's.

It has no packages, so what it names is told by id and place alone. A report with several runs is of its first tool.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from attest.errors import FormatError
from attest.statements.scanners.reports import Found, Report, Severities, objects, text, time_of

_LEVELS = {"error": "high", "warning": "medium", "note": "low", "none": "none"}
"""What SARIF calls a level -> our severity, where the rule has no `security-severity`."""


def is_report(document: Mapping[str, Any]) -> bool:
    """By its fields."""
    return document.get("version") == "2.1.0" and isinstance(document.get("runs"), list)


def read(document: Mapping[str, Any]) -> Report:
    """A report. Raises FormatError, KeyError, TypeError."""
    runs = objects(document["runs"], "SARIF: runs")
    if not runs:
        raise FormatError("SARIF: it has no run, which is no scan")
    driver = runs[0]["tool"]["driver"]
    ends = [time_of(one.get("endTimeUtc")) for run in runs for one in objects(run.get("invocations"), "invocations")]
    name = text(driver.get("name"), "SARIF: the tool's name")
    return Report(
        name,
        str(driver.get("semanticVersion") or driver.get("version") or ""),
        str(driver.get("informationUri") or f"urn:sarif:{name.replace(' ', '-')}"),
        tuple(found for run in runs for found in _found(run)),
        finished=max(filter(None, ends), default=None),
    )


def _found(run: Mapping[str, Any]) -> Iterator[Found]:
    rules = objects(run["tool"]["driver"].get("rules"), "SARIF: rules")
    scores = {str(rule.get("id")): (rule.get("properties") or {}).get("security-severity") for rule in rules}
    for row in objects(run.get("results"), "SARIF: results"):
        if row.get("suppressions") or row.get("kind", "fail") != "fail":
            continue
        rule = row.get("ruleId") or (row.get("rule") or {}).get("id")
        if rule is None and isinstance(at := row.get("ruleIndex"), int):
            rule = rules[at]["id"]
        name, severities = text(rule, "SARIF: a result's ruleId"), Severities()
        severities.add("security-severity", scores.get(name))
        if not severities.rows:
            severities.add("level", _LEVELS.get(str(row.get("level") or "warning"), "critical"))
        places = objects(row.get("locations"), "SARIF: locations")
        physical = (places[0].get("physicalLocation") or {}) if places else {}
        yield Found(name, severities.rows, place=str((physical.get("artifactLocation") or {}).get("uri") or ""))
