"""JUnit reports become test-results: what ran and how it ended, nothing that is only claimed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from attest.errors import FormatError
from attest.statements.predicates import test_result
from bundlers.inspection import test_reports
from cli.main import invoke

PYTEST = b"""<?xml version="1.0" encoding="utf-8"?><testsuites name="pytest tests">
<testsuite name="pytest" errors="1" failures="1" skipped="1" tests="4" time="1.25"
  timestamp="2026-03-01T10:00:00+00:00">
<testcase classname="tests.test_core" name="test_a[1]" time="0.1"/>
<testcase classname="tests.test_core" name="test_b"><failure message="no">assert 1 == 2</failure>
<error>and its end too</error></testcase>
<testcase classname="tests.test_core" name="test_c"><skipped message="why"/></testcase>
<testcase name="test_d"/></testsuite></testsuites>"""
SUREFIRE = b"""<testsuite name="it" tests="1" failures="0"><testcase classname="A" name="a">
<flakyFailure type="x" message="once"/></testcase>
<testsuite name="inner"><testcase name="b"/></testsuite></testsuite>"""


def test_what_pytest_writes() -> None:
    report = test_reports.read(PYTEST, what="report.xml")
    assert report.told == "pytest: 2 passed, 0 flaky, 1 failed, 1 skipped"
    said = report.predicate()
    assert test_result.parse(said).failed == ("tests.test_core.test_b",)
    assert said["result"] == "FAILED" and said["passedTests"] == ["tests.test_core.test_a[1]", "pytest.test_d"]
    (row,) = said["configuration"]
    assert row["name"] == "junit:pytest" and row["annotations"] == {
        "counts": {"passed": 2, "flaky": 0, "failed": 1, "skipped": 1},
        "timestamp": "2026-03-01T10:00:00+00:00",
        "seconds": 1.25,
    }


def test_what_passed_at_last_is_a_warning_and_suites_lie_in_suites() -> None:
    said = test_reports.read(b"\xef\xbb\xbf" + SUREFIRE, what="x").predicate()
    assert (said["result"], said["warnedTests"], said["passedTests"]) == ("WARNED", ["A.a"], ["it.b"])
    good = SUREFIRE.replace(b"flakyFailure", b"system-out")
    assert test_reports.read(good, what="x").predicate()["result"] == "PASSED"


@pytest.mark.parametrize(
    ("report", "told"),
    [
        (b"<testsuites/>", "no test was run"),
        (b"<testsuite><testcase name='a'><skipped/></testcase></testsuite>", "no test was run"),
        (b"<html><testcase name='a'/></html>", "begins with 'html'"),
        (b"<testsuite><testcase/></testsuite>", "a test case has no name"),
        (b"<testsuite", "no XML"),
        (b"<?xml version='1.0' encoding='no-such'?><testsuite/>", "no XML"),
        (b"<testsuite failures='many'><testcase name='a'/></testsuite>", "is no number"),
    ],
)
def test_what_is_no_report(report: bytes, told: str) -> None:
    with pytest.raises(FormatError, match=told):
        test_reports.read(report, what="report.xml")


def test_by_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    Path("report.xml").write_bytes(PYTEST)
    assert invoke(["keys", "generate", "key.pem", "--no-passphrase"]) == 0
    about = ["attest", "sign", f"core=sha256:{'0' * 64}", "--key", "key.pem", "--predicate", "report.xml"]
    assert invoke([*about, "--type", "test-result", "--out", "made.json"]) == 0
    assert "JUnit report of pytest: 2 passed, 0 flaky, 1 failed, 1 skipped" in capsys.readouterr().err
    assert invoke(["attest", "show", "made.json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["statement"]["predicate"]["result"] == "FAILED"
    assert invoke([*about, "--type", "vulns", "--out", "other.json"]) == 3, "XML is no scan"
