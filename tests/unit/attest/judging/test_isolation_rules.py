"""What a signed policy asks of the isolation check, and what its approvers are asked where something new explains."""

from __future__ import annotations

from typing import Any

import moves
import pytest
from moves import ARCHIVES, approval, request

from attest.digests import sha256
from attest.errors import FormatError
from attest.judging import explained
from attest.judging.decisions import decide
from attest.judging.explained import Explained
from attest.statements.predicates import isolation
from attest.statements.predicates.isolation import STRICT
from attest.trust.isolation_rules import IsolationRules
from attest.trust.policies import ChannelPolicy

TREE, OTHER = sha256(b"tree"), sha256(b"other")
REFERENCE = Explained("reference", "runtime", TREE, 500, 3)
WHOLE = Explained("acceptance", "fonts", TREE, 900, 2, ("agent", "core"), "one font", True)
PARTS = Explained("acceptance", "blas", OTHER, 700, 2, ("agent", "core"), "both link it", False)


def claim(parameters: dict[str, Any] | None = None, *rows: Explained) -> bytes:
    references = {row.name: row.tree for row in rows if row.kind == "reference"}
    accepted = tuple(
        {"name": row.name, "tree": row.tree, "between": list(row.between), "whole": row.whole}
        for row in rows
        if row.kind == "acceptance"
    )
    said = {**STRICT, "references": references, **(parameters or {})}
    made = isolation.Isolation({"core": {"default": TREE}}, said, {}, (), (), accepted, 2)
    return moves.attest("ci", isolation.TYPE, ARCHIVES, made.to_json())


def allowed(rules: dict[str, Any], raw: bytes, *rows: Explained) -> bool:
    policy = ChannelPolicy("staging", 0, ("isolation",), isolation=IsolationRules.parse(rules, "rules"))
    asked = request(explained=explained.ordered(rows), explained_before=rows)
    return decide(asked, moves.policy(policy), [raw]).allowed


LOOSER: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"minSize": 1_000_000_000}, {"minSize": 1_000_000_000}),
    ({"copies": "off"}, {"copies": "off"}),
    ({"minCopy": 4096}, {"minCopy": 4096}),
    ({"unopened": "nonsense"}, {}),
    ({"maxDepth": 1}, {}),
    ({"maxMember": 10}, {}),
    ({"maxTotal": 10}, {}),
    ({"maxRatio": 1}, {}),
    ({"minEntropy": "8"}, {}),
    ({"minEntropy": "none"}, {}),
    ({"fails": {**STRICT["fails"], "together": 2**40}}, {}),
    ({"minSize": True}, {}),
    ({"maxDepth": "many"}, {}),
]


@pytest.mark.parametrize(("said", "rules"), LOOSER)
def test_parameters_that_are_looser_than_asked_do_not_count(said: dict[str, Any], rules: dict[str, Any]) -> None:
    assert allowed({}, claim())
    assert not allowed({}, claim(said))
    if rules:
        assert allowed(rules, claim(said)), "the owners signed that they may be"


@pytest.mark.parametrize("name", STRICT)
def test_a_parameter_that_is_not_told_is_looser(name: str) -> None:
    said = {key: value for key, value in STRICT.items() if key != name}
    made = isolation.Isolation({"core": {"default": TREE}}, said, {}, (), (), (), 2)
    assert not allowed({}, moves.attest("ci", isolation.TYPE, ARCHIVES, made.to_json()))


def test_stricter_parameters_count_and_a_policy_can_ask_for_them() -> None:
    assert allowed({}, claim({"maxDepth": 9, "unopened": "fail", "minEntropy": "1"}))
    assert not allowed({"unopened": "fail"}, claim())
    assert allowed({"unopened": "fail"}, claim({"unopened": "fail"}))


