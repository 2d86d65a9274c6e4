"""Scanners' own reports: tool and data are named, packages and aliases kept, and half a report is no clean scan."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from attest.core.purls import Purl
from attest.errors import FormatError
from attest.statements import bills, scanners
from attest.statements.predicates import vulns

DATA = Path(__file__).parents[3] / "data" / "scanners"


def load(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((DATA / name).read_text())
    return found


@pytest.mark.parametrize(
    ("name", "told", "ids", "package", "worst"),
    [
        (
            "grype.json",
            "grype 0.94.0 with grype-db schema v6.0.2 2026-02-28T04:10:00Z, 2026-03-01T09:00:00Z",
            {"GHSA-xcg2-9pp4-j82x", "CVE-2023-0001"},
            "pkg:cargo/openssl@0.10.45",
            "high",
        ),
        (
            "trivy.json",
            "trivy 0.69.1 with data of no told version, 2026-03-01T09:00:00Z",
            {"GHSA-xcg2-9pp4-j82x", "CVE-2023-0001"},
            "pkg:cargo/openssl@0.10.45",
            "high",
        ),
        (
            "osv.json",
            "osv-scanner (no version told) with https://osv.dev",
            {"RUSTSEC-2023-0022", "CVE-2023-0001"},
            "pkg:cargo/openssl@0.10.45",
            "high",
        ),
        (
            "scan.sarif",
            "Some Scanner 4.2.0 with data of no told version, 2026-03-01T09:30:00Z",
            {"CVE-2023-0001"},
            "",
            "critical",
        ),
    ],
)
def test_what_a_report_says(name: str, told: str, ids: set[str], package: str, worst: str) -> None:
    report = scanners.read(load(name))
    first = report.found[0]
    assert (report.told, first.ids, first.package, first.worst) == (told, ids, package, worst)
    findings = vulns.findings_of(report.predicate())
    assert {found.id for found in findings} == {found.id for found in report.found}
    assert report.predicate()["scanner"]["version"] == report.version


def test_what_is_no_finding_is_left_out_and_levels_stand_for_words() -> None:
    report = scanners.read(load("scan.sarif"))
    assert [(found.id, found.worst) for found in report.found] == [("CVE-2023-0001", "critical"), ("RULE-2", "low")]
    _, go = scanners.read(load("osv.json")).found
    assert str(go.purl) == "pkg:golang/golang.org/x/net@v0.20.0" and go.worst == "critical"


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("grype.json", ("matches", 0, "vulnerability")),
        ("grype.json", ("matches", 0, "artifact")),
        ("trivy.json", ("Results", 0, "Vulnerabilities", 0, "VulnerabilityID")),
        ("osv.json", ("results", 0, "packages", 0, "package")),
        ("scan.sarif", ("runs", 0, "tool")),
        ("scan.sarif", ("runs", 0, "results", 0, "ruleId")),
    ],
)
def test_half_a_report_is_refused(name: str, path: tuple[str | int, ...]) -> None:
    document: Any = copy.deepcopy(load(name))
    inner = document
    for key in path[:-1]:
        inner = inner[key]
    del inner[path[-1]]
    with pytest.raises(FormatError):
        scanners.read(document)


def test_other_documents_are_no_reports() -> None:
    assert not scanners.is_report({"bomFormat": "CycloneDX"}) and not scanners.is_report({"version": "2.1.0"})
    with pytest.raises(FormatError, match="no report of a scanner"):
        scanners.read({"results": {}})
    with pytest.raises(FormatError, match="no run"):
        scanners.read({"version": "2.1.0", "runs": []})


def test_package_urls_are_one_package_in_every_writing() -> None:
    assert Purl.parse("pkg:PyPI/Foo_Bar@1.0?x=y#sub") == Purl("pypi", "foo-bar", "1.0")
    assert Purl.parse("pkg:npm/%40angular/core@17.1.0") == Purl("npm", "@angular/core", "17.1.0")
    assert Purl.parse("pkg:npm/@angular/core") == Purl("npm", "@angular/core")
    assert str(Purl.parse("pkg:golang/github.com/a/b@v1.0.0%2Bx")) == "pkg:golang/github.com/a/b@v1.0.0+x"
    assert Purl.parse("pkg:cargo/a").covers(Purl.parse("pkg:cargo/a@2")) and not Purl.parse("pkg:cargo/a@1").covers(
        Purl.parse("pkg:cargo/a@2")
    )
    assert datetime(2026, 3, 1, 9, tzinfo=UTC) == scanners.read(load("grype.json")).finished
    for text in ("openssl", "pkg:", "pkg:cargo", "pkg:car go/x", "pkg:cargo/"):
        with pytest.raises(FormatError):
            Purl.parse(text)


def test_bills_of_materials_of_all_kinds() -> None:
    nested = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "components": [{"name": "a", "components": [{"name": "b", "purl": "pkg:cargo/b@1"}], "purl": "no purl"}],
    }
    spdx = {
        "spdxVersion": "SPDX-2.3",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": "d",
        "packages": [
            {"externalRefs": [{"referenceType": "purl", "referenceLocator": "pkg:npm/x@2"}]},
            {"externalRefs": [{"referenceType": "cpe23Type", "referenceLocator": "cpe:2.3:a"}]},
        ],
    }
    third = {
        "@context": "https://spdx.org/rdf/3.0.1/spdx-context.jsonld",
        "@graph": [
            {"type": "software_Package", "software_packageUrl": "pkg:golang/y@v1"},
            {"externalIdentifier": [{"externalIdentifierType": "packageUrl", "identifier": "pkg:pypi/Z@3"}]},
        ],
    }
    assert [str(p) for p in bills.packages_of(nested)] == ["pkg:cargo/b@1"]
    assert [str(p) for p in bills.packages_of(spdx)] == ["pkg:npm/x@2"]
    assert [str(p) for p in bills.packages_of(third)] == ["pkg:golang/y@v1", "pkg:pypi/z@3"]
    with pytest.raises(FormatError):
        bills.packages_of({"packages": []})
