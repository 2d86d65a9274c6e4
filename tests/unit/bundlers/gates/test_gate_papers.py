"""sbom and vulnerabilities: documents of other tools, read strictly."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from attest.digests import hex_of, sha256
from attest.errors import BadInput
from bundlers.gates.base import ReleaseView
from bundlers.gates.builtin import sbom, vulnerabilities
from bundlers.gates.settings import settings_of
from bundlers.products.product_manifests import ProductFile, ProductManifest

NOW = datetime(2026, 3, 1, 9, tzinfo=UTC)
A, B = sha256(b"a"), sha256(b"b")
FILES = (ProductFile("bin/a", 0o755, 1, A), ProductFile("bin/link", link="a"), ProductFile("lib/b", 0o644, 1, B))
MANIFEST = ProductManifest("core", "zip", {}, FILES)


def view(root: Path, files: Mapping[str, Any]) -> ReleaseView:
    for name, value in files.items():
        (root / name).write_text(value if isinstance(value, str) else json.dumps(value))
    return ReleaseView("1", {}, {"core": MANIFEST}, SimpleNamespace(), str(root), now=NOW)  # type: ignore[arg-type]


# sbom


def spdx(*digests: str) -> dict[str, Any]:
    rows = [{"fileName": "x", "checksums": [{"algorithm": "SHA256", "checksumValue": hex_of(d)}]} for d in digests]  # type: ignore[arg-type]
    return {"spdxVersion": "SPDX-2.3", "SPDXID": "SPDXRef-DOCUMENT", "name": "core", "files": rows}


def spdx3(*digests: str) -> dict[str, Any]:
    rows = [
        {"type": "software_File", "verifiedUsing": [{"type": "Hash", "algorithm": "sha256", "hashValue": hex_of(d)}]}  # type: ignore[arg-type]
        for d in digests
    ]
    return {"@context": "https://spdx.org/rdf/3.0.1/spdx-context.jsonld", "@graph": rows}


def cyclonedx(*digests: str) -> dict[str, Any]:
    inner: list[Any] = []
    for digest in digests:
        hashes = [{"alg": "SHA-1", "content": "00"}, {"alg": "SHA-256", "content": hex_of(digest).upper()}]  # type: ignore[arg-type]
        inner = [{"type": "file", "name": "x", "hashes": hashes, "components": inner}]
    return {"bomFormat": "CycloneDX", "specVersion": "1.6", "components": inner}


def bill(tmp_path: Path, document: Any, **options: Any) -> tuple[str, ...]:
    table = {"files": {"core": "sbom.json"}, **options}
    result = sbom.check(view(tmp_path, {"sbom.json": document}), settings_of(sbom.Settings, table, "sbom"))
    assert result.passed is not bool(result.messages)
    return result.messages


@pytest.mark.parametrize("make", [spdx, spdx3, cyclonedx])
def test_every_file_must_be_covered(tmp_path: Path, make: Any) -> None:
    assert bill(tmp_path, make(A, B)) == ()
    assert bill(tmp_path, make(A)) == ("core: the SBOM does not cover 1 files: lib/b",)
    assert bill(tmp_path, make(A), exclude=["core/lib/*"]) == ()
    assert bill(tmp_path, {"_type": "https://in-toto.io/Statement/v1", "predicate": make(A, B)}) == ()


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({}, "neither SPDX nor CycloneDX"),
        ("not json", "sbom.json"),
        ("[]", "not a JSON object"),
        ({**spdx(A, B), "spdxVersion": "1.0"}, "SPDX"),
        ({**cyclonedx(A, B), "specVersion": 6}, "CycloneDX"),
        ({"spdxVersion": "SPDX-2.3", "SPDXID": "SPDXRef-DOCUMENT", "name": "x", "files": "none"}, "does not cover 2"),
    ],
)
def test_what_is_no_sbom(tmp_path: Path, document: Any, said: str) -> None:
    assert said in bill(tmp_path, document)[0]


def test_product_without_an_sbom(tmp_path: Path) -> None:
    result = sbom.check(view(tmp_path, {}), sbom.Settings())
    assert result.messages == ("core: no SBOM is named for it",)
    assert "cannot be read" in sbom.check(view(tmp_path, {}), sbom.Settings({"core": "none.json"})).messages[0]


@pytest.mark.parametrize("name", ["../sbom.json", "/etc/hostname"])
def test_papers_lie_in_the_project(tmp_path: Path, name: str) -> None:
    assert "leaves the project" in sbom.check(view(tmp_path, {}), sbom.Settings({"core": name})).messages[0]


def test_unknown_product(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no product 'cor'"):
        sbom.check(view(tmp_path, {}), sbom.Settings({"cor": "x"}))


# vulnerabilities


def report(*severities: str, finished: str = "2026-02-28T09:00:00Z") -> dict[str, Any]:
    rows = [{"id": f"CVE-{n}", "severity": [{"method": "x", "score": s}]} for n, s in enumerate(severities)]
    return {"scanner": {"uri": "x", "result": rows}, "metadata": {"scanFinishedOn": finished}}


def scanned(tmp_path: Path, document: Any, files: Mapping[str, Any] | None = None, **table: Any) -> tuple[str, ...]:
    settings = settings_of(vulnerabilities.Settings, {"reports": {"core": "scan.json"}, **table}, "vulnerabilities")
    result = vulnerabilities.check(view(tmp_path, {"scan.json": document, **(files or {})}), settings)
    assert result.passed is not bool(result.messages)
    return result.messages


@pytest.mark.parametrize(
    ("severities", "table", "said"),
    [
        ((), {}, ()),
        (("medium", "low"), {}, ()),
        (("high",), {}, ("core: 1 high, at most 0: CVE-0",)),
        (("9.8", "7.5"), {"high": 1}, ("core: 1 critical, at most 0: CVE-0",)),
        (("odd",), {}, ("core: 1 critical, at most 0: CVE-0",)),
        (("low", "low"), {"low": 1}, ("core: 2 low, at most 1: CVE-0, CVE-1",)),
        (("critical", "high"), {"critical": -1, "high": -1}, ()),
    ],
)
def test_limits(tmp_path: Path, severities: tuple[str, ...], table: dict[str, Any], said: tuple[str, ...]) -> None:
    assert scanned(tmp_path, report(*severities), **table) == said


def exempt(until: str, reason: str = "ticket 7") -> list[dict[str, str]]:
    return [{"id": "CVE-0", "until": until, "reason": reason}]


def test_exceptions_expire(tmp_path: Path) -> None:
    assert scanned(tmp_path, report("high"), exceptions=exempt("2026-03-01")) == ()
    late = scanned(tmp_path, report("high"), exceptions=exempt("2026-02-28"))
    assert late == ("core: 1 high, at most 0: CVE-0", "the exception for CVE-0 expired on 2026-02-28")
    assert scanned(tmp_path, report(), exceptions=exempt("2026-02-28")), "also when nothing needs it"


@pytest.mark.parametrize("rows", [exempt("soon"), exempt("2026-03-01", " "), [{"id": "CVE-0"}], ["CVE-0"]])
def test_exceptions_are_whole(tmp_path: Path, rows: Any) -> None:
    with pytest.raises(BadInput):
        scanned(tmp_path, report("high"), exceptions=rows)


def test_vex_that_explains(tmp_path: Path) -> None:
    def vex(**row: Any) -> dict[str, Any]:
        rows = [{"vulnerability": {"name": "CVE-0"}, **row}]
        return {"vex.json": {"@context": "https://openvex.dev/ns/v0.2.0", "statements": rows}}

    told = vex(status="not_affected", justification="component_not_present")
    assert scanned(tmp_path, report("high"), told, vex=["vex.json"]) == ()
    for row in ({"status": "not_affected"}, {"status": "affected"}, {"status": "under_investigation"}):
        assert scanned(tmp_path, report("high"), vex(**row), vex=["vex.json"])
    for product in ("core", "core-1.zip", "pkg:generic/core", "pkg:generic/team/core@1"):
        named = vex(status="fixed", products=[{"@id": product}])
        assert scanned(tmp_path, report("high"), named, vex=["vex.json"]) == ()
    other = vex(status="fixed", products=[{"@id": "pkg:generic/agent@1"}])
    _, why = scanned(tmp_path, report("high"), other, vex=["vex.json"])
    assert "OpenVEX passed over: CVE-0 (it names pkg:generic/agent@1, which is not core" in why


@pytest.mark.parametrize("finished", ["2026-02-20T09:00:00Z", "2026-03-02T09:00:00Z", "", "2026-02-28", "yesterday"])
def test_age_of_the_scan(tmp_path: Path, finished: str) -> None:
    assert scanned(tmp_path, report(), max_age_days=7) == ()
    assert scanned(tmp_path, report(finished=finished), max_age_days=7)


@pytest.mark.parametrize("document", [{}, "no json", {"scanner": {}}, {"scanner": {"result": [{}]}}])
def test_report_that_cannot_be_read_is_no_clean_scan(tmp_path: Path, document: Any) -> None:
    assert scanned(tmp_path, document)


def test_product_without_a_report(tmp_path: Path) -> None:
    assert scanned(tmp_path, "{}", reports={}) == ("core: no scan report is named for it",)
