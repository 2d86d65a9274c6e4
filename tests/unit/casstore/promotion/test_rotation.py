"""What a normal rotation, an elapsed window and a revocation do to evidence that the ledger recorded."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from attest.digests import Digest
from attest.errors import CasstoreError, PolicyDenied
from attest.trust.policies import ChannelPolicy
from casstore import promotion
from casstore.errors import MoveDenied
from casstore.ledger import sealing
from casstore.ledger.entries import EntryKind
from casstore.ledger.folding import fold
from casstore.ledger.states.state import start
from tests.support.worlds import CHANNELS, NOW, World, identity, provenance, signer


@pytest.fixture
def world(tmp_path: Path) -> World:
    """prod has 1.0.0, then 1.1.0."""
    made = World.make(str(tmp_path / "store"))
    for version in ("1.0.0", "1.1.0"):
        made.release(version)
        made.to_prod(version)
        made.later(hours=1)
    return made


def test_an_old_release_comes_back_after_the_builder_key_was_rotated(world: World) -> None:
    world.rotate("ci")
    assert world.later().rollback("prod").moved
    assert world.state.void == ()


def test_it_also_goes_forward_after_a_rotation(tmp_path: Path) -> None:
    world = World.make(str(tmp_path / "store"))
    world.release("1.0.0")
    world.to_staging("1.0.0")
    world.later().rotate("ci")
    world.approve("1.0.0", "prod", "ann")
    world.approve("1.0.0", "prod", "bob")
    assert world.promote("1.0.0", "prod").moved


def test_an_elapsed_window_takes_nothing_back(tmp_path: Path) -> None:
    world = World.make(str(tmp_path / "store"))
    entries = world.state.require_trust_root().identities
    ended = replace(identity("ci"), valid_until=NOW + timedelta(days=2))
    world.next_root(identities=tuple(ended if e.name == "ci" else e for e in entries))
    for version in ("1.0.0", "1.1.0"):
        world.release(version)
        world.to_prod(version)
    world.later(days=3)
    assert world.rollback("prod").moved
    with pytest.raises(CasstoreError, match="is not valid"):
        world.release("1.2.0")


def test_a_revoked_key_takes_everything_back(world: World) -> None:
    world.rotate("ci")
    old = signer("ci").identity
    world.revoke_identity(old, reason="leaked")
    with pytest.raises(MoveDenied, match="missing for"):
        world.later().rollback("prod")


def test_a_revoked_owner_makes_no_next_trust_root(world: World) -> None:
    roles = world.state.require_trust_root().roles
    world.next_root(roles={**roles, "owner": replace(roles["owner"], threshold=1)})
    stolen = signer("olga").identity
    world.revoke_identity(stolen, reason="stolen")
    with pytest.raises(CasstoreError, match="0 of the 1 owner signatures"):
        world.later().next_root("olga")
    assert world.next_root("otto").version == 3


def test_new_evidence_by_the_old_key_counts_for_nothing(world: World) -> None:
    world.rotate("ci")
    late = provenance({"x": Digest("sha256:" + "ab" * 32)}, "ci")
    assert "made this signature" in world.later().force(EntryKind.EVIDENCE, late)


def test_evidence_cannot_be_recorded_as_older_than_it_is(tmp_path: Path) -> None:
    """The window of ci has ended; an entry that claims an earlier time is moved to the last seal, and void."""
    world = World.make(str(tmp_path / "store"))
    entries = world.state.require_trust_root().identities
    ended = replace(identity("ci"), valid_until=NOW + timedelta(days=2))
    world.next_root(identities=tuple(ended if e.name == "ci" else e for e in entries))
    world.release("1.0.0")
    world.later(days=3).promote("1.0.0", "dev")
    late = provenance({"x": Digest("sha256:" + "ab" * 32)}, "ci")
    assert "is not valid" in world.force(EntryKind.EVIDENCE, late)
    sealing.seal(world.store, world.ledger, signer=signer("log"), now=world.now)
    world.later(days=-2)
    assert "is not valid" in world.force(EntryKind.EVIDENCE, late)


def test_an_approval_is_judged_now(tmp_path: Path) -> None:
    """Who has left consents no more, and nobody consents twice with two keys."""
    world = World.make(str(tmp_path / "store"))
    world.release("1.0.0")
    world.to_staging("1.0.0")
    world.approve("1.0.0", "prod", "ann")
    world.later().rotate("ann")
    world.approve("1.0.0", "prod", "ann#2")
    with pytest.raises(MoveDenied, match="1 of 2 approvals"):
        world.promote("1.0.0", "prod")
    world.approve("1.0.0", "prod", "bob")
    assert world.promote("1.0.0", "prod").moved


def test_who_built_under_an_old_key_approves_nothing_under_a_new_one(tmp_path: Path) -> None:
    world = World.make(str(tmp_path / "store"))
    world.release("1.0.0", by="builder-bob")
    world.to_staging("1.0.0")
    world.approve("1.0.0", "prod", "ann")
    world.later().rotate("builder-bob")
    world.approve("1.0.0", "prod", "builder-bob#2")
    decision = promotion.explain(world.store, world.ledger, "1.0.0", channel="prod", now=world.now)
    assert not decision.allowed
    assert any("builders approve nothing" in item.reason for item in decision.ignored)


def test_a_rebuild_quorum_counts_a_name_once(tmp_path: Path) -> None:
    policy = ChannelPolicy(None, 0, ("slsa-provenance",), rebuilds=2)
    world = World.make(str(tmp_path / "store"), channels={**CHANNELS, "rebuilt": policy})
    made = world.release("1.0.0")
    world.later().rotate("ci")
    built = {**made.components, **made.archives}
    world.append(EntryKind.EVIDENCE, provenance(built, "ci#2"))
    with pytest.raises(MoveDenied, match="2 distinct builders"):
        world.promote("1.0.0", "rebuilt")
    world.append(EntryKind.EVIDENCE, provenance(built, "builder-bob"))
    assert world.promote("1.0.0", "rebuilt").moved


def test_every_reader_sees_the_same_and_in_pieces(world: World) -> None:
    world.rotate("ci")
    world.later().rollback("prod")
    entries = list(world.ledger.entries(0))
    state = start(world.store.store_id, "main")
    for entry in entries:
        state = fold(state, [entry], world.store)
    assert state == world.state and state.void == ()


def test_a_promoter_cannot_leave_out_a_scan_that_was_handed_in(tmp_path: Path) -> None:
    from attest.statements import statements
    from attest.statements.predicates import promotion as claims
    from attest.statements.predicates import vulns

    limited = ChannelPolicy(None, 0, ("vulns",), vulnerabilities={"critical": 0}, separate_duties=False)
    world = World.make(str(tmp_path / "store"), channels={**CHANNELS, "scanned": limited})
    made = world.release("1.0.0")

    def scan(*findings: vulns.Finding) -> bytes:
        claim = vulns.Scan("https://scanner.example", "1", findings, world.now)
        return signer("aud").sign_statement(
            statements.of_digests(made.archives, vulns.TYPE, claim.to_json()).to_bytes()
        )

    clean, found = scan(), scan(vulns.Finding("CVE-2026-1", {"cvss": "9.8"}))
    for raw in (clean, found):
        world.append(EntryKind.EVIDENCE, raw)
    with pytest.raises(PolicyDenied, match="1 critical"):
        world.promote("1.0.0", "scanned")
    from attest.digests import sha256

    state = world.state
    claim = claims.Promotion(
        store=state.store,
        ledger="main",
        action="promote",
        channel="scanned",
        from_move=None,
        release="1.0.0",
        time=world.now,
        trust_root=state.require_trust_root().digest,
        evidence=(sha256(clean),),
    )
    raw = signer("pam").sign_statement(
        statements.of_digests({"release": made.digest}, claims.TYPE, claim.to_json()).to_bytes()
    )
    assert "1 critical" in world.force(EntryKind.PROMOTE, raw, "scanned")


def test_soak_counts_the_last_stay(tmp_path: Path) -> None:
    channels = {**CHANNELS, "prod": ChannelPolicy("staging", 0, soak=48 * 3600)}
    world = World.make(str(tmp_path / "store"), channels=channels)
    for version in ("1.0.0", "1.1.0"):
        world.release(version)
    world.to_staging("1.0.0")
    world.later(hours=47)
    with pytest.raises(MoveDenied, match="of 2 days in staging"):
        world.promote("1.0.0", "prod")
    world.to_staging("1.1.0")
    world.later(days=30)
    with pytest.raises(MoveDenied, match="of 2 days in staging"):
        world.promote("1.0.0", "prod")
    assert world.promote("1.1.0", "prod").moved
