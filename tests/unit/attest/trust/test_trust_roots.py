"""The trust root: its own rules, and the chain of versions."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import moves
import pytest
from moves import NOW, identity, root, signer

from attest import canonical
from attest.ceremony import ceremony
from attest.errors import FormatError, TrustError
from attest.trust import trust_roots
from attest.trust.trust_chain import verify_chain, verify_first, verify_next
from attest.trust.trust_roots import Role, TrustRoot

FIRST = root()


def signed(claimed: TrustRoot, *owners: str) -> bytes:
    payload = claimed.statement().to_bytes()
    return trust_roots.sign_file([signer(name).sign_statement(payload) for name in owners or ("olga", "otto")])


def next_root(**changes: Any) -> TrustRoot:
    return replace(FIRST, **{"version": 2, "created": NOW, **changes})


def test_a_document_reads_back_as_it_was_written() -> None:
    assert trust_roots.parse(FIRST.to_json()).to_json() == FIRST.to_json()
    assert trust_roots.parse_payload(FIRST.statement().to_bytes()).digest == FIRST.digest


def test_lookups() -> None:
    ann = signer("ann").identity
    assert FIRST.roles_of(ann, NOW) == {"approver"}
    assert FIRST.names_of(ann, NOW) == {"ann"}
    assert FIRST.roles_of(ann, NOW - timedelta(days=31)) == frozenset()
    assert FIRST.holders("owner") == ("olga", "otto") and FIRST.holders("ledger") == ()
    assert FIRST.identity_of("nobody") is None


def test_one_key_under_two_names_has_the_roles_of_both() -> None:
    two = root(identities=(*FIRST.identities, identity("anna", "ann")))
    two = replace(two, roles={**two.roles, "auditor": Role("auditor", ("anna",))})
    assert two.roles_of(signer("ann").identity, NOW) == {"approver", "auditor"}


def test_a_window_begins_inclusive_and_ends_exclusive() -> None:
    entry = identity("ann", valid_until=NOW)
    assert entry.valid_at(entry.valid_from) and entry.valid_at(NOW - timedelta(seconds=1))
    assert not entry.valid_at(NOW) and not entry.valid_at(entry.valid_from - timedelta(minutes=11))


def _role(name: str, names: list[str], threshold: int = 1) -> Callable[[dict[str, Any]], None]:
    return lambda doc: doc["roles"].__setitem__(name, {"identities": names, "threshold": threshold})


def _same_key_twice(doc: dict[str, Any]) -> None:
    doc["identities"]["olga2"] = doc["identities"]["olga"]
    doc["roles"]["owner"] = {"identities": ["olga", "olga2"], "threshold": 2}


WRONG: list[tuple[Callable[[dict[str, Any]], Any], str]] = [
    (lambda doc: doc.update(format="casstore-trust-root/2"), "the format is"),
    (lambda doc: doc.update(version=0), "version is not"),
    (lambda doc: doc.update(extra=1), "unknown field 'extra'"),
    (lambda doc: doc.pop("expires"), "'expires' is missing"),
    (lambda doc: doc.update(expires=doc["created"]), "expires before it was created"),
    (lambda doc: doc["roles"].pop("owner"), "nobody has the role owner"),
    (lambda doc: doc.update(channels={}), "the policy is empty"),
    (_role("king", ["ann"]), "there is no such role"),
    (_role("approver", ["zoe"]), "'zoe' is no identity"),
    (_role("owner", ["olga", "otto"], 0), "threshold is not"),
    (_role("owner", ["olga"], 2), "more than its distinct identities"),
    (_same_key_twice, "more than its distinct identities"),
    (lambda doc: doc["identities"]["ann"].update(identity="key:sha256:" + "0" * 64), "another key than"),
    (lambda doc: doc["identities"]["ann"].pop("publicKey"), "needs publicKey"),
    (lambda doc: doc["identities"]["ann"].update(identity="oidc:https://a#b"), "a keyless signer has none"),
    (lambda doc: doc["identities"]["ann"].update(validFrom="yesterday"), "validFrom"),
]


@pytest.mark.parametrize(("change", "told"), WRONG)
def test_a_wrong_document_is_refused(change: Callable[[dict[str, Any]], Any], told: str) -> None:
    document = json.loads(canonical.dumps(FIRST.to_json()))
    change(document)
    with pytest.raises(FormatError, match=told):
        trust_roots.parse(document)


def test_the_first_needs_the_threshold_of_its_own_owners() -> None:
    assert verify_first(signed(FIRST), at=NOW) == FIRST
    with pytest.raises(TrustError, match="1 of the 2 owner signatures"):
        verify_first(signed(FIRST, "olga"), at=NOW)
    with pytest.raises(TrustError, match="1 of the 2 owner signatures"):
        verify_first(signed(FIRST, "olga", "ann"), at=NOW)
    with pytest.raises(TrustError, match="version 1, not 2"):
        verify_first(signed(next_root()), at=NOW)


def test_one_owner_under_two_names_signs_once() -> None:
    both = replace(
        FIRST,
        identities=(*FIRST.identities, identity("olga2", "olga")),
        roles={**FIRST.roles, "owner": Role("owner", ("olga", "olga2", "otto"), 2)},
    )
    with pytest.raises(TrustError, match="1 of the 2"):
        verify_first(signed(both, "olga"), at=NOW)


def test_a_signature_over_another_document_is_refused() -> None:
    files = [trust_roots.bundles_of(signed(version, "olga"))[0] for version in (FIRST, next_root())]
    with pytest.raises(FormatError, match="different documents"):
        verify_first(trust_roots.sign_file(files), at=NOW)


def test_owners_adopt_no_trust_root_of_the_future() -> None:
    """Their own clock says so; in a ledger what a clock claims is moved (tests/attacks/test_clocks.py)."""
    raw = signed(FIRST)
    ceremony.verify_file(raw, at=FIRST.created - timedelta(minutes=9))
    with pytest.raises(TrustError, match="in the future"):
        ceremony.verify_file(raw, at=FIRST.created - timedelta(minutes=11))


def test_a_trust_root_that_is_dated_ahead_bars_no_later_one() -> None:
    earlier = next_root(created=FIRST.created - timedelta(days=1))
    assert verify_next(signed(earlier), previous=FIRST, at=NOW) == earlier


def test_an_expired_one_can_still_be_followed() -> None:
    assert verify_first(signed(FIRST), at=FIRST.expires + timedelta(days=400)) == FIRST


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"version": 3}, "version 2 is wanted next"),
        ({"store": "another"}, "for another store"),
    ],
)
def test_the_next_follows_the_one_before(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(TrustError, match=told):
        verify_next(signed(next_root(**changes)), previous=FIRST, at=NOW)


def test_the_next_needs_the_owners_of_both_versions() -> None:
    people = {**moves.PEOPLE, "olga": (), "otto": (), "oscar": ("owner",)}
    taken_over = root(people, version=2, created=NOW)
    with pytest.raises(TrustError, match="that version 1 asks for"):
        verify_next(signed(taken_over, "oscar"), previous=FIRST, at=NOW)
    with pytest.raises(TrustError, match="that version 2 asks for"):
        verify_next(signed(taken_over), previous=FIRST, at=NOW)
    assert verify_next(signed(taken_over, "olga", "otto", "oscar"), previous=FIRST, at=NOW).version == 2


def test_a_chain_is_followed_and_not_empty() -> None:
    chain = [signed(FIRST), signed(next_root())]
    assert [version.version for version in verify_chain(chain, at=NOW)] == [1, 2]
    with pytest.raises(TrustError):
        verify_chain(chain[1:], at=NOW)
    with pytest.raises(TrustError, match="no trust root"):
        verify_chain([], at=NOW)


def test_a_payload_that_is_not_the_one_canonical_form_is_refused() -> None:
    statement = FIRST.statement()
    other = replace(statement, subjects=(replace(statement.subjects[0], name="trust-root/7"),))
    with pytest.raises(FormatError, match="one canonical form"):
        trust_roots.parse_payload(other.to_bytes())
    with pytest.raises(FormatError, match="not a trust root"):
        trust_roots.parse_payload(replace(statement, predicate_type="https://example.com/p").to_bytes())


@pytest.mark.parametrize("raw", [b"", b"{}", b'{"bundles":[],"format":"casstore-signed-trust-root/1"}', b"[1]"])
def test_a_signed_file_that_is_none_is_refused(raw: bytes) -> None:
    with pytest.raises(FormatError):
        verify_first(raw, at=NOW)


def test_the_order_of_signatures_means_nothing() -> None:
    payload = ceremony.draft(FIRST)
    one, two = (signer(name).sign_statement(payload) for name in ("olga", "otto"))
    assert trust_roots.sign_file([one, two]) == trust_roots.sign_file([two, one, one])


def test_a_revoked_owner_counts_only_where_nobody_could_replace_it() -> None:
    stolen = {signer("olga").identity}
    one_of_two = replace(FIRST, roles={**FIRST.roles, "owner": Role("owner", ("olga", "otto"), 1)})
    following = replace(one_of_two, version=2, created=NOW)
    assert verify_next(signed(following, "olga"), previous=one_of_two, at=NOW)
    with pytest.raises(TrustError, match="0 of the 1"):
        verify_next(signed(following, "olga"), previous=one_of_two, at=NOW, revoked=stolen)
    assert verify_next(signed(following, "otto"), previous=one_of_two, at=NOW, revoked=stolen)
    with pytest.raises(TrustError, match="1 of the 2"):
        verify_next(signed(next_root(), "olga"), previous=FIRST, at=NOW, revoked=stolen)
    assert verify_next(signed(next_root()), previous=FIRST, at=NOW, revoked=stolen).version == 2
