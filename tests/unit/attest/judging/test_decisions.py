"""The decision: default deny, and a reason for each thing that is missing."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import moves
import pytest
from moves import ARCHIVES, CHANNELS, DIFF, NOW, RELEASE, TREES, approval, provenances, request, root, signer

from attest.digests import sha256
from attest.judging.decisions import Decision, decide
from attest.statements.predicates import isolation, vsa
from attest.trust.policies import ChannelPolicy
from attest.trust.trust_roots import TrustRoot
from casstore.store.attestations import id_of

PROD = CHANNELS["prod"]
ENOUGH = [approval("ann"), approval("ben"), *provenances()]


def rule(decision: Decision, name: str) -> Any:
    return next(item for item in decision.rules if item.id == name)


def ask(attestations: list[bytes], trust_root: TrustRoot | None = None, **changes: Any) -> Decision:
    options = {key: changes.pop(key) for key in ("revoked", "recorded") if key in changes}
    return decide(request(**changes), trust_root or root(), attestations, **options)


def test_enough_is_enough() -> None:
    decision = ask(ENOUGH)
    assert decision.allowed and decision.ignored == ()
    assert decision.evidence == tuple(sorted(sha256(raw) for raw in ENOUGH))


def test_nothing_is_not() -> None:
    decision = ask([])
    assert not decision.allowed
    assert [(r.id, r.count_missing, r.action) for r in decision.rules if r.status != "satisfied"] == [
        ("slsa-provenance", 4, "attest"),
        ("approvals", 2, "approve"),
    ]


def test_an_unknown_channel_and_an_expired_trust_root_are_refused() -> None:
    assert [r.id for r in ask(ENOUGH, channel="beta").rules] == ["policy"]
    late = ask(ENOUGH, now=root().expires)
    assert (rule(late, "trust-root").status, rule(late, "trust-root").action) == ("refused", "rotate")
    assert not late.allowed


def test_the_release_must_have_been_in_the_channel_before() -> None:
    decision = ask(ENOUGH, in_channels=frozenset({"dev"}))
    assert (decision.allowed, rule(decision, "from").action) == (False, "promote-first")


def test_who_promotes_must_be_a_promoter() -> None:
    assert rule(ask(ENOUGH, promoter=signer("ann").identity), "promoter").status == "refused"
    assert rule(ask(ENOUGH, promoter=signer("zoe").identity), "promoter").status == "refused"


@pytest.mark.parametrize("what", [RELEASE, *ARCHIVES.values(), *TREES.values()])
def test_what_was_revoked_is_refused(what: str) -> None:
    decision = ask(ENOUGH, revoked={what})
    assert (decision.allowed, rule(decision, "not-revoked").action) == (False, "new-release")


def test_a_revoked_attestation_or_signer_counts_no_more() -> None:
    for revoked in (id_of(ENOUGH[0]), signer("ann").identity):
        decision = ask(ENOUGH, revoked={revoked})
        assert rule(decision, "approvals").count_missing == 1
        assert [item.reason for item in decision.ignored] == ["it, or who signed it, was revoked"]


SCOPES: list[tuple[dict[str, Any], str]] = [
    ({"store": "another"}, "store 'another'"),
    ({"ledger": "other"}, "ledger 'other'"),
    ({"action": "rollback"}, "given for 'rollback'"),
    ({"action": "rehearse"}, "given for 'rehearse'"),
    ({"channel": "staging"}, "channel 'staging'"),
    ({"from_move": sha256(b"other")}, "has moved since"),
    ({"diff": sha256(b"other")}, "another difference"),
    ({"expires": NOW}, "it expired at 2026-03-01T09:00:00Z"),
    ({"release": sha256(b"other")}, "another release"),
]


@pytest.mark.parametrize(("changes", "told"), SCOPES)
def test_an_approval_covers_exactly_what_it_names(changes: dict[str, Any], told: str) -> None:
    decision = ask([*ENOUGH[1:], approval("ann", **changes)])
    assert not decision.allowed
    assert [told in item.reason for item in decision.ignored] == [True]


def test_who_may_still_approve_is_told() -> None:
    decision = ask([ENOUGH[0], *provenances()])
    approvals = rule(decision, "approvals")
    assert (approvals.message, approvals.who) == ("1 of 2 approvals (by ann)", ("ben", "cleo"))


def test_an_approval_by_who_is_no_approver_is_ignored() -> None:
    decision = ask([*ENOUGH[1:], approval("aud")])
    assert "has not the role approver" in decision.ignored[0].reason


def test_one_approver_counts_once() -> None:
    twice = [approval("ann"), approval("ann", id="00" * 16), *provenances()]
    assert rule(ask(twice), "approvals").count_missing == 1


def test_one_key_under_two_names_counts_once() -> None:
    people = {**moves.PEOPLE, "anna": ("approver",)}
    doubled = root(people, identities=(*root().identities, moves.identity("anna", "ann")))
    twice = [approval("ann"), approval("ann", id="00" * 16), *provenances()]
    decision = ask(twice, doubled)
    assert rule(decision, "approvals").message == "1 of 2 approvals (by ann, anna)"
    assert rule(decision, "approvals").who == ("ben", "cleo")


def test_who_built_or_promotes_approves_nothing() -> None:
    people = {**moves.PEOPLE, "ci": ("builder", "approver"), "pam": ("promoter", "approver")}
    both = root(people)
    decision = ask([approval("ci"), approval("pam"), *provenances()], both)
    assert rule(decision, "approvals").message == "0 of 2 approvals"
    assert {item.reason[:34] for item in decision.ignored} == {
        "it was signed by who built the rel",
        "it was signed by who promotes: nob",
    }
    lax = root(people, channels={**CHANNELS, "prod": ChannelPolicy("staging", 2, separate_duties=False)})
    assert ask([approval("ci"), approval("pam")], lax).allowed


def test_the_signer_of_the_release_statement_built_it() -> None:
    people = {**moves.PEOPLE, "ci2": ("builder", "approver")}
    decision = ask([approval("ann"), approval("ci2"), moves.release_statement("ci2"), *provenances()], root(people))
    assert not decision.allowed


def test_evidence_that_tells_who_built_belongs_to_the_list() -> None:
    statement = moves.release_statement()
    assert sha256(statement) in ask([*ENOUGH, statement]).evidence


def test_a_rollback_has_its_own_number_of_approvals_and_no_channel_before() -> None:
    trust_root = moves.policy(ChannelPolicy("staging", 2, rollback_approvals=1))
    asked = request(action="rollback", in_channels=frozenset())
    assert not decide(asked, trust_root, [approval("ann")]).allowed
    assert decide(asked, trust_root, [approval("ann", asked)]).allowed


def test_evidence_must_come_from_the_role() -> None:
    decision = ask([*ENOUGH[:2], *provenances("aud")])
    assert rule(decision, "slsa-provenance").count_missing == 4
    assert rule(decision, "slsa-provenance").who == ("ci", "ci2")
    assert "has none of the roles builder" in decision.ignored[0].reason


def test_what_cannot_be_verified_is_absent() -> None:
    damaged = provenances()[0].replace(b'"sig":"M', b'"sig":"N')
    decision = ask([*ENOUGH[:2], damaged, b"", b"{}", *provenances()[1:]])
    assert rule(decision, "slsa-provenance").message == "missing for component core-bin, component licences"
    assert len(decision.ignored) == 3


def test_isolation_with_findings_does_not_count() -> None:
    def said(findings: tuple[dict[str, Any], ...]) -> bytes:
        claim = isolation.Isolation({"core": {"default": sha256(b"m")}}, isolation.STRICT, {}, findings, (), (), 2)
        return moves.attest("ci", isolation.TYPE, ARCHIVES, claim.to_json())

    trust_root = moves.policy(ChannelPolicy("staging", 0, ("isolation",)))
    assert ask([said(())], trust_root).allowed
    assert not ask([said(({"kind": "same"},))], trust_root).allowed


def test_a_failed_summary_does_not_count() -> None:
    def said(result: str) -> bytes:
        claim = vsa.VerificationSummary("https://v", NOW, "pkg:generic/core@1.4.0", "urn:p", DIFF, result)
        return moves.attest("pam", vsa.TYPE, ARCHIVES, claim.to_json())

    trust_root = moves.policy(ChannelPolicy("staging", 0, ("vsa",)))
    assert ask([said("PASSED")], trust_root).allowed
    assert not ask([said("FAILED")], trust_root).allowed


@pytest.mark.parametrize("subjects", [ARCHIVES, TREES, {"release": RELEASE}])
def test_a_passed_gate_covers_all_trees_all_archives_or_the_release(subjects: dict[str, Any]) -> None:
    trust_root = moves.policy(ChannelPolicy("staging", 0, ("gate:unit",), gates={"unit": None}))
    assert ask([moves.gate("unit", subjects=subjects)], trust_root).allowed
    assert not ask([moves.gate("unit", result="FAILED", subjects=subjects)], trust_root).allowed
    assert not ask([moves.gate("other", subjects=subjects)], trust_root).allowed
    assert not ask([moves.gate("unit", by="ann", subjects=subjects)], trust_root).allowed


def test_a_gate_over_a_part_does_not_count() -> None:
    trust_root = moves.policy(ChannelPolicy("staging", 0, ("gate:unit",), gates={"unit": None}))
    part = dict(list(ARCHIVES.items())[:1])
    assert not ask([moves.gate("unit", subjects=part)], trust_root).allowed


def test_the_blocker_map() -> None:
    value = ask([ENOUGH[0]]).to_json()
    assert value["allowed"] is False
    row = next(item for item in value["rules"] if item["id"] == "approvals")
    assert row == {
        "id": "approvals",
        "status": "missing",
        "message": "1 of 2 approvals (by ann)",
        "actor_needed": ["ben", "cleo"],
        "next_action": "approve",
        "missing": 1,
        "evidence": [sha256(ENOUGH[0])],
        "blocks": True,
    }


def test_an_identity_outside_its_window_counts_for_nothing() -> None:
    ended = moves.identity("ann", valid_until=NOW - timedelta(hours=1))
    trust_root = root(identities=tuple(ended if e.name == "ann" else e for e in root().identities))
    decision = ask(ENOUGH, trust_root)
    assert rule(decision, "approvals").who == ("cleo",)
