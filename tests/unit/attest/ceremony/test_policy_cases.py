"""Policy cases: the table of the documentation, and what a table must not do."""

from __future__ import annotations

import re
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from attest.ceremony import policy_cases
from attest.errors import BadInput, FormatError
from attest.trust.policies import parse_channels

PAGE = Path(__file__).parents[4] / "docs/formats/policy-cases.md"
NOW = datetime(2026, 3, 3, 9, 0, tzinfo=UTC)
CHANNELS = parse_channels(
    {
        "dev": {"approvals": 0},
        "staging": {"from": "dev", "approvals": 1},
        "prod": {
            "from": "staging",
            "approvals": 2,
            "require": ["slsa-provenance", "vulns"],
            "soak": 24 * 3600,
            "rolledBack": "refuse",
            "steps": [{"share": 5, "soak": 3600}, {"share": 25, "soak": 7200}],
            "freeze": [{"days": ["sat", "sun"], "reason": "nobody is there"}],
            "maxAge": {"vulns": 7200},
            "builders": ["https://ci.example/*"],
            "sources": ["https://git.example/*"],
            "vulnerabilities": {"critical": 0, "high": 1},
            "rules": [{"id": "named", "expression": "'pam' in request.promoter"}],
        },
    }
)
TABLE: dict[str, Any] = tomllib.loads(re.findall(r"```toml\n(.*?)```", PAGE.read_text(), re.DOTALL)[0])
GOOD: dict[str, Any] = TABLE["cases"][0]
SOURCE = {"type": "slsa-provenance", "by": "ci", "source": "https://git.example/core@v1"}
SCAN = {"type": "vulns", "by": "aud", "findings": {"high": 1}, "age": 3600}
APPROVALS = [{"type": "approval", "by": "ann"}, {"type": "approval", "by": "ben"}]


def failing(**changes: Any) -> set[str]:
    table = {**TABLE, "cases": [{**GOOD, **changes}]}
    (result,) = policy_cases.run(policy_cases.parse(table), CHANNELS, now=NOW)
    assert result.decision.allowed == (not result.failing)
    return set(result.failing)


def test_the_table_of_the_documentation_passes() -> None:
    plain = parse_channels({"dev": {"approvals": 0}, "staging": {"from": "dev", "approvals": 1}, "prod": {
        "from": "staging", "approvals": 2, "require": ["slsa-provenance", "vulns"]}})  # fmt: skip
    results = policy_cases.run(policy_cases.parse(TABLE), plain, now=NOW)
    assert [result.told for result in results if not result.passed] == []


def test_the_good_case_is_allowed() -> None:
    assert failing() == set()


DENIED: list[tuple[str, dict[str, Any], set[str]]] = [
    ("soak", {"in": {"staging": 3600}}, {"soak"}),
    ("as bad", {"rolled_back": {"staging": "it crashes"}}, {"rolled-back"}),
    ("never there", {"in": {"dev": 9}}, {"from", "soak"}),
    ("saturday", {"now": "2026-03-07T12:00:00Z"}, {"freeze"}),
    ("sunday's last second", {"now": "2026-03-08T23:59:59Z"}, {"freeze"}),
    ("an old scan", {"evidence": [*APPROVALS, SOURCE, {**SCAN, "age": 7201}]}, {"vulns"}),
    ("two high", {"evidence": [*APPROVALS, SOURCE, {**SCAN, "findings": {"high": 2}}]}, {"vulnerabilities"}),
    ("one critical", {"evidence": [*APPROVALS, SOURCE, {**SCAN, "findings": {"critical": 1}}]}, {"vulnerabilities"}),
    ("a clean scan beside", {"evidence": [*APPROVALS, SOURCE, {**SCAN, "findings": {}},
                                          {**SCAN, "findings": {"high": 2}}]}, {"vulnerabilities"}),
    ("another builder", {"evidence": [*APPROVALS, {**SOURCE, "builder": "https://evil.example/"}, SCAN]},
     {"slsa-provenance"}),
    ("another source", {"evidence": [*APPROVALS, {**SOURCE, "source": "https://evil.example/x"}, SCAN]},
     {"slsa-provenance"}),
    ("no source", {"evidence": [*APPROVALS, {"type": "slsa-provenance", "by": "ci"}, SCAN]}, {"slsa-provenance"}),
    ("an expired approval", {"evidence": [{**APPROVALS[0], "expired": True}, APPROVALS[1], SOURCE, SCAN]},
     {"approvals"}),
    ("a revoked approver", {"revoked": ["ann"]}, {"approvals"}),
    ("all at once", {"share": "all"}, {"share"}),
    ("a step left out", {"share": "25%"}, {"share"}),
    ("before its soak", {"share": "25%", "canary": {"share": "5%", "ran": 3599}}, {"share"}),
    ("before the last soak", {"canary": {"share": "25%", "ran": 7199}}, {"share"}),
    ("an own rule", {"promoter": None}, {"rule:named"}),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "wanted"), [row[1:] for row in DENIED], ids=[row[0] for row in DENIED])
def test_each_rule_can_fail_alone(changes: dict[str, Any], wanted: set[str]) -> None:
    assert failing(**changes) == wanted


@pytest.mark.parametrize(
    "step",
    [
        {"share": "5%"},
        {"share": "25%", "canary": {"share": "5%", "ran": 3600}},
        {"canary": {"share": "25%", "ran": 7200}},
        {"canary": {"share": "25%", "ran": 0}, "action": "rollback"},
    ],
)
def test_each_step_is_allowed_in_its_turn(step: dict[str, Any]) -> None:
    assert failing(**step) == set()


def test_a_rollback_is_possible_in_a_freeze() -> None:
    now = {"now": "2026-03-07T12:00:00Z", "action": "rollback", "in": {}}
    assert failing(**now) == set()


def test_a_wrong_expectation_is_told() -> None:
    wrong = {**GOOD, "expect": "deny", "missing": ["approvals"]}
    (result,) = policy_cases.run(policy_cases.parse({**TABLE, "cases": [wrong]}), CHANNELS, now=NOW)
    assert not result.passed and "should be denied for approvals, is allowed" in result.told


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"cases": []}, "there is no case"),
        ({"people": {"ann": ["king"]}}, "'king' is no role"),
        ({"cases": [{**GOOD, "expect": "maybe"}]}, "neither allow nor deny"),
        ({"cases": [{**GOOD, "chanel": "x"}]}, "unknown field 'chanel'"),
        ({"cases": [{**GOOD, "share": "half"}]}, "not a percentage"),
        ({"cases": [{**GOOD, "share": "100%"}]}, "from 1 to 99"),
        ({"cases": [{**GOOD, "promoter": "zoe"}]}, "'zoe' is not among the people"),
        ({"cases": [{**GOOD, "evidence": [{"type": "magic", "by": "ann"}]}]}, "'magic' needs a predicate"),
        ({"cases": [{**GOOD, "evidence": [{**SCAN, "findings": {"bad": 1}}]}]}, "'bad' is no severity"),
        ({"more": 1}, "unknown field 'more'"),
    ],
)
def test_a_wrong_table_is_refused(change: dict[str, Any], told: str) -> None:
    with pytest.raises(FormatError, match=told):
        policy_cases.parse({**TABLE, **change})


def test_an_unknown_channel_is_refused() -> None:
    with pytest.raises(BadInput, match="no channel 'beta'"):
        policy_cases.run(policy_cases.parse({**TABLE, "cases": [{**GOOD, "channel": "beta"}]}), CHANNELS, now=NOW)
