"""Reports of test runners that hide a failure, hold a parser, or read a file: refused, with the reason."""

from __future__ import annotations

import pytest

from attest.errors import FormatError
from attest.trust.requirements import check_known
from bundlers.inspection import test_reports

BOMB = b"".join(
    b'<!ENTITY e%d "%s">' % (level, b"&e%d;" % (level - 1) * 10 if level else b"lol" * 10) for level in range(9)
)
PASSED = b"<testcase name='good'/>"
FAILED = b"<testcase name='bad'><failure/></testcase>"


@pytest.mark.parametrize(
    ("report", "told"),
    [
        (b"<!DOCTYPE t [%s]><testsuite name='&e8;'>%s</testsuite>" % (BOMB, PASSED), "no report needs"),
        (b"<!DOCTYPE t SYSTEM 'file:///etc/passwd'><testsuite>%s</testsuite>" % PASSED, "no report needs"),
        (b"<!DOCTYPE t [<!ENTITY x SYSTEM 'file:///etc/hostname'>]><testsuite name='&x;'/>", "no report needs"),
        (b"<testsuites><testsuite>%s</testsuite>%s</testsuites>" % (PASSED, FAILED), "2 test cases stand in it, and 1"),
        (b"<testsuites><testsuite>%s<odd>%s</odd></testsuite></testsuites>" % (PASSED, FAILED), "2 test cases"),
        (b"<testsuite>%s<x:testcase xmlns:x='urn:x' name='b'><x:failure/></x:testcase></testsuite>" % PASSED, "2 test"),
        (b"<testsuite failures='1'>%s</testsuite>" % PASSED, "tells of failures that it does not list"),
        (
            b"<testsuites errors='2'><testsuite>%s%s</testsuite></testsuites>" % (PASSED, FAILED),
            "that it does not list",
        ),
        (b"<testsuite>%s<error message='no set-up'/></testsuite>" % PASSED, "that it does not list"),
        (b"<testsuite>" * 200_000 + PASSED, "JUnit|no XML|parser|memory"),
        (b"<testsuite>%s</testsuite><testsuite>%s</testsuite>" % (PASSED, FAILED), "no XML"),
    ],
)
def test_what_hides_a_failure_or_costs_too_much_is_refused(report: bytes, told: str) -> None:
    with pytest.raises(FormatError, match=told):
        test_reports.read(report, what="report.xml")


def test_deep_suites_cost_a_budget_and_no_process() -> None:
    deep = b"<testsuite>" * 5_000 + PASSED + b"</testsuite>" * 5_000
    with pytest.raises(FormatError, match=r"report\.xml: "):
        test_reports.read(deep, what="report.xml")
    assert test_reports.read(b"<testsuite>%s</testsuite>" % PASSED, what="x").tests["passed"] == ("good",)


def test_a_failure_in_a_namespace_of_its_own_fails() -> None:
    odd = b"<testsuite><testcase name='a'><x:failure xmlns:x='urn:x'/></testcase></testsuite>"
    with pytest.raises(FormatError, match="a failure that is not read"):
        test_reports.read(odd, what="report.xml")


def test_an_imported_report_never_passes_for_a_gate() -> None:
    """Whatever a suite calls itself: no gate can be named like it."""
    report = b"<testsuite name='secrets'>%s</testsuite>" % PASSED
    (row,) = test_reports.read(report, what="report.xml").predicate()["configuration"]
    assert row["name"] == "junit:secrets"
    with pytest.raises(FormatError, match="unknown requirement"):
        check_known(f"gate:{row['name']}", "policy")
