"""Statements of every predicate type that tools of the field write are recorded and shown."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import worlds
from worlds import NOW, World

from attest.digests import hex_of
from attest.statements import statements
from casstore.machine import clock
from cli.main import invoke

V01 = "https://in-toto.io/Statement/v0.1"
SPDX = {"spdxVersion": "SPDX-2.3", "SPDXID": "SPDXRef-DOCUMENT", "name": "core"}
_GENUINE = json.loads((Path(__file__).parents[4] / "data" / "forms" / "pypi.publish.attestation").read_bytes())
PUBLISHED = json.loads(base64.b64decode(_GENUINE["envelope"]["statement"]))
TYPES: dict[str, Any] = {
    "https://slsa.dev/provenance/v0.1": {"builder": {"id": "https://b"}, "recipe": {"type": "t"}},
    "https://slsa.dev/provenance/v0.2": {"builder": {"id": "https://b"}, "buildType": "https://t"},
    "https://slsa.dev/provenance/v1": {"buildDefinition": {"buildType": "https://t"}, "runDetails": {"builder": {}}},
    "https://slsa.dev/verification_summary/v0.1": {"verifier": {"id": "https://v"}, "verification_result": "PASSED"},
    "https://slsa.dev/verification_summary/v0.2": {"verifier": {"id": "https://v"}, "verification_result": "PASSED"},
    "https://slsa.dev/verification_summary/v1": {"verifier": {"id": "https://v"}, "verificationResult": "PASSED"},
    "https://in-toto.io/attestation/link/v0.3": {"name": "build", "command": ["make"], "materials": []},
    "https://in-toto.io/attestation/scai/attribute-report/v0.2": {
        "attributes": [{"attribute": "WITH_STACK_PROTECTION"}]
    },
    "https://in-toto.io/attestation/scai/v0.3": {"attributes": [{"attribute": "WITH_STACK_PROTECTION"}]},
    "https://in-toto.io/attestation/svr/v0.1": {"verifier": {"id": "https://v"}, "properties": ["P"]},
    "https://in-toto.io/attestation/test-result/v0.1": {"result": "PASSED", "configuration": []},
    "https://in-toto.io/attestation/vulns/v0.1": {"scanner": {"uri": "https://s"}},
    "https://in-toto.io/attestation/vulns/v0.2": {"scanner": {"uri": "https://s", "result": []}},
    "https://in-toto.io/attestation/release/v0.1": {"purl": "pkg:generic/core@1"},
    "https://in-toto.io/attestation/release/v0.2": {"purl": "pkg:generic/core@1"},
    "https://in-toto.io/attestation/runtime-trace/v0.1": {"monitor": {"type": "https://m"}, "monitorLog": {}},
    PUBLISHED["predicateType"]: PUBLISHED["predicate"],
    "https://github.com/npm/attestation/tree/main/specs/publish/v0.1": {"name": "core", "version": "1.0.0"},
    "https://cosign.sigstore.dev/attestation/v1": {"Data": "x", "Timestamp": "2026-03-01T00:00:00Z"},
    "https://cosign.sigstore.dev/attestation/vuln/v1": {"scanner": {}, "metadata": {}},
    "https://model_signing/signature/v1.0": {"resources": [], "serialization": {"method": "files"}},
    **{f"https://spdx.dev/Document{version}": SPDX for version in ("", "/v2.2", "/v2.3", "/v3", "/v3.0", "/v3.0.1")},
    **{
        f"https://cyclonedx.org/bom{version}": {"bomFormat": "CycloneDX", "specVersion": version[2:] or "1.6"}
        for version in ("", *(f"/v1.{minor}" for minor in range(2, 8)))
    },
    **{
        f"https://openvex.dev/ns{version}": {"@context": f"https://openvex.dev/ns{version}", "statements": []}
        for version in ("", "/v0.0.0", "/v0.0.1", "/v0.0.2", "/v0.2.0")
    },
}
"""Type -> a predicate as its tools write it, as short as may be."""


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CASSTORE_STORE", str(tmp_path / "store"))
    monkeypatch.setattr(clock, "now", lambda: NOW + timedelta(days=1))
    world = World.make(str(tmp_path / "store"))
    yield world
    world.store.close()


def lines(archive: str, **changes: Any) -> bytes:
    """A bundle of each type, signed by ci, one a line."""
    rows = []
    for kind, predicate in TYPES.items():
        subject = {"name": "core.tar.gz", "digest": {"sha256": hex_of(archive), "gitCommit": "0" * 40}}
        statement = {"_type": statements.STATEMENT_V1, "subject": [subject], "predicateType": kind,
                     "predicate": predicate, **changes}  # fmt: skip
        rows.append(worlds.signer("ci").sign_statement(json.dumps(statement).encode()))
    return b"\n".join(rows)


@pytest.mark.parametrize("old", [False, True], ids=["v1", "v0.1"])
def test_every_type_is_recorded_and_shown(world: World, old: bool, capsys: pytest.CaptureFixture[str]) -> None:
    archive = world.release("1.0.0").archives["core-1.0.0.tar.gz"]
    Path("all.jsonl").write_bytes(lines(archive, **({"_type": V01} if old else {})))
    assert invoke(["import", "all.jsonl", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["imported"]
    assert {row["outcome"] for row in rows} == {"recorded"} and len(rows) == len(TYPES)
    assert not world.state.void and len(world.state.evidence[archive]) >= len(TYPES)
    assert invoke(["attest", "show", "all.jsonl"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert [row["statement"]["predicateType"] for row in shown] == list(TYPES)
    assert all(row["about"][0]["digest"]["sha256"] == hex_of(archive) for row in shown)


@pytest.mark.parametrize(
    "left_out", [{"predicate": None}, {"predicate": {}}, {"subject": "nameless"}, {"subject": "no name"}], ids=str
)
def test_what_tools_leave_out(world: World, left_out: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    archive = world.release("1.0.0").archives["core-1.0.0.tar.gz"]
    digest = {"digest": {"sha256": hex_of(archive)}}
    names = {"nameless": [{"name": None, **digest}], "no name": [digest]}
    changed = {**left_out, **({"subject": names[left_out["subject"]]} if "subject" in left_out else {})}
    Path("all.jsonl").write_bytes(lines(archive, **changed))
    assert invoke(["import", "all.jsonl", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["imported"]
    assert {row["outcome"] for row in rows} == {"recorded"}
