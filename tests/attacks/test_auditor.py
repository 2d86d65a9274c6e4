"""An auditor who turned, and one owner of two: what they can stop, for how long, and what they cannot."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from attest.errors import FormatError, PolicyDenied, TrustError, VerificationError
from attest.sigstore import signed_files
from attest.statements import statements
from attest.statements.predicates import revocation
from bundlers.consuming.service import TrustSettings, VerifyReport, verify
from bundlers.consuming.withdrawn import Withdrawn
from casstore import promotion
from casstore.errors import Conflict
from casstore.ledger import sealing
from casstore.ledger.entries import EntryKind
from casstore.ledger.folding import replay_all
from casstore.ledger.rules.trust import identity_digest
from tests.support.published import PublishedWorld
from tests.support.worlds import signer

DAYS3 = timedelta(hours=72)


@pytest.fixture
def world(tmp_path: Path) -> PublishedWorld:
    """1.0.0 is in prod and published."""
    made = PublishedWorld.make(str(tmp_path / "store"))
    made.ship("1.0.0")
    made.to_prod("1.0.0")
    made.publish("prod", str(tmp_path / "public"))
    return made


def look(world: PublishedWorld, tmp_path: Path, channel: str = "prod") -> VerifyReport:
    trust = TrustSettings(str(tmp_path / f"st-{world.now:%d%H}"))
    return verify(str(tmp_path / "public"), channel, trust=trust, at=world.now)


def suspend(world: PublishedWorld, who: str, by: str = "aud") -> promotion.SuspensionReport:
    return promotion.suspend(world.store, world.ledger, who, reason="odd", signer=signer(by), now=world.now)


def forced(world: PublishedWorld, who: str, *by: str) -> str:
    """A revocation of an identity that nobody judged before it was written."""
    identity = signer(who).identity
    claim = revocation.Revocation("identity", "x", world.now)
    payload = statements.of_digests({identity: identity_digest(identity)}, revocation.TYPE, claim.to_json()).to_bytes()
    raw = signed_files.combine(signed_files.FORMAT, [signer(name).sign_statement(payload) for name in by])
    return world.force(EntryKind.REVOKE, raw)


@pytest.mark.parametrize("who", ["ci", "pam", "log", "olga"])
def test_an_auditor_alone_revokes_nobody_who_holds_a_role(world: PublishedWorld, who: str) -> None:
    with pytest.raises(PolicyDenied, match="role owner"):
        promotion.revoke(
            world.store, world.ledger, who, kind="identity", reason="x", signer=signer("aud"), now=world.now
        )
    assert "0 of 2 owners" in forced(world, who, "aud")
    assert "1 of 2 owners" in forced(world, who, "olga", "aud")
    assert world.state.revoked == frozenset()


def test_one_owner_is_not_two(world: PublishedWorld) -> None:
    with pytest.raises(PolicyDenied, match="1 of 2 owners"):
        promotion.revoke(
            world.store, world.ledger, "ci", kind="identity", reason="x", signer=signer("olga"), now=world.now
        )
    assert "1 of 2 owners" in forced(world, "ci", "olga", "olga")
    half = promotion.revoke(
        world.store,
        world.ledger,
        "ci",
        kind="identity",
        reason="x",
        signer=signer("olga"),
        now=world.now,
        hand_in=False,
    )
    with pytest.raises(TrustError, match="1 of 2 owners"):
        promotion.join(world.store, world.ledger, half.raw, signer=signer("olga"), now=world.now)
    assert world.revoke_identity("ci").number is not None


def test_signatures_over_other_words_are_none(world: PublishedWorld) -> None:
    halves = [
        promotion.revoke(
            world.store, world.ledger, "ci", kind="identity", reason=by, signer=signer(by), now=world.now, hand_in=False
        ).raw
        for by in ("olga", "otto")
    ]
    bundles = [one for half in halves for one in signed_files.attestations_of(half)]
    with pytest.raises(FormatError, match="different documents"):
        world.append(EntryKind.REVOKE, signed_files.combine(signed_files.FORMAT, bundles))


def test_a_suspension_stops_at_once_and_ends_by_itself(world: PublishedWorld, tmp_path: Path) -> None:
    assert look(world, tmp_path).verdict == "valid"
    world.later(minutes=5)
    assert suspend(world, "ci").until == world.now + DAYS3
    with pytest.raises(TrustError, match="suspended"):
        world.release("1.1.0")
    sealing.seal(world.store, world.ledger, signer=signer("log"), now=world.now)
    world.publish("dev", str(tmp_path / "public"))
    with pytest.raises(Withdrawn, match="suspended until"):
        look(world, tmp_path, "dev")
    world.now += DAYS3
    world.publish("dev", str(tmp_path / "public"))
    assert look(world, tmp_path, "dev").verdict == "valid", "the same move, three days later"
    world.release("1.1.0")
    assert replay_all(world.ledger, world.store) == world.state and not world.state.void


def test_it_is_no_way_to_hold_somebody_for_ever(world: PublishedWorld) -> None:
    suspend(world, "pam")
    world.ship("1.0.1")
    with pytest.raises(PolicyDenied, match="suspended"):
        world.promote("1.0.1", "dev")
    world.later(hours=71)
    with pytest.raises(Conflict, match="once is all"):
        suspend(world, "pam")
    with pytest.raises(Conflict):
        suspend(world, "pam", "olga")
    world.later(hours=2)
    world.release("1.1.0")
    assert world.promote("1.1.0", "dev").moved


def test_the_owners_cannot_be_suspended_away(world: PublishedWorld) -> None:
    for who in ("olga", "otto"):
        with pytest.raises(PolicyDenied, match="1 owners would be left, 2 are needed"):
            suspend(world, who)
    root = world.state.require_trust_root()
    people = tuple(entry for entry in root.identities if entry.name != "aud")
    roles = {name: role for name, role in root.roles.items() if name != "auditor"}
    assert world.next_root(identities=people, roles=roles).version == 2


def test_who_is_suspended_suspends_nobody(world: PublishedWorld) -> None:
    suspend(world, "aud", "olga")
    with pytest.raises(PolicyDenied, match="suspended"):
        suspend(world, "pam")


@pytest.mark.parametrize("good", [True, False])
def test_a_leaked_key_counts_until_the_entry_that_owners_name(
    world: PublishedWorld, tmp_path: Path, good: bool
) -> None:
    """ci leaked after 1.0.0: that release stays; 1.1.0, made with the leaked key, counts nowhere."""
    leaked = world.state.count
    world.ship("1.1.0", content=b"bad")
    world.promote("1.1.0", "dev")
    world.revoke_identity("ci", from_entry=leaked)
    with pytest.raises(TrustError, match="revoked"):
        world.release("1.2.0")
    with pytest.raises(PolicyDenied, match="who signed release"):
        world.approve("1.1.0", "staging", "ann")
        world.promote("1.1.0", "staging")
    if good:
        world.publish("prod", str(tmp_path / "public"))
        assert look(world, tmp_path).verified is not None and look(world, tmp_path).verdict == "valid"
    else:
        channels = world.publish("dev", str(tmp_path / "public"))
        with pytest.raises(VerificationError):
            look(world, tmp_path, "dev")
        assert channels is not None
    assert not world.state.void