@pytest.mark.parametrize(
    ("row", "rules", "fits"),
    [
        (REFERENCE, {}, False),
        (REFERENCE, {"references": [OTHER]}, False),
        (REFERENCE, {"accepted": [TREE]}, False),
        (REFERENCE, {"references": [TREE]}, True),
        (REFERENCE, {"references": ["*"]}, True),
        (WHOLE, {}, False),
        (WHOLE, {"references": [TREE]}, False),
        (WHOLE, {"accepted": [OTHER, TREE]}, True),
        (WHOLE, {"accepted": ["*"]}, True),
        (PARTS, {}, True),
    ],
)
def test_a_reference_or_a_whole_acceptance_must_be_listed(row: Explained, rules: dict[str, Any], fits: bool) -> None:
    assert allowed(rules, claim(None, row), row) is fits


@pytest.mark.parametrize(
    ("said", "listed"),
    [((), (PARTS,)), ((PARTS,), ()), ((PARTS,), (WHOLE, PARTS)), ((REFERENCE, PARTS), (PARTS,))],
)
def test_what_is_attested_is_what_approvers_were_shown(
    said: tuple[Explained, ...], listed: tuple[Explained, ...]
) -> None:
    assert not allowed({"references": ["*"], "accepted": ["*"]}, claim(None, *said), *listed)


def test_what_newly_explains_needs_one_approval_at_least() -> None:
    root = moves.policy(ChannelPolicy("staging", 0, ()))
    new = request(explained=(PARTS,))
    denied = decide(new, root, [])
    assert [rule.id for rule in denied.rules if rule.status != "satisfied"] == ["approvals"]
    assert "'blas' explains common content, and is new" in denied.rules[-1].message
    assert decide(new, root, [approval("ann")]).allowed
    known = request(explained=(PARTS,), explained_before=(PARTS,))
    assert decide(known, root, []).allowed
    renamed = Explained("acceptance", "x", OTHER, 700, 2, ("agent", "core"), "another reason", False)
    assert decide(request(explained=(renamed,), explained_before=(PARTS,)), root, []).allowed
    for other in (WHOLE, REFERENCE):
        assert not decide(request(explained=(other,), explained_before=(PARTS,)), root, []).allowed
    assert decide(request(explained=(), explained_before=(PARTS,)), root, []).allowed
    assert decide(request(action="rollback", explained=(PARTS,)), moves.policy(ChannelPolicy(None, 0)), []).allowed


@pytest.mark.parametrize(
    "rules",
    [
        {"copies": "maybe"},
        {"unopened": "no"},
        {"minCopy": 511},
        {"minSize": -1},
        {"references": ["runtime"]},
        {"accepted": "*"},
        {"max_depth": 2},
    ],
)
def test_rules_that_are_none(rules: dict[str, Any]) -> None:
    value = {"approvals": 0, "require": ["isolation"], "isolation": rules}
    with pytest.raises(FormatError, match="isolation"):
        ChannelPolicy.parse("prod", value)


def test_rules_without_the_requirement_are_a_mistake_and_defaults_are_not_written() -> None:
    with pytest.raises(FormatError, match="require does not name it"):
        ChannelPolicy.parse("prod", {"approvals": 0, "isolation": {"accepted": ["*"]}})
    full = {"approvals": 0, "require": ["isolation"], "isolation": {"accepted": ["*"], "copies": "fail"}}
    assert ChannelPolicy.parse("prod", full).to_json()["isolation"] == {"accepted": ["*"]}
    assert "isolation" not in ChannelPolicy("staging", 0, ("isolation",)).to_json()


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "other"},
        {"between": ["core", "agent"]},
        {"between": ["core"]},
        {"bytes": -1},
        {"tree": "x"},
        {"more": 1},
    ],
)
def test_a_row_of_a_release_object_has_one_writing(change: dict[str, Any]) -> None:
    assert Explained.parse(PARTS.to_json(), "row") == PARTS
    assert Explained.parse(REFERENCE.to_json(), "row") == REFERENCE
    with pytest.raises(FormatError):
        Explained.parse(PARTS.to_json() | change, "row")
    with pytest.raises(FormatError):
        Explained.parse(REFERENCE.to_json() | {"whole": False}, "row")
