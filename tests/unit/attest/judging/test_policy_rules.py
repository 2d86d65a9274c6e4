"""Rules that limit: findings with VEX, rebuilds, who may sign, and own rules in CEL."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import moves
import pytest
from moves import ARCHIVES, NOW, provenances, request

from attest import canonical
from attest.digests import sha256
from attest.errors import FormatError
from attest.judging.decisions import Decision, Record, decide
from attest.statements.predicates import openvex, vulns
from attest.statements.predicates.openvex import Vex, VexStatement
from attest.statements.predicates.vulns import Finding, Scan
from attest.trust.policies import ChannelPolicy
from attest.trust.policy_parts import CustomRule, Freeze
from casstore.store.attestations import id_of

LIMITED = ChannelPolicy("staging", 0, ("vulns",), vulnerabilities={"critical": 0, "high": 1})


def scan(*findings: Finding, by: str = "aud") -> bytes:
    return moves.attest(by, vulns.TYPE, ARCHIVES, Scan("https://s", "1", findings, NOW).to_json())


def vex(name: str, by: str = "aud", status: str = "not_affected") -> bytes:
    row = VexStatement(name, status, justification="component_not_present")
    return moves.attest(by, openvex.TYPE, ARCHIVES, Vex("https://x", by, NOW, (row,)).to_json())


def ask(policy: ChannelPolicy, *attestations: bytes, **changes: Any) -> Decision:
    options = {key: changes.pop(key) for key in ("revoked", "recorded") if key in changes}
    return decide(request(**changes), moves.policy(policy), list(attestations), **options)


BAD = Finding("CVE-1", {"cvss": "9.8"})


def test_findings_beyond_the_limit_refuse_and_vex_takes_them_off() -> None:
    assert ask(LIMITED, scan()).allowed
    assert not ask(LIMITED, scan(BAD)).allowed
    explained = ask(LIMITED, scan(BAD), vex("CVE-1"))
    assert explained.allowed and sha256(vex("CVE-1")) in explained.evidence
    assert not ask(LIMITED, scan(BAD), vex("CVE-2")).allowed
    assert not ask(LIMITED, scan(BAD), vex("CVE-1", by="ann")).allowed, "an approver explains nothing"


def test_who_may_explain_can_be_limited() -> None:
    policy = replace(LIMITED, signers={"openvex": ("auditor",)})
    assert not ask(policy, scan(BAD), vex("CVE-1", by="ci")).allowed
    assert ask(LIMITED, scan(BAD), vex("CVE-1", by="ci")).allowed


def test_the_worst_of_all_scans_counts() -> None:
    assert not ask(LIMITED, scan(), scan(BAD, by="ci")).allowed


def test_the_list_of_evidence_keeps_what_speaks_against() -> None:
    decision = ask(LIMITED, scan(), scan(BAD, by="ci"))
    assert set(decision.evidence) == {sha256(scan()), sha256(scan(BAD, by="ci"))}


def test_rebuilds_need_distinct_builders_for_every_digest() -> None:
    policy = ChannelPolicy("staging", 0, ("slsa-provenance",), rebuilds=2)
    provenances = partial(moves.provenances, build_type="https://example.org/build/v1")
    assert not ask(policy, *provenances()).allowed
    assert not ask(policy, *provenances(), *provenances(builder_id="https://other")).allowed, "the same signer twice"
    assert ask(policy, *provenances(), *provenances("ci2")).allowed
    assert not ask(policy, *provenances(), *provenances("ci2")[:-1]).allowed
    assert not ask(policy, *provenances(), *provenances("ci2"), revoked={moves.signer("ci2").identity}).allowed


def test_who_may_sign_a_requirement_can_be_changed() -> None:
    policy = ChannelPolicy("staging", 0, ("gate:unit",), gates={"unit": None}, signers={"gate:unit": ("auditor",)})
    assert not ask(policy, moves.gate("unit", by="ci")).allowed
    assert ask(policy, moves.gate("unit", by="aud")).allowed


def test_evidence_of_no_known_age_is_too_old() -> None:
    policy = ChannelPolicy("staging", 0, ("gate:unit",), gates={"unit": None}, max_age={"gate:unit": 3600})
    raw = moves.gate("unit")
    assert "never handed in" in ask(policy, raw).ignored[0].reason
    young = Record(1, NOW - timedelta(minutes=59), moves.root())
    assert ask(policy, raw, recorded={sha256(raw): young}).allowed
    old = replace(young, at=NOW - timedelta(minutes=61))
    assert not ask(policy, raw, recorded={sha256(raw): old}).allowed


def test_a_freeze_window_is_closed_at_its_start_and_open_at_its_end() -> None:
    window = Freeze(NOW, NOW + timedelta(hours=1))
    assert window.holds(NOW) and not window.holds(NOW + timedelta(hours=1))
    assert not Freeze(days=("mon",)).holds(NOW) and Freeze(days=("sun",)).holds(NOW)


# own rules


def cel(expression: str, *uses: str, **changes: Any) -> ChannelPolicy:
    pytest.importorskip("celpy", reason="cel-python is not installed (extra cel)")
    return ChannelPolicy("staging", 0, rules=(CustomRule("own", expression, uses, **changes),))


@pytest.mark.parametrize(
    "expression",
    [
        'request.channel == "prod" && request.action == "promote"',
        'request.promoter == ["pam"]',
        "size(request.archives) == 2 && 'core-bin' in request.components",
        'request.now < timestamp("2026-03-02T00:00:00Z")',
        'attestations.exists(a, a.predicate.result == "PASSED" && "ci" in a.names)',
        "attestations.all(a, a.ageSeconds == -1 && a.roles == ['builder'])",
    ],
)
def test_own_rules_see_the_request_and_the_evidence(expression: str) -> None:
    assert ask(cel(expression, "test-result"), moves.gate("unit")).allowed


@pytest.mark.parametrize(
    "expression",
    ["false", "1", '"true"', "nothing", "attestations[9].type == ''", "1 / 0 == 1", "size(attestations) > 5"],
)
def test_anything_but_true_refuses(expression: str) -> None:
    decision = ask(cel(expression, "test-result"), moves.gate("unit"))
    assert not decision.allowed
    (rule,) = (rule for rule in decision.rules if rule.id == "rule:own")
    assert len(rule.message) < 300


def test_a_rule_sees_only_what_it_uses_and_what_counts() -> None:
    count = cel("size(attestations) == 1", "test-result")
    elsewhere = moves.gate("unit", subjects={"x": sha256(b"elsewhere")})
    assert ask(count, moves.gate("unit"), *provenances(), elsewhere).allowed
    assert sha256(moves.gate("unit")) in ask(count, moves.gate("unit")).evidence
    assert not ask(count, moves.gate("unit"), revoked={id_of(moves.gate("unit"))}).allowed


@pytest.mark.parametrize("expression", ["1 +", "matches('a', 'b')", '"a".matches ("a")'])
def test_what_is_no_expression_is_refused_before_it_is_signed(expression: str) -> None:
    from attest.ceremony import ceremony

    with pytest.raises(FormatError):
        ceremony.draft(moves.policy(cel(expression)))


# one writing


def test_a_full_policy_reads_back_and_defaults_are_left_out() -> None:
    from attest.trust.policies import parse_channels

    full = replace(
        LIMITED,
        require=("slsa-provenance", "vulns"),
        signers={"vulns": ("auditor",)},
        soak=60,
        freeze=(Freeze(days=("sat",)), Freeze(NOW, NOW + timedelta(days=1), reason="x")),
        max_age={"vulns": 1},
        builders=("https://b/*",),
        sources=("https://s",),
        rebuilds=2,
        rules=(CustomRule("own", "true"),),
    )
    value = canonical.loads_object(canonical.dumps({"a": full.to_json()}), what="x")["a"]
    assert ChannelPolicy.parse("prod", value) == full
    assert len(parse_channels({"d": {"approvals": 0}})["d"].to_json()) == 5


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"signers": {"sbom": ["auditor"]}}, "signers or maxAge names sbom"),
    ({"require": ["sbom"], "signers": {"sbom": ["king"]}}, "are no roles"),
    ({"require": ["sbom"], "signers": {"sbom": []}}, "are no roles"),
    ({"maxAge": {"vulns": 5}}, "names vulns"),
    ({"require": ["vulns"], "maxAge": {"vulns": 0}}, "vulns is not"),
    ({"soak": 5}, "soak needs from"),
    ({"builders": ["x"]}, "need slsa-provenance"),
    ({"rebuilds": 2}, "rebuilds needs"),
    ({"rebuilds": 0}, "rebuilds is not"),
    ({"vulnerabilities": {"high": 1}}, "needs vulns"),
    ({"require": ["vulns"], "vulnerabilities": {"hi": 1}}, "is no severity"),
    ({"freeze": [{}]}, "either from and until, or days"),
    ({"freeze": [{"days": ["caturday"]}]}, "is no day"),
    ({"freeze": [{"from": "2026-01-02T00:00:00Z", "until": "2026-01-01T00:00:00Z"}]}, "ends before"),
    ({"freeze": [{"from": "2026-01-02T00:00:00Z"}]}, "either from and until"),
    ({"freeze": "always"}, "a list of objects"),
    ({"rules": [{"id": "A", "expression": "true"}]}, "small letters"),
    ({"rules": [{"id": "a", "expression": " "}]}, "expression is empty"),
    ({"rules": [{"id": "a", "expression": "true"}] * 2}, "same id"),
    ({"rules": [{"id": "a", "expression": "true", "who": "king"}]}, "who is no role"),
]


@pytest.mark.parametrize(("value", "told"), WRONG)
def test_a_limit_that_can_have_no_effect_or_meaning_is_refused(value: dict[str, Any], told: str) -> None:
    with pytest.raises(FormatError, match=told):
        ChannelPolicy.parse("prod", {"approvals": 0, **value})


def test_trees_without_a_name_for_provenance_do_not_pass() -> None:
    policy = ChannelPolicy("staging", 0, ("slsa-provenance",), sources=("https://git/*",))
    named = provenances(external_parameters={"source": "https://git/x"})
    assert ask(policy, *named).allowed
    assert not ask(policy, *provenances()).allowed


@pytest.mark.parametrize(
    ("rule", "known", "status"),
    [
        ("refuse", None, None),
        ("refuse", {}, "satisfied"),
        ("refuse", {"dev": "it crashes"}, "refused"),
        ("allow", {"dev": "it crashes"}, "satisfied"),
        ("allow", {}, None),
        ("allow", None, None),
    ],
)
def test_what_was_rolled_back_is_judged_by_who_knows_it(
    rule: str, known: dict[str, str] | None, status: str | None
) -> None:
    """A consumer is shown no other channel's moves: of them nothing is said, least of all that there were none."""
    decision = ask(ChannelPolicy("staging", 0, rolled_back=rule), rolled_back=known)
    assert [one.status for one in decision.rules if one.id == "rolled-back"] == ([status] if status else [])
    assert decision.allowed == (status != "refused")
