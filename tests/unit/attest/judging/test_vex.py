"""OpenVEX over an artifact: genuine documents, then who wins, what matches and what is told."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from attest.digests import Digest, sha256
from attest.errors import FormatError
from attest.judging import vex
from attest.judging.vex import Artifact
from attest.statements.predicates import openvex

DATA = Path(__file__).parents[3] / "data" / "openvex"
NOW = datetime(2026, 3, 1, 9, tzinfo=UTC)
ARCHIVE = sha256(b"archive")
CORE = Artifact.of_archive("core-1.4.0.tar.gz", "1.4.0", ARCHIVE)


def genuine(name: str) -> tuple[str, dict[str, Any]]:
    return name, json.loads((DATA / name).read_bytes())


def row(status: str = "not_affected", name: str = "CVE-1", *, days: float | None = 0, **more: Any) -> dict[str, Any]:
    time = {} if days is None else {"timestamp": (NOW - timedelta(days=30 - days)).isoformat()}
    why = {"justification": "component_not_present"} if status == "not_affected" else {}
    return {"vulnerability": {"name": name}, "status": status, **why, **time, **more}


def judged(
    *documents: list[dict[str, Any]], artifact: Artifact = CORE, findings: set[str] | None = None
) -> vex.Judged[int]:
    found = [{"@context": openvex.CONTEXT, "statements": rows} for rows in documents]
    return vex.judge(enumerate(found), artifact, findings or {"CVE-1"}, now=NOW)


@pytest.mark.parametrize("path", sorted(DATA.glob("*.json")), ids=lambda path: path.name)
def test_genuine_documents_of_all_versions_are_read(path: Path) -> None:
    found = openvex.statements_of(json.loads(path.read_bytes()))
    assert found and all(item.products and item.products[0].ids[0].startswith("pkg:") for item in found)
    assert all(item.time is not None for item in found), "with nanoseconds and offsets as they are"


def test_genuine_documents_speak_of_what_they_name() -> None:
    image = Digest("sha256:124c7d2707904eea7431fffe91522a01e5a861a624ee31d03372cc1d138a3126")
    alpine = Artifact(frozenset({"alpine"}), "3.18", image)
    found = vex.judge([genuine("v0.2.0.json")], alpine, {"CVE-2023-1255", "CVE-2023-2650"}, now=NOW)
    assert found.harmless == {"CVE-2023-1255", "CVE-2023-2650"}
    other = vex.judge([genuine("v0.2.0.json")], CORE, {"CVE-2023-1255"}, now=NOW)
    assert not other.harmless and "it names pkg:oci/alpine@sha256" in other.dropped[0]
    git = Artifact(frozenset({"git"}), "2.39.0-r1", None)
    assert vex.judge([genuine("v0.0.1.json")], git, {"CVE-2023-12345"}, now=NOW).harmless
    nginx = Artifact(frozenset(), "", Digest("sha256:13d22ec63300e16014d4a42aed735207a8b33c223cff19627dd3042e5a10a3a0"))
    by_alias = vex.judge([genuine("sample-history.openvex.json")], nginx, {"SNYK-DEBIAN12-LIBDE265-3361563"}, now=NOW)
    assert by_alias.harmless == {"SNYK-DEBIAN12-LIBDE265-3361563"}


def test_the_newest_of_two_genuine_documents_wins_in_any_order() -> None:
    bash = Artifact(frozenset({"bash"}), "1.0.0", None)
    first, second = genuine("document1.vex.json"), genuine("document2.vex.json")
    for documents in ([first, second], [second, first]):
        assert vex.judge(documents, bash, {"CVE-1234-5678"}, now=NOW).harmless == {"CVE-1234-5678"}
    assert not vex.judge([first], bash, {"CVE-1234-5678"}, now=NOW).harmless


@pytest.mark.parametrize("later", ["under_investigation", "affected"])
def test_what_is_newer_takes_back_what_was_cleared(later: str) -> None:
    assert judged([row(days=1)]).harmless == {"CVE-1"}
    for documents in ([[row(days=1)], [row(later, days=2)]], [[row(later, days=2), row(days=1)]]):
        found = judged(*documents)
        assert not found.harmless and found.dropped == (f"CVE-1 (a newer statement says {later})",)
    assert judged([row(later, days=1)], [row(days=2)]).harmless == {"CVE-1"}
    assert not judged([row(later, days=1), row(days=1)]).harmless, "at the same time the worse counts"


def test_aliases_are_one_vulnerability_over_all_documents() -> None:
    cleared = row(days=1, vulnerability={"name": "CVE-1", "aliases": ["GHSA-1"]})
    assert judged([cleared], findings={"GHSA-1"}).harmless == {"GHSA-1"}
    taken_back = row("affected", days=2, vulnerability={"name": "GHSA-1"})
    assert not judged([cleared], [taken_back]).harmless, "the newer one calls it by its other name"
    chain = row("affected", days=3, vulnerability={"name": "OSV-1", "aliases": ["GHSA-1"]})
    assert not judged([cleared], [chain]).harmless


@pytest.mark.parametrize(
    "product",
    [
        "core-1.4.0.tar.gz",
        "core",
        str(ARCHIVE),
        "pkg:generic/core",
        "pkg:generic/team/core@1.4.0",
        "pkg:generic/core-1.4.0.tar.gz",
        f"pkg:oci/whatever@sha256%3A{ARCHIVE[7:]}",
        f"pkg:generic/other@9?checksum=sha1:ab,sha256:{ARCHIVE[7:]}",
        f"pkg:generic/other?arch=x&checksum=sha256%3A{ARCHIVE[7:]}#sub/path",
        {"@id": "anything", "hashes": {"sha-256": ARCHIVE[7:]}},
        {"@id": "x", "identifiers": {"purl": "pkg:generic/core@1.4.0"}},
    ],
)
def test_a_product_is_the_archive(product: Any) -> None:
    assert judged([row(products=[product])]).harmless == {"CVE-1"}


@pytest.mark.parametrize(
    "product",
    [
        "core-1.4.0.tar.gz.evil",
        "corE",
        "pkg:generic/core@1.4.1",
        "pkg:generic/core-evil@1.4.0",
        "pkg:generic/core%2Fevil@1.4.0",
        "pkg:generic/core/evil",
        f"pkg:generic/core@1.4.0?checksum=sha256:{'0' * 64}",
        {"@id": "core-1.4.0.tar.gz", "hashes": {"sha-256": "0" * 64}},
        {"@id": "pkg:generic/core@1.4.0", "hashes": {"sha-256": "0" * 64}},
        {"subcomponents": [{"@id": "core"}]},
        str(sha256(b"other")),
        "",
    ],
)
def test_a_look_alike_is_another_product(product: Any) -> None:
    found = judged([row(products=[product])])
    assert not found.harmless and "which is not core" in found.dropped[0]


def test_what_is_passed_over_is_told_with_the_reason() -> None:
    bare = {**row(), "justification": ""}
    assert judged([bare]).dropped == ("CVE-1 (not_affected without a justification or an impact statement)",)
    assert judged([row(days=31)]).dropped == ("CVE-1 (it is dated in the future)",)
    assert judged([row(name="CVE-2")]).dropped == (), "nobody found that one"
    assert judged([{**bare, "impact_statement": "not reached"}]).harmless == {"CVE-1"}


def test_a_statement_from_nowhere_in_time() -> None:
    assert judged([row(days=None)]).harmless == {"CVE-1"}
    assert not judged([row(days=None)], [row("affected", days=0)]).harmless
    assert not judged([row(days=9)], [row("affected", days=None)]).harmless, "what takes back counts as the newest"
    assert not judged([row(days=9)], [row("affected", days=40)]).harmless, "a future one too"


@pytest.mark.parametrize(
    "changes",
    [
        {"products": [3]},
        {"products": [{"hashes": ["x"]}]},
        {"products": {"@id": "core"}},
        {"vulnerability": {"name": "CVE-1", "aliases": "GHSA-1"}},
        {"vulnerability": {"aliases": ["GHSA-1"]}},
        {"justification": 3},
    ],
)
def test_a_statement_of_another_shape_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(FormatError, match="OpenVEX"):
        judged([{**row(), **changes}])
