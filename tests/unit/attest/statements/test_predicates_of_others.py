"""Predicates of the field: what we write reads back, what others write is read strictly."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from moves import NOW

from attest import canonical
from attest.digests import sha256
from attest.errors import FormatError
from attest.statements import predicates
from attest.statements.predicates import cyclonedx, link, openvex, slsa_provenance, spdx, vulns
from attest.statements.predicates.claimed import claimed_time
from attest.statements.predicates.openvex import Vex, VexProduct, VexStatement
from attest.statements.predicates.vulns import Finding, Scan
from attest.statements.statements import Statement, Subject


def plain(value: Any) -> Any:
    return json.loads(canonical.dumps(value.to_json()))


def test_a_scan_reads_back() -> None:
    found = (Finding("CVE-1", {"cvss": "9.8", "nvd": "HIGH"}), Finding("CVE-2", {}))
    assert vulns.findings_of(plain(Scan("https://s", "1", found, NOW, database="https://db"))) == found


@pytest.mark.parametrize(
    ("scores", "worst"),
    [
        (["9.0"], "critical"), (["8.9"], "high"), (["7"], "high"), (["6.9"], "medium"), (["4.0"], "medium"),
        (["0.1"], "low"), (["0"], "none"), (["none"], "none"), (["Negligible"], "none"), (["HIGH"], "high"),
        (["Moderate"], "medium"), (["low", "critical"], "critical"), ([], "critical"), (["UNKNOWN"], "critical"),
        (["nan"], "critical"), (["11"], "critical"), (["-1"], "critical"), ([""], "critical"), (["inf"], "critical"),
    ],
)  # fmt: skip
def test_the_worst_severity_counts_and_what_is_not_understood_is_critical(scores: list[str], worst: str) -> None:
    assert Finding("x", {f"m{n}": score for n, score in enumerate(scores)}).worst == worst


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"scanner": {}},
        {"scanner": {"result": {}}},
        {"scanner": {"result": [{}]}},
        {"scanner": {"result": [{"id": "x", "severity": {}}]}},
        {"scanner": {"result": [{"id": "x", "severity": [{"method": "m"}]}]}},
        {"scanner": {"result": [{"id": "x", "severity": [{"score": True}]}]}},
    ],
)
def test_a_scan_that_cannot_be_read_is_no_clean_scan(value: Any) -> None:
    with pytest.raises(FormatError):
        vulns.check(value)


def test_vex_reads_back_and_tells_what_is_harmless() -> None:
    rows = (
        VexStatement("CVE-1", "not_affected", justification="component_not_present"),
        VexStatement("CVE-2", "fixed"),
        VexStatement("CVE-3", "not_affected"),
        VexStatement("CVE-4", "affected", action="update"),
        VexStatement("CVE-5", "not_affected", (VexProduct(("pkg:x",)),), "component_not_present"),
        VexStatement("CVE-6", "under_investigation"),
        VexStatement("CVE-2b", "fixed"),
        VexStatement("CVE-2b", "affected"),
    )
    document = plain(Vex("https://x", "aud", NOW, rows))
    assert openvex.statements_of(document) == tuple(replace(row, time=NOW) for row in rows)


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"@context": "https://evil", "statements": []},
        {"@context": openvex.CONTEXT, "statements": [{"vulnerability": {"name": "x"}, "status": "fine"}]},
        {"@context": openvex.CONTEXT, "statements": [{"status": "fixed"}]},
        {"@context": openvex.CONTEXT, "statements": [{"vulnerability": "", "status": "fixed"}]},
    ],
)
def test_vex_that_is_none_is_refused(value: Any) -> None:
    with pytest.raises(FormatError):
        openvex.check(value)


def test_a_link_reads_back() -> None:
    made = link.Link("bundle", ("tar", "c"), {"a": sha256(b"a")}, {"return-value": 0})
    assert link.parse({**plain(made), "more": 1}) == made
    for wrong in ({}, {"name": "x", "command": "tar"}, {"name": "x", "materials": [{"name": "a"}]}):
        with pytest.raises(FormatError):
            link.parse(wrong)


def test_documents_of_bills_of_materials_are_told_apart() -> None:
    cyclonedx.check({"bomFormat": "CycloneDX", "specVersion": "1.6"})
    old = {"spdxVersion": "SPDX-2.3", "SPDXID": "SPDXRef-DOCUMENT", "name": "x"}
    new = {"@context": "https://spdx.org/rdf/3.0.1/spdx-context.jsonld", "@graph": []}
    assert (spdx.type_of(old), spdx.type_of(new)) == (spdx.TYPE_V23, spdx.TYPE_V3)
    assert spdx.type_of({**old, "spdxVersion": "SPDX-2.2"}) == spdx.TYPE
    for wrong in ({}, {"bomFormat": "CycloneDX", "specVersion": "2"}, {"bomFormat": "other", "specVersion": "1.6"}):
        with pytest.raises(FormatError):
            cyclonedx.check(wrong)
    for wrong in ({}, {**old, "SPDXID": "x"}, {**new, "@context": "https://evil"}, {**old, "spdxVersion": "3"}):
        with pytest.raises(FormatError):
            spdx.check(wrong)


def test_sources_of_provenance_are_found_wherever_they_stand() -> None:
    predicate = {
        "buildDefinition": {
            "externalParameters": {"source": {"uri": "git+https://a"}, "workflow": {"repository": "https://b"}},
            "resolvedDependencies": [{"uri": "git+https://c@v1"}, {"uri": "https://no-git"}, 7],
        }
    }
    assert slsa_provenance.sources_of(predicate) == ("https://a", "https://b", "https://c@v1")
    assert slsa_provenance.sources_of({}) == ()


@pytest.mark.parametrize(
    ("name", "predicate"),
    [
        ("slsa-provenance", {"runDetails": {"metadata": {"finishedOn": "2026-03-01T10:00:00.5+01:00"}}}),
        ("vulns", {"metadata": {"scanStartedOn": "2026-03-01T09:00:00.5Z"}}),
        ("openvex", {"timestamp": "2026-03-01T09:00:00.5Z"}),
        ("cyclonedx", {"metadata": {"timestamp": "2026-03-01T09:00:00.5Z"}}),
        ("vsa", {"timeVerified": "2026-03-01T09:00:00.5Z"}),
    ],
)
def test_the_claimed_time_is_read_as_other_tools_write_it(name: str, predicate: Any) -> None:
    statement = Statement((Subject("x", sha256(b"x")),), predicates.types_of(name)[0], predicate)
    assert claimed_time(statement) == datetime(2026, 3, 1, 9, 0, 0, 500000, UTC)


@pytest.mark.parametrize("text", [None, 3, "", "yesterday", "2026-03-01", "2026-03-01T09:00:00", "9" * 50])
def test_a_time_that_is_none_is_none(text: Any) -> None:
    statement = Statement((Subject("x", sha256(b"x")),), vulns.TYPE, {"metadata": {"scanFinishedOn": text}})
    assert claimed_time(statement) is None


FORMS = Path(__file__).parents[3] / "data" / "forms"


def generators() -> dict[str, Any]:
    """The predicate of a genuine SLSA generator, of v0.2."""
    envelope = json.loads((FORMS / "slsa-go.intoto.jsonl").read_bytes())
    statement = json.loads(base64.b64decode(envelope["payload"]))
    assert statement["predicateType"] == slsa_provenance.TYPE_V02
    found: dict[str, Any] = statement["predicate"]
    return found


def test_provenance_of_the_version_before_is_read() -> None:
    found = generators()
    slsa_provenance.check(found)
    assert slsa_provenance.builder_of(found).startswith("https://github.com/slsa-framework/slsa-github-generator/")
    assert [uri.partition("@")[0] for uri in slsa_provenance.sources_of(found)] == [
        "https://github.com/slsa-framework/example-package"
    ]
    assert slsa_provenance.trees_of(found) == frozenset()
    assert predicates.short_name(slsa_provenance.TYPE_V02) == "slsa-provenance"
    assert predicates.written("slsa-provenance", {}) == slsa_provenance.TYPE


@pytest.mark.parametrize("change", [{"builder": {}}, {"builder": None}, {"buildType": 3}, {"runDetails": {}}])
def test_a_mixture_of_versions_is_none(change: dict[str, Any]) -> None:
    with pytest.raises(FormatError, match="SLSA provenance"):
        slsa_provenance.check({**generators(), **change})
