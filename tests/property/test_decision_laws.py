"""Laws of the decision: it depends on what the evidence says, on nothing else."""

from __future__ import annotations

import moves
from hypothesis import given, settings
from hypothesis import strategies as st
from moves import approval, attest, gate, provenance, provenances, request, root

from attest.digests import sha256
from attest.judging.decisions import decide
from attest.trust.policies import ChannelPolicy

USEFUL = [
    approval("ann"),
    approval("ann", id="11" * 16),
    approval("ben"),
    approval("cleo"),
    moves.release_statement(),
    gate("unit"),
    gate("unit", by="aud"),
    *provenances(),
    *provenances("ci2"),
]
USELESS = [
    b"",
    b"{}",
    b"not json",
    approval("ann", channel="staging"),
    approval("ben", expires=moves.NOW),
    approval("zoe"),
    approval("aud"),
    gate("unit", result="FAILED"),
    gate("other"),
    provenance({"else": sha256(b"else")}),
    provenance(moves.TREES, "ann"),
    attest("ann", "https://example.com/other/v1", {"release": moves.RELEASE}, {"k": 1}),
]
POLICIES = [
    ChannelPolicy("staging", 2, ("slsa-provenance",)),
    ChannelPolicy("staging", 1, ("gate:unit", "slsa-provenance"), gates={"unit": None}, separate_duties=False),
    ChannelPolicy("staging", 3, ("sbom",)),
    ChannelPolicy("staging", 0),
]
ROOTS = [moves.policy(policy) for policy in POLICIES]

some = st.lists(st.sampled_from(USEFUL), unique=True)
roots = st.sampled_from(ROOTS)


@settings(deadline=None)
@given(roots, some, st.randoms(use_true_random=False))
def test_the_order_of_attestations_changes_nothing(trust_root, found, random) -> None:  # type: ignore[no-untyped-def]
    shuffled = [*found, *found[:2]]
    random.shuffle(shuffled)
    assert decide(request(), trust_root, shuffled) == decide(request(), trust_root, found)


@settings(deadline=None)
@given(roots, some, st.lists(st.sampled_from(USELESS)))
def test_useless_attestations_change_nothing(trust_root, found, useless) -> None:  # type: ignore[no-untyped-def]
    with_them, without = (decide(request(), trust_root, items) for items in ([*useless, *found], found))
    assert (with_them.allowed, with_them.rules, with_them.evidence) == (
        without.allowed,
        without.rules,
        without.evidence,
    )


@settings(deadline=None)
@given(roots, some)
def test_the_evidence_list_alone_gives_the_same_decision(trust_root, found) -> None:  # type: ignore[no-untyped-def]
    decision = decide(request(), trust_root, found)
    again = decide(request(), trust_root, [raw for raw in found if sha256(raw) in decision.evidence])
    assert (again.allowed, again.evidence) == (decision.allowed, decision.evidence)
    assert [(r.id, r.status) for r in again.rules] == [(r.id, r.status) for r in decision.rules]


@settings(deadline=None)
@given(roots, some, some)
def test_more_evidence_never_takes_back_what_was_allowed(trust_root, found, more) -> None:  # type: ignore[no-untyped-def]
    if decide(request(), trust_root, found).allowed:
        assert decide(request(), trust_root, [*found, *more]).allowed


@settings(deadline=None)
@given(st.integers(1, 5), st.lists(st.sampled_from(["ann", "ben", "cleo"])), st.booleans())
def test_thresholds_count_distinct_identities(needed, signers, doubled) -> None:  # type: ignore[no-untyped-def]
    people = {**moves.PEOPLE, **({"anna": ("approver",)} if doubled else {})}
    entries = (*root().identities, *([moves.identity("anna", "ann")] if doubled else []))
    trust_root = root(people, identities=entries, channels={**moves.CHANNELS, "prod": ChannelPolicy("staging", needed)})
    given_ones = [approval(name, id=f"{number:032x}") for number, name in enumerate(signers)]
    decision = decide(request(), trust_root, given_ones)
    assert decision.allowed == (len(set(signers)) >= needed)


@settings(deadline=None)
@given(st.lists(st.sampled_from(USELESS)), roots.filter(lambda r: r.channels["prod"].approvals > 0))
def test_default_deny(useless, trust_root) -> None:  # type: ignore[no-untyped-def]
    assert not decide(request(), trust_root, useless).allowed
    assert not decide(request(channel="unknown"), trust_root, USEFUL).allowed
