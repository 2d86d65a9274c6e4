"""The audit verifies anew, tells everything, and is never green while something stands in the way."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from attest.digests import to_raw
from attest.errors import BadInput
from attest.statements.predicates import revocation, test_result
from attest.statements.statements import of_digests
from attest.trust.policies import ChannelPolicy
from bundlers import blockers
from bundlers.audit import AuditReport, audit
from bundlers.audit.page import page
from casstore.errors import NoSuchObject
from casstore.ledger.book.log import Ledger
from casstore.ledger.entries import EntryKind
from casstore.objects.pack_format import piece_at
from casstore.store.store import Store
from tests.support.lines import GATES, TOML, Line
from tests.support.worlds import CHANNELS, signer

DOCS = Path(__file__).parents[4] / "docs" / "formats"


@pytest.fixture
def line(tmp_path: Path) -> Line:
    made = Line.make(tmp_path)
    made.put("1.0.0")
    made.ship("1.0.0")
    return made


def audited(line: Line, ref: str, **options: Any) -> AuditReport:
    return audit(line.store, line.ledger, ref, now=line.now, **options)


def statuses(report: AuditReport) -> dict[str, str]:
    return {check.id: check.status for check in report.checks}


def wrong(report: AuditReport) -> set[str]:
    return {check.id for check in report.checks if check.status == "blocker"}


def test_a_channel_that_holds(line: Line) -> None:
    line.to_prod("1.0.0")
    report = audited(line, "prod")
    assert wrong(report) == set()
    assert (report.verdict, report.exit_code) == ("warnings", 2), "nobody rehearsed a rollback"
    value = report.to_json()
    assert value["subject"]["move"]["by"] == "pam" and value["subject"]["version"] == "1.0.0"
    assert sorted(row["by"] for row in value["approvals"]) == [["ann"], ["bob"]]
    said = {row["gate"]: row["settings"] for row in value["gates"]}
    assert said.keys() == {"platform", "seal", "secrets", "budget", "isolation"}
    assert said["budget"] == {"archive": "10MB", "files": 100} and said["isolation"]["minSize"] == 1, "in full"
    assert {row["status"] for row in value["evidence"]} == {"verified"}
    assert statuses(report)["objects.core"] == statuses(report)["ledger.chain"] == "ok"


def test_a_release_on_its_way(line: Line) -> None:
    """To dev nothing is missing; then it lacks the approvals of the next channel, which exit code 4 says."""
    assert (audited(line, "1.0.0").exit_code, audited(line, "1.0.0").subject["channel"]) == (0, "dev")
    line.promote("1.0.0", "dev")
    report = audited(line, "1.0.0")
    assert (report.subject["channel"], report.exit_code, wrong(report)) == ("staging", 4, {"policy.approvals"})
    assert "casstore explain 1.0.0 --to staging" in report.blockers[0].suggested_fix
    assert wrong(audited(line, "1.0.0", to="prod")) == {"policy.approvals", "policy.from"}
    line.approve("1.0.0", "staging", "ann")
    assert audited(line, "1.0.0").exit_code == 0


def test_the_report_is_what_its_page_and_schema_say(line: Line) -> None:
    line.to_prod("1.0.0")
    value = audited(line, "prod", tool="1").to_json()
    schema = json.loads((DOCS / "audit-report.schema.json").read_text())
    assert list(value) == schema["required"] == list(schema["properties"])
    conforms(value, schema, schema)
    told = (DOCS / "audit-report.md").read_text()
    example = json.loads(re.search(r"```json\n(.*?)```", told, re.DOTALL)[1])  # type: ignore[index]
    assert list(example) == list(value)


def conforms(value: Any, schema: dict[str, Any], whole: dict[str, Any]) -> None:
    """Enough of JSON schema for ours: every keyword that it uses, and no other."""
    if "$ref" in schema:
        conforms(value, whole["$defs"][schema["$ref"].rpartition("/")[2]], whole)
        return
    kinds = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool, "null": type(None)}
    wanted = schema.get("type", [])
    allowed = tuple(kinds[name] for name in ([wanted] if isinstance(wanted, str) else wanted))
    assert not allowed or isinstance(value, allowed), (value, schema)
    assert "enum" not in schema or value in schema["enum"]
    assert "const" not in schema or value == schema["const"]
    assert "pattern" not in schema or re.search(schema["pattern"], value), value
    for name in schema.get("required", ()) if isinstance(value, dict) else ():
        assert name in value
    for name, inner in schema.get("properties", {}).items() if isinstance(value, dict) else ():
        if name in value:
            conforms(value[name], inner, whole)
    for item in value if "items" in schema else ():
        conforms(item, schema["items"], whole)


def test_damage_is_found_though_everything_was_folded_before(line: Line) -> None:
    line.to_prod("1.0.0")
    assert wrong(audited(line, "prod")) == set()
    archive = line.state.find_release("1.0.0").archives["core-1.0.0.tar.gz"]
    located = line.store.catalog.locate(to_raw(archive))
    assert located is not None
    path = line.root.parent / "store" / "packs" / located.pack.hex()[:2] / f"{located.pack.hex()}.pack"
    raw = bytearray(path.read_bytes())
    raw[piece_at(located.pieces, located.place.piece).offset + 20] ^= 1
    path.chmod(0o644)
    path.write_bytes(raw)
    with Store.open(str(line.root.parent / "store"), read_only=True) as store:
        report = audit(store, Ledger(store), "prod", now=line.now)
    assert report.exit_code == 7
    assert wrong(report) and wrong(report) <= {"objects.core", "objects.agent"}, "whose bytes share the block"


def test_damage_in_a_component_is_found_though_its_archive_is_whole(line: Line) -> None:
    line.promote("1.0.0", "dev")
    (content,) = [e.content for p, e in line.store.walk(line.state.components["1.0.0", "licences"]) if b"MIT" in p]
    located = line.store.catalog.locate(to_raw(content))
    assert located is not None
    path = line.root.parent / "store" / "packs" / located.pack.hex()[:2] / f"{located.pack.hex()}.pack"
    raw = bytearray(path.read_bytes())
    raw[piece_at(located.pieces, located.place.piece).offset + 5] ^= 1
    path.chmod(0o644)
    path.write_bytes(raw)
    with Store.open(str(line.root.parent / "store"), read_only=True) as store:
        report = audit(store, Ledger(store), "dev", now=line.now)
    assert (report.exit_code, wrong(report)) == (7, {"objects.components"})
    assert "component " in next(check.message for check in report.checks if check.id == "objects.components")


def test_a_failed_result_that_was_handed_in_blocks(line: Line) -> None:
    archives = line.state.find_release("1.0.0").archives
    claim = test_result.ResultClaim("FAILED", ({"name": "smoke"},), failed=("smoke",))
    statement = of_digests(archives, test_result.TYPE, claim.to_json())
    line.append(EntryKind.EVIDENCE, signer("aud").sign_statement(statement.to_bytes()))
    report = audited(line, "1.0.0")
    assert (report.exit_code, wrong(report)) == (10, {"gates.smoke"})


@pytest.mark.parametrize(("gate", "code"), [("branch-protection", 5), ("baseline", 6), ("unit", 10)])
def test_a_gate_that_the_policy_asks_for_and_nobody_ran(line: Line, gate: str, code: int) -> None:
    policy = replace(CHANNELS["dev"], require=(f"gate:{gate}",), gates={gate: ({},)})
    line.next_root(channels={**CHANNELS, "dev": policy})
    report = audited(line, "1.0.0")
    assert report.exit_code == code and any(check.endswith(gate) for check in wrong(report))
    assert report.to_json()["protection"]["asked"] is (gate == "branch-protection")
    assert report.to_json()["baseline"]["asked"] is (gate == "baseline")


def test_revoked_evidence_and_releases_do_not_hold(line: Line) -> None:
    line.to_prod("1.0.0")
    release = line.state.find_release("1.0.0")
    claim = revocation.Revocation("artifact", "a back door", line.now)
    statement = of_digests({"release": release.digest}, revocation.TYPE, claim.to_json())
    line.append(EntryKind.REVOKE, signer("olga").sign_statement(statement.to_bytes()))
    report = audited(line, "prod")
    assert report.exit_code == 3 and {"evidence.revoked", "policy.not-revoked"} <= wrong(report)


def test_void_entries_and_ends_are_warnings_and_an_expired_root_is_none(line: Line) -> None:
    line.promote("1.0.0", "dev")
    line.force(
        EntryKind.PROMOTE, signer("ann").sign_statement(of_digests({"x": release_of(line)}, "t", {}).to_bytes()), "dev"
    )
    assert any(
        check.id.startswith("ledger.void") and check.status == "warning" for check in audited(line, "dev").checks
    )
    line.later(days=350)
    assert any(check.id.startswith("trust.ends") for check in audited(line, "dev").checks)
    line.later(days=30)

    assert (audited(line, "dev").exit_code, wrong(audited(line, "dev"))) == (4, {"trust.root"})


def release_of(line: Line) -> Any:
    return line.state.find_release("1.0.0").digest


def test_nothing_is_ready_while_a_blocker_is_open(line: Line) -> None:
    record = blockers.Blocker("unit", "it does not work", (), "mend it")
    data = blockers.to_bytes("1.0.0", [record])
    report = audited(line, "1.0.0", blockers=[("b.json", data)])
    assert (report.exit_code, report.verdict, report.to_json()["ready"]) == (10, "blocked", False)
    other = blockers.to_bytes("0.9.0", [record])
    assert audited(line, "1.0.0", blockers=[("b.json", other)]).exit_code == 0
    resolved = blockers.to_bytes("1.0.0", [replace(record, status="resolved")])
    assert audited(line, "1.0.0", blockers=[("b.json", resolved)]).exit_code == 0
    assert audited(line, "1.0.0", blockers=[("b.json", b"{}")]).verdict == "blocked"


def test_gates_of_the_release_s_own_configuration_must_have_results(line: Line, tmp_path: Path) -> None:
    """What the release was made with counts, not what casstore.toml says today."""
    line.configure(TOML + GATES + 'later = { command = ["true"] }\n')
    assert "gates.later" not in statuses(audited(line, "1.0.0"))
    line.put("1.1.0")
    line.ship("1.1.0")
    assert statuses(audited(line, "1.1.0"))["gates.later"] == "ok"


def test_publications_that_lag_behind_are_told(line: Line, tmp_path: Path) -> None:
    from bundlers.publishing.layout.destinations import DestinationSettings
    from bundlers.publishing.publication import PublishSigners, publish_to

    line.promote("1.0.0", "dev")
    settings = DestinationSettings("cdn", str(tmp_path / "public"))
    publish_to(line.store, line.ledger, "dev", settings, PublishSigners(signer("pete"), signer("log")), now=line.now)
    assert statuses(audited(line, "dev"))["publication.cdn"] == "ok"
    line.put("1.1.0")
    line.ship("1.1.0")
    line.later().promote("1.1.0", "dev")
    (check,) = [check for check in audited(line, "dev").checks if check.id == "publication.cdn"]
    assert (check.status, check.message, check.hint) == (
        "warning",
        "cdn still shows 1.0.0",
        "casstore publish dev --to cdn",
    )


def test_unknown_things(line: Line) -> None:
    for ref in ("9.9.9", "prod", "nowhere"):
        with pytest.raises(NoSuchObject):
            audited(line, ref)


def test_pages_hold_nothing_but_text(line: Line) -> None:
    line.promote("1.0.0", "dev")
    value = audited(line, "dev").to_json()
    value["subject"]["move"]["reason"] = "<script>alert(1)</script> | [x](http://evil) \n# forged \u202eturned\x1b"
    as_html, as_text = page(value, "html").decode(), page(value, "md").decode()
    assert "<script" not in as_html and "&lt;script&gt;" in as_html
    assert "\\<script\\>" in as_text and "\\[x\\]" in as_text and "\\| \\[" in as_text
    for text in (as_html, as_text):
        assert "\n# forged" not in text and "\u202e" not in text and "\x1b" not in text and "u202eturned" in text
    for told in ("1.0.0", value["ledger"]["tip"], "Who allowed it", "objects.core"):
        assert told in as_html
    with pytest.raises(BadInput):
        page(value, "pdf")


def test_by_command(line: Line, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from cli.main import invoke

    line.promote("1.0.0", "dev")
    monkeypatch.setenv("CASSTORE_TESTING", "1")
    monkeypatch.setenv("CASSTORE_NOW", "2026-03-01T09:01:00Z")
    monkeypatch.chdir(line.root)
    assert invoke(["audit", "dev", "--report", "dev.html", "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["verdict"] == "warnings"
    assert (line.root / "dev.html").read_bytes().startswith(b"<!doctype html>")
    assert invoke(["audit", "1.0.0"]) == 4
    assert "hint: policy.approvals: casstore explain 1.0.0 --to staging" in capsys.readouterr().err
    assert invoke(["audit", "dev", "--report", "dev.pdf"]) == 2
    assert not (line.root / "dev.pdf").exists()


def test_policies_that_ask_for_nothing_are_no_excuse(line: Line) -> None:
    assert isinstance(CHANNELS["dev"], ChannelPolicy)
    report = audited(line, "1.0.0")
    assert statuses(report)["gates.isolation"] == statuses(report)["gates.seal"] == "ok"
