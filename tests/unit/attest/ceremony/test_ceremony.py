"""The ceremony: each owner alone, in any order, and nothing before enough have signed."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import pytest
from moves import NOW, identity, root, signer

from attest.ceremony import ceremony
from attest.errors import BadInput, FormatError, TrustError
from attest.trust import trust_chain
from attest.trust.trust_roots import Role

FIRST = root()
PAYLOAD = ceremony.draft(FIRST)
BUNDLES = {name: ceremony.sign(PAYLOAD, signer(name)) for name in ("olga", "otto")}


def test_any_order_gives_the_same_file_and_twice_is_once() -> None:
    files = {ceremony.combine(PAYLOAD, list(order), at=NOW) for order in permutations(BUNDLES.values())}
    files.add(ceremony.combine(PAYLOAD, [*BUNDLES.values(), *BUNDLES.values()], at=NOW))
    assert len(files) == 1
    assert trust_chain.verify_first(files.pop(), at=NOW) == FIRST


def test_a_draft_is_checked_as_a_reader_would() -> None:
    with pytest.raises(FormatError, match="nobody has the role owner"):
        ceremony.draft(replace(FIRST, roles={}))


def test_who_is_no_owner_signs_nothing() -> None:
    with pytest.raises(TrustError, match="is no owner in trust root version 1"):
        ceremony.sign(PAYLOAD, signer("ann"))


def test_an_owner_of_the_version_before_signs_the_next() -> None:
    people = {"oscar": ("owner",), "ann": ("approver",)}
    payload = ceremony.draft(root(people, version=2, created=NOW))
    with pytest.raises(TrustError):
        ceremony.sign(payload, signer("olga"))
    assert ceremony.sign(payload, signer("olga"), previous=FIRST)


def test_status_tells_who_is_missing() -> None:
    before = ceremony.status(PAYLOAD, [])[0]
    assert (before.missing, before.distinct, before.reached) == (("olga", "otto"), 0, False)
    half = ceremony.status(PAYLOAD, [BUNDLES["otto"]])[0]
    assert (half.signed, half.missing, half.reached) == (("otto",), ("olga",), False)
    assert ceremony.status(PAYLOAD, list(BUNDLES.values()))[0].reached
    assert half.to_json() == {
        "version": 1,
        "signed": ["otto"],
        "missing": ["olga"],
        "threshold": 2,
        "reached": False,
    }


def test_status_counts_identities_not_names() -> None:
    twice = replace(
        FIRST,
        identities=(*FIRST.identities, identity("olga2", "olga")),
        roles={**FIRST.roles, "owner": Role("owner", ("olga", "olga2", "otto"), 2)},
    )
    payload = ceremony.draft(twice)
    quorum = ceremony.status(payload, [ceremony.sign(payload, signer("olga"))])[0]
    assert (quorum.signed, quorum.distinct, quorum.reached) == (("olga", "olga2"), 1, False)


def test_status_of_a_rotation_tells_both_versions() -> None:
    payload = ceremony.draft(replace(FIRST, version=2, created=NOW))
    quorums = ceremony.status(payload, [ceremony.sign(payload, signer("olga"))], previous=FIRST)
    assert [(quorum.version, quorum.reached) for quorum in quorums] == [(1, False), (2, False)]


def test_nothing_is_combined_before_enough_have_signed() -> None:
    with pytest.raises(TrustError, match="nobody has signed"):
        ceremony.combine(PAYLOAD, [], at=NOW)
    with pytest.raises(TrustError, match="1 of the 2"):
        ceremony.combine(PAYLOAD, [BUNDLES["olga"]], at=NOW)


def test_a_signature_of_another_draft_is_refused() -> None:
    other = ceremony.draft(replace(FIRST, created=NOW))
    with pytest.raises(BadInput, match="another draft"):
        ceremony.combine(PAYLOAD, [BUNDLES["olga"], ceremony.sign(other, signer("otto"))], at=NOW)
    with pytest.raises(BadInput, match="another draft"):
        ceremony.status(other, list(BUNDLES.values()))
