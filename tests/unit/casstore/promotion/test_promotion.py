"""Promotion: who may move what where, what is refused and why, and what a forged entry is worth."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from worlds import CHANNELS, NOW, World, identity, provenance, signed, signer, trust_root

from attest.digests import Digest, sha256
from attest.errors import BadInput, CasstoreError, PolicyDenied, TrustError, VerificationError
from attest.keys import keys
from attest.signers import from_private_key
from attest.statements import statements
from attest.statements.predicates import promotion as promotions
from attest.trust.policies import ChannelPolicy
from casstore import promotion
from casstore.errors import Conflict, MoveDenied, NoSuchObject, StoreDamaged
from casstore.ledger.entries import EntryKind
from casstore.ledger.rules.trust import identity_digest
from casstore.promotion.imports import import_attestation


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World.make(str(tmp_path / "store"))
    made.release("1.0.0")
    return made


def heads(world: World) -> dict[str, str]:
    return {name: channel.version for name, channel in world.state.channels.items()}


def open_rules(caught: pytest.ExceptionInfo[MoveDenied]) -> dict[str, str]:
    return {rule.id: rule.message for rule in caught.value.decision.rules if rule.status != "satisfied"}


def move_statement(world: World, by: str, **changes: object) -> bytes:
    """A promotion statement that anybody may write."""
    state = world.state
    release = state.find_release(str(changes.pop("version", "1.0.0")))
    subject = changes.pop("subject", release.digest)
    channel = str(changes.get("channel", "prod"))
    claim = promotions.Promotion(
        store=state.store,
        ledger=state.ledger,
        action="promote",
        channel=channel,
        from_move=state.channel(channel).move if channel in CHANNELS else None,
        release=release.version,
        time=world.now,
        trust_root=state.require_trust_root().digest,
    )
    claim = replace(claim, **changes)  # type: ignore[arg-type]
    made = statements.of_digests({"release": Digest(str(subject))}, promotions.TYPE, claim.to_json())
    return signer(by).sign_statement(made.to_bytes())


# the way of a release


def test_a_release_goes_dev_staging_prod(world: World) -> None:
    world.to_prod("1.0.0")
    assert heads(world) == {"dev": "1.0.0", "staging": "1.0.0", "prod": "1.0.0"}
    assert world.state.void == ()


def test_the_report_says_what_was_done(world: World) -> None:
    report = world.promote("1.0.0", "dev")
    assert (report.moved, report.version, report.from_release, report.pinned) == (True, "1.0.0", None, False)
    last = world.ledger.tip()
    assert last is not None
    assert (report.number, report.entry, report.statement) == (last.number, last.digest, last.statement)
    assert json.loads(json.dumps(report.to_json()))["moved"] is True
    assert report.told == f"dev: promote 1.0.0, ledger entry {last.number}"


def test_promoting_again_is_a_no_op(world: World) -> None:
    first = world.promote("1.0.0", "dev")
    count = world.state.count
    again = world.promote("1.0.0", "dev")
    assert (again.moved, again.number, again.entry) == (False, first.number, first.entry)
    assert world.state.count == count


def test_a_promotion_brings_a_summary_for_every_archive(world: World) -> None:
    from attest.statements.predicates import vsa
    from casstore.store.attestations import find

    report = world.promote("1.0.0", "dev")
    (summary,) = find(world.store, world.made["1.0.0"].builds["core"].archive.digest, vsa.TYPE)
    assert summary.digest in report.evidence
    assert summary.statement.predicate["resourceUri"] == "pkg:generic/core@1.0.0?channel=dev"
    assert summary.statement.predicate["policy"]["digest"]["sha256"] in world.state.require_trust_root().digest


def test_references_name_releases(world: World) -> None:
    digest = world.made["1.0.0"].digest
    world.promote("1.0.0", "dev")
    for ref in ("1.0.0", digest, digest[:20], digest[7:19], "dev"):
        assert promotion.find_release(world.state, ref).digest == digest
    for ref in ("2.0.0", digest[7:14], "staging", "", "sha256:"):
        with pytest.raises(NoSuchObject):
            promotion.find_release(world.state, ref)


def test_unknown_release_and_channel(world: World) -> None:
    with pytest.raises(NoSuchObject, match=r"2\.0\.0"):
        world.promote("2.0.0", "dev")
    with pytest.raises(NoSuchObject, match="no such channel: qa"):
        world.promote("1.0.0", "qa")


# what is denied


def test_a_channel_cannot_be_skipped(world: World) -> None:
    with pytest.raises(MoveDenied) as caught:
        world.promote("1.0.0", "staging")
    assert open_rules(caught).keys() == {"from", "approvals"}
    assert caught.value.exit_code == 4
    assert "casstore explain 1.0.0 --to staging" in caught.value.hint


def test_one_approval_too_few(world: World) -> None:
    world.to_staging("1.0.0")
    world.approve("1.0.0", "prod", "ann")
    with pytest.raises(MoveDenied) as caught:
        world.promote("1.0.0", "prod")
    assert open_rules(caught) == {"approvals": "1 of 2 approvals (by ann)"}
    assert heads(world).keys() == {"dev", "staging"}


def test_the_same_person_twice_is_one(world: World) -> None:
    world.to_staging("1.0.0")
    for _ in range(3):
        world.approve("1.0.0", "prod", "ann")
    with pytest.raises(MoveDenied, match="1 of 2 approvals"):
        world.promote("1.0.0", "prod")


def test_an_approval_covers_one_channel(world: World) -> None:
    world.promote("1.0.0", "dev")
    for name in ("ann", "bob"):
        world.approve("1.0.0", "staging", name)
    world.promote("1.0.0", "staging")
    with pytest.raises(MoveDenied, match="0 of 2 approvals"):
        world.promote("1.0.0", "prod")


def test_an_approval_covers_one_release(world: World) -> None:
    world.promote("1.0.0", "dev")
    world.approve("1.0.0", "staging", "ann")
    world.release("1.0.1")
    world.promote("1.0.1", "dev")
    with pytest.raises(MoveDenied, match="0 of 1 approvals"):
        world.promote("1.0.1", "staging")


def test_an_approval_ends_when_the_channel_moves(world: World) -> None:
    world.to_staging("1.0.0")
    world.release("1.0.1")
    world.promote("1.0.1", "dev")
    world.approve("1.0.1", "staging", "ann")
    world.release("1.0.2")
    world.to_staging("1.0.2", "bob")
    with pytest.raises(MoveDenied, match="0 of 1 approvals") as caught:
        world.promote("1.0.1", "staging")
    assert [item.reason for item in caught.value.decision.ignored] == ["the channel has moved since it was given"]


def test_an_approval_covers_one_action(world: World) -> None:
    world.to_prod("1.0.0")
    world.release("1.0.1")
    world.to_staging("1.0.1")
    for name in ("ann", "bob"):
        world.approve("1.0.1", "prod", name, action="rollback")
    with pytest.raises(MoveDenied, match="0 of 2 approvals"):
        world.promote("1.0.1", "prod")


def test_an_expired_approval_counts_no_more(world: World) -> None:
    world.promote("1.0.0", "dev")
    world.approve("1.0.0", "staging", "ann", expires=world.now + timedelta(hours=1))
    world.later(hours=1)
    with pytest.raises(MoveDenied) as caught:
        world.promote("1.0.0", "staging")
    assert any("expired" in item.reason for item in caught.value.decision.ignored)


def test_nobody_who_built_it_approves_it(tmp_path: Path) -> None:
    world = World.make(str(tmp_path / "store"))
    world.release("1.0.0", by="builder-bob")
    world.promote("1.0.0", "dev")
    world.approve("1.0.0", "staging", "builder-bob")
    with pytest.raises(MoveDenied, match="0 of 1 approvals"):
        world.promote("1.0.0", "staging")


def test_nobody_approves_their_own_move(world: World) -> None:
    world.promote("1.0.0", "dev")
    world.approve("1.0.0", "staging", "paul")
    with pytest.raises(MoveDenied, match="0 of 1 approvals"):
        world.promote("1.0.0", "staging", by="paul")
    assert world.promote("1.0.0", "staging", by="pam").moved


def test_an_approval_for_another_store_is_none(world: World, tmp_path: Path) -> None:
    other = World.make(str(tmp_path / "other"))
    other.release("1.0.0")
    other.promote("1.0.0", "dev")
    foreign = other.approve("1.0.0", "staging", "ann", hand_in=False)
    world.promote("1.0.0", "dev")
    promotion.import_attestation(world.store, world.ledger, foreign.raw, now=world.now)
    with pytest.raises(MoveDenied, match="0 of 1 approvals"):
        world.promote("1.0.0", "staging")


def test_an_approval_by_a_stranger_is_not_taken_in(world: World) -> None:
    world.promote("1.0.0", "dev")
    mine = world.approve("1.0.0", "staging", "ann", hand_in=False)
    said = json.loads(mine.raw)["dsseEnvelope"]["payload"]
    import base64

    forged = signer("mallory").sign_statement(base64.b64decode(said))
    with pytest.raises(TrustError, match="no key of trust root version 1"):
        promotion.import_attestation(world.store, world.ledger, forged, now=world.now)
    assert world.force(EntryKind.EVIDENCE, forged) != ""
    with pytest.raises(MoveDenied, match="0 of 1 approvals"):
        world.promote("1.0.0", "staging")


def test_missing_evidence_is_named_with_who_can_give_it(tmp_path: Path) -> None:
    channels = {"dev": ChannelPolicy(None, 0, ("slsa-provenance", "sbom"))}
    world = World.make(str(tmp_path / "store"), channels=channels)
    world.release("1.0.0")
    with pytest.raises(MoveDenied) as caught:
        world.promote("1.0.0", "dev")
    assert open_rules(caught).keys() == {"sbom"}
    (rule,) = [rule for rule in caught.value.decision.rules if rule.id == "sbom"]
    assert (rule.needed_role, rule.action) == ("builder", "attest")


@pytest.mark.parametrize("name", ["ann", "ci", "olga", "mallory"])
def test_only_a_promoter_promotes(world: World, name: str) -> None:
    count = world.state.count
    with pytest.raises(PolicyDenied, match="has not the role promoter"):
        world.promote("1.0.0", "dev", by=name)
    assert world.state.count == count


def test_only_an_approver_approves(world: World) -> None:
    with pytest.raises(PolicyDenied, match="has not the role approver"):
        world.approve("1.0.0", "dev", "ci")


def test_an_approval_must_be_about_something(world: World) -> None:
    with pytest.raises(BadInput, match="before it is made"):
        world.approve("1.0.0", "dev", "ann", expires=world.now)
    world.promote("1.0.0", "dev")
    with pytest.raises(BadInput, match="nothing to approve"):
        world.approve("1.0.0", "dev", "ann")


def test_an_offline_approval_is_handed_in_once(world: World) -> None:
    world.promote("1.0.0", "dev")
    count = world.state.count
    made = world.approve("1.0.0", "staging", "ann", hand_in=False)
    assert (made.number, world.state.count) == (None, count)
    digest, number = promotion.import_attestation(world.store, world.ledger, made.raw, now=world.now)
    assert (digest, number) == (made.digest, count)
    assert promotion.import_attestation(world.store, world.ledger, made.raw, now=world.now) == (digest, None)
    assert world.promote("1.0.0", "staging").moved


def test_an_expired_trust_root_stops_moves(world: World) -> None:
    world.later(days=365)
    with pytest.raises(TrustError, match="expired"):
        world.promote("1.0.0", "dev")


def test_the_configuration_is_only_a_proposal(world: World) -> None:
    world.promote("1.0.0", "dev", proposed=CHANNELS)
    weaker = {**CHANNELS, "staging": ChannelPolicy("dev", 0)}
    world.approve("1.0.0", "staging", "ann")
    with pytest.raises(MoveDenied, match="proposes another policy") as caught:
        world.promote("1.0.0", "staging", proposed=weaker)
    (rule,) = [rule for rule in caught.value.decision.rules if rule.status == "refused"]
    assert (rule.action, rule.who) == ("change-policy", ("olga", "otto"))


def test_explain_tells_what_promote_would_say(world: World) -> None:
    world.promote("1.0.0", "dev")

    def explain() -> tuple[bool, set[str]]:
        said = promotion.explain(world.store, world.ledger, "1.0.0", channel="staging", now=world.now)
        return said.allowed, {rule.id for rule in said.rules if rule.status != "satisfied"}

    assert explain() == (False, {"approvals"})
    world.approve("1.0.0", "staging", "ann")
    assert explain() == (True, set())


# rollback, pin, unpin


@pytest.fixture
def two(world: World) -> World:
    world.to_prod("1.0.0")
    world.release("1.1.0")
    world.to_prod("1.1.0")
    return world


def test_a_rollback_is_a_new_entry_and_pins(two: World) -> None:
    count = two.state.count
    report = two.rollback("prod")
    assert (report.version, report.from_version, report.pinned, report.number) == ("1.0.0", "1.1.0", True, count)
    assert two.state.channels["prod"].pinned
    two.release("1.2.0")
    two.to_staging("1.2.0")
    for name in ("ann", "bob"):
        two.approve("1.2.0", "prod", name)
    with pytest.raises(MoveDenied, match=r"pinned at 1\.0\.0"):
        two.promote("1.2.0", "prod")
    promotion.unpin(two.store, two.ledger, channel="prod", signer=signer("pam"), now=two.now, reason="fixed")
    with pytest.raises(MoveDenied, match="0 of 2 approvals"):  # the channel's last move is the unpinning now
        two.promote("1.2.0", "prod")
    for name in ("ann", "bob"):
        two.approve("1.2.0", "prod", name)
    assert two.promote("1.2.0", "prod").moved


def test_a_rollback_without_confirm_moves_nothing(two: World) -> None:
    count = two.state.count
    report = two.rollback("prod", confirm=False)
    assert (report.dry_run, report.moved, report.version) == (True, False, "1.0.0")
    assert "give --confirm" in report.told
    assert two.state.count == count


def test_a_rollback_goes_only_back(two: World) -> None:
    two.release("0.9.0")
    with pytest.raises(MoveDenied, match="only goes back"):
        two.rollback("prod", release="0.9.0")
    two.rollback("prod")
    assert two.rollback("prod", release="1.0.0").moved is False
    with pytest.raises(NoSuchObject, match="no earlier release"):
        two.rollback("prod")


def test_a_rollback_to_a_named_release(two: World) -> None:
    two.release("1.2.0")
    two.to_prod("1.2.0")
    assert two.rollback("prod", release="1.0.0").version == "1.0.0"
    assert heads(two) == {"dev": "1.2.0", "staging": "1.2.0", "prod": "1.0.0"}


def test_a_rollback_needs_its_own_approvals_where_the_policy_says(tmp_path: Path) -> None:
    channels = {"dev": ChannelPolicy(None, 0, rollback_approvals=1)}
    world = World.make(str(tmp_path / "store"), channels=channels)
    for version in ("1", "2"):
        world.release(version)
        world.promote(version, "dev")
    world.approve("1", "dev", "ann")  # a promotion of it, not a rollback
    with pytest.raises(MoveDenied, match="0 of 1 approvals"):
        world.rollback("dev")
    world.approve("1", "dev", "ann", action="rollback")
    assert world.rollback("dev").version == "1"


def test_pin_and_unpin(world: World) -> None:
    world.promote("1.0.0", "dev")
    act = {"channel": "dev", "signer": signer("pam"), "now": world.now, "reason": "freeze"}
    assert promotion.pin(world.store, world.ledger, **act).pinned  # type: ignore[arg-type]
    assert promotion.pin(world.store, world.ledger, **act).moved is False  # type: ignore[arg-type]
    world.release("1.0.1")
    with pytest.raises(MoveDenied, match="pinned"):
        world.promote("1.0.1", "dev")
    promotion.unpin(world.store, world.ledger, **act)  # type: ignore[arg-type]
    assert world.promote("1.0.1", "dev").moved
    with pytest.raises(NoSuchObject, match="names no release"):
        promotion.pin(world.store, world.ledger, **{**act, "channel": "prod"})  # type: ignore[arg-type]


def test_what_was_rolled_back_is_told_and_where_the_policy_says_refused(tmp_path: Path) -> None:
    """In the channel that was rolled back and in every other, until it came there again."""
    channels = {"dev": ChannelPolicy(None, 0), "next": ChannelPolicy("dev", 0), "prod": ChannelPolicy("dev", 0)}
    channels["prod"] = replace(channels["prod"], rolled_back="refuse")
    world = World.make(str(tmp_path / "store"), channels=channels)
    for version in ("1.0.0", "1.1.0"):
        world.release(version)
        world.promote(version, "dev")
    assert world.promote("1.0.0", "prod").notes == ()
    world.rollback("dev", reason="it crashes")
    report = world.promote("1.1.0", "next")
    assert report.notes == ("1.1.0 was rolled back in dev: it crashes; the policy allows that",)
    with pytest.raises(MoveDenied, match="it was rolled back in dev: it crashes") as caught:
        world.promote("1.1.0", "prod")
    assert [rule.action for rule in caught.value.decision.rules if rule.id == "rolled-back"] == ["new-release"]
    world.force(EntryKind.PROMOTE, move_of(world, "1.1.0", "prod"), "prod")
    assert world.state.channel("prod").version == "1.0.0" and list(world.state.codes.values()) == ["policy"]
    act = {"channel": "dev", "signer": signer("pam"), "now": world.now, "reason": "it was the network"}
    promotion.unpin(world.store, world.ledger, **act)  # type: ignore[arg-type]
    assert world.promote("1.1.0", "dev").moved and world.promote("1.1.0", "prod").moved


def move_of(world: World, version: str, channel: str) -> bytes:
    """What a promoter signs who asks nobody."""
    state = world.state
    root, move = state.require_trust_root().digest, state.channel(channel).move
    claim = promotions.Promotion(state.store, "main", "promote", channel, move, version, world.now, root, ())
    subjects = {"release": world.made[version].digest}
    return signer("pam").sign_statement(statements.of_digests(subjects, promotions.TYPE, claim.to_json()).to_bytes())


def test_unpin_says_which_approvals_it_ends(two: World) -> None:
    two.rollback("prod")
    two.release("1.2.0")
    two.to_staging("1.2.0")
    two.approve("1.2.0", "prod", "bob")
    two.approve("1.2.0", "prod", "ann", expires=two.now + timedelta(hours=1))
    two.later(hours=2)
    act = {"channel": "prod", "signer": signer("pam"), "now": two.now, "reason": "mended"}
    report = promotion.unpin(two.store, two.ledger, **act, confirm=False)  # type: ignore[arg-type]
    assert (report.moved, report.dry_run, report.voids) == (False, True, ("promote of 1.2.0 by bob",))
    assert two.state.channel("prod").pinned and "give --confirm" in report.told
    report = promotion.unpin(two.store, two.ledger, **act)  # type: ignore[arg-type]
    assert report.moved and report.notes == (
        "approved for prod as it was, to be approved again: promote of 1.2.0 by bob",
    )
    with pytest.raises(MoveDenied, match="approvals"):
        two.promote("1.2.0", "prod")


# revocation


def revoke(world: World, what: str, kind: str, by: str = "olga", **options: object) -> promotion.RevocationReport:
    return promotion.revoke(
        world.store,
        world.ledger,
        what,
        kind=kind,
        reason="leaked",
        signer=signer(by),
        now=world.now,
        **options,  # type: ignore[arg-type]
    )


def test_a_revoked_release_goes_nowhere(world: World) -> None:
    world.promote("1.0.0", "dev")
    world.approve("1.0.0", "staging", "ann")
    report = revoke(world, "1.0.0", "artifact")
    assert report.affected == ("release 1.0.0", "channel dev (now 1.0.0)")
    with pytest.raises(MoveDenied, match="revoked"):
        world.promote("1.0.0", "staging")


@pytest.mark.parametrize("what", ["archive", "tree"])
def test_so_does_a_release_with_something_revoked_in_it(world: World, what: str) -> None:
    made = world.made["1.0.0"]
    revoke(world, made.components["core-bin"] if what == "tree" else next(iter(made.archives.values())), "artifact")
    with pytest.raises(MoveDenied, match="was revoked"):
        world.promote("1.0.0", "dev")


def test_a_revoked_approval_counts_no_more(world: World) -> None:
    world.promote("1.0.0", "dev")
    made = world.approve("1.0.0", "staging", "ann")
    revoke(world, made.digest, "attestation")
    with pytest.raises(MoveDenied, match="0 of 1 approvals"):
        world.promote("1.0.0", "staging")


def test_a_revoked_approval_does_not_come_back_in_other_bytes(world: World) -> None:
    """Anybody can write the outer JSON anew; what was signed is the same."""
    world.promote("1.0.0", "dev")
    made = world.approve("1.0.0", "staging", "ann")
    revoke(world, made.digest, "attestation")
    again = json.dumps(json.loads(world.store.read(made.digest)), indent=1).encode()
    assert import_attestation(world.store, world.ledger, again, now=world.now)[1] is None, "known already"
    with pytest.raises(MoveDenied, match="0 of 1 approvals"):
        world.promote("1.0.0", "staging")


def test_an_attestation_of_a_stranger_is_not_even_kept(world: World) -> None:
    raw = from_private_key(keys.generate()).sign_statement(
        statements.of_digests({"x": sha256(b"x")}, "https://x.example/t", {}).to_bytes()
    )
    with pytest.raises(TrustError):
        import_attestation(world.store, world.ledger, raw, now=world.now)
    with pytest.raises(NoSuchObject):
        world.store.read(sha256(raw))


def test_a_revoked_identity_signs_nothing_that_counts(world: World) -> None:
    world.promote("1.0.0", "dev")
    world.approve("1.0.0", "staging", "ann")
    world.revoke_identity("ann")
    with pytest.raises(MoveDenied, match="0 of 1 approvals"):
        world.promote("1.0.0", "staging")
    with pytest.raises(PolicyDenied, match="was revoked"):
        world.approve("1.0.0", "staging", "ann")
    world.revoke_identity(signer("pam").identity)
    with pytest.raises(PolicyDenied, match="was revoked"):
        world.promote("1.0.0", "staging")
    assert "revoked" in world.force(EntryKind.PROMOTE, move_statement(world, "pam", channel="dev"), "dev")


def test_a_revocation_is_made_once_and_only_by_owner_or_auditor(world: World) -> None:
    first = revoke(world, "1.0.0", "artifact", confirm=False)
    assert first.number is None
    second = revoke(world, "1.0.0", "artifact")
    assert second.number is not None
    assert revoke(world, "1.0.0", "artifact").number == second.number
    with pytest.raises(PolicyDenied, match="has not the role auditor or owner"):
        revoke(world, next(iter(world.made["1.0.0"].archives.values())), "artifact", by="pam")
    with pytest.raises(NoSuchObject, match="names nobody"):
        revoke(world, "nobody", "identity")
    with pytest.raises(BadInput):
        revoke(world, "abc", "attestation")


def test_an_identity_is_revoked_by_the_digest_of_its_text() -> None:
    key = signer("ann").identity
    assert identity_digest(key) == key.removeprefix("key:")
    assert identity_digest("oidc:https://idp.example#ci") == sha256(b"oidc:https://idp.example#ci")


# entries that nobody judged before they were written


Forgery = Callable[[World], tuple[EntryKind, bytes, str | None]]


def _of(kind: EntryKind, entry_channel: str = "prod", by: str = "pam", **changes: object) -> Forgery:
    return lambda world: (kind, move_statement(world, by, **changes), entry_channel)


FORGERIES: dict[str, tuple[Forgery, str]] = {
    "by a promoter without approvals": (_of(EntryKind.PROMOTE), "0 of 2 approvals"),
    "by somebody without the role": (_of(EntryKind.PROMOTE, by="ann"), "has not the role 'promoter'"),
    "by a stranger": (_of(EntryKind.PROMOTE, by="mallory"), "no key of trust root"),
    "for another store": (_of(EntryKind.PROMOTE, store="0" * 32), "was made for the ledger"),
    "for another ledger": (_of(EntryKind.PROMOTE, ledger="other"), "was made for the ledger"),
    "for another channel": (_of(EntryKind.PROMOTE, channel="dev"), "the entry is not"),
    "of another action": (_of(EntryKind.ROLLBACK), "the entry is not"),
    "after another move": (_of(EntryKind.PROMOTE, from_move=sha256(b"x")), "another state of prod"),
    "under another trust root": (_of(EntryKind.PROMOTE, trust_root=sha256(b"x")), "another trust root"),
    "in no channel": (_of(EntryKind.PROMOTE, "qa", channel="qa"), "knows no channel"),
    "of no release": (_of(EntryKind.PROMOTE, subject=sha256(b"x")), "no such release"),
    "under another version": (_of(EntryKind.PROMOTE, release="9.9"), "no such release"),
    "a rollback to what never was there": (_of(EntryKind.ROLLBACK, action="rollback"), "only goes back"),
    "a pin of nothing": (_of(EntryKind.PIN, action="pin"), "does not name"),
    "an unpin of what is not pinned": (_of(EntryKind.UNPIN, "dev", action="unpin", channel="dev"), "not pinned"),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_move_is_void(world: World, name: str) -> None:
    world.to_staging("1.0.0")
    before = world.state.channels
    forge, told = FORGERIES[name]
    kind, raw, channel = forge(world)
    assert told in world.force(kind, raw, channel)
    assert world.state.channels == before


def test_a_promoter_cannot_leave_out_who_built_it(tmp_path: Path) -> None:
    """Without the provenance in the list, its signer would look like any other approver."""
    world = World.make(str(tmp_path / "store"))
    world.release("1.0.0", by="builder-bob")
    world.promote("1.0.0", "dev")
    approval = world.approve("1.0.0", "staging", "builder-bob")
    raw = move_statement(world, "pam", channel="staging", evidence=(approval.digest,))
    assert "0 of 1 approvals" in world.force(EntryKind.PROMOTE, raw, "staging")


def test_a_backdated_move_revives_no_expired_approval(world: World) -> None:
    world.promote("1.0.0", "dev")
    approval = world.approve("1.0.0", "staging", "ann", expires=world.now + timedelta(hours=1))
    world.later(days=1)
    world.release("1.0.1")
    world.to_staging("1.0.1", "bob")
    raw = move_statement(world, "pam", channel="staging", evidence=(approval.digest,), time=NOW)
    assert "0 of 1 approvals" in world.force(EntryKind.PROMOTE, raw, "staging")


def test_a_move_is_not_replayed(two: World) -> None:
    statement = two.state.channels["dev"].history[0].statement
    entry = two.ledger.append(EntryKind.PROMOTE, statement, channel="dev", now=two.now)
    assert "another state" in dict(two.state.void)[entry.number]
    assert two.state.channels["dev"].version == "1.1.0"


def test_evidence_that_was_deleted_stops_the_reader(two: World) -> None:
    missing = two.state.channels["prod"].history[0].evidence[0]

    class Without:
        store_id = two.store.store_id

        def read(self, digest: Digest, *, max_bytes: int = 2**30) -> bytes:
            if digest == missing:
                raise NoSuchObject(digest)
            return two.store.read(digest, max_bytes=max_bytes)

    from casstore.ledger.folding import replay

    with pytest.raises(StoreDamaged, match=f"the bytes of {missing}.* are gone"):
        replay(two.ledger, Without())


# releases and components


def test_a_version_is_taken_once(world: World) -> None:
    with pytest.raises(Conflict, match=r"1\.0\.0"):
        world.release("1.0.0", content=b"other")
    from worlds import release_statement

    other = replace(world.made["1.0.0"], epoch=1)
    world.store.put_bytes(other.to_bytes())
    assert "is taken by" in world.force(EntryKind.RELEASE, release_statement(other, "ci"))
    assert world.state.versions["1.0.0"] == world.made["1.0.0"].digest


def test_a_release_is_made_by_a_builder_for_this_ledger(world: World) -> None:
    from worlds import release_statement

    made = replace(world.made["1.0.0"], version="2.0.0")
    world.store.put_bytes(made.to_bytes())
    assert "has not the role 'builder'" in world.force(EntryKind.RELEASE, release_statement(made, "pam"))
    foreign = replace(made, ledger="other")
    world.store.put_bytes(foreign.to_bytes())
    assert "was made for the ledger" in world.force(EntryKind.RELEASE, release_statement(foreign, "ci"))
    claim = {"release": made.digest, "core.tar.gz": sha256(b"not in it")}
    raw = signer("ci").sign_statement(
        statements.of_digests(
            claim, "https://in-toto.io/attestation/release/v0.2", {"purl": "pkg:generic/x"}
        ).to_bytes()
    )
    assert "different archives" in world.force(EntryKind.RELEASE, raw)
    assert list(world.state.versions) == ["1.0.0"]


def test_components_may_be_put_again_until_the_version_is_released(world: World) -> None:
    first = world.component("lib", "2.0.0", {b"lib.so": b"1"})
    second = world.component("lib", "2.0.0", {b"lib.so": b"2"})
    assert first != second
    assert world.state.components["2.0.0", "lib"] == second
    raw = provenance({"lib": first}, "ci", releaseVersion="1.0.0")
    assert "released already" in world.force(EntryKind.COMPONENT, raw)
    assert "releaseVersion" in world.force(EntryKind.COMPONENT, provenance({"lib": first}, "ci"))


# trust roots


def test_the_next_trust_root_counts_from_the_next_entry_on(world: World) -> None:
    old = world.state.require_trust_root()
    stale = move_statement(world, "pam", channel="dev")
    identities = (*(entry for entry in old.identities if entry.name != "ann"), identity("new-ann"))
    roles = {
        name: replace(role, identities=tuple("new-ann" if n == "ann" else n for n in role.identities))
        for name, role in old.roles.items()
    }
    new = replace(old, version=2, created=world.now, identities=identities, roles=roles)
    raw = signed(new, previous=old)
    digest = world.store.put_bytes(raw, subjects=[new.digest])
    world.ledger.append(EntryKind.TRUST_ROOT, digest, now=world.now)
    assert world.state.require_trust_root().digest == new.digest
    assert "another trust root" in world.force(EntryKind.PROMOTE, stale, "dev")
    world.promote("1.0.0", "dev")
    with pytest.raises(PolicyDenied):
        world.approve("1.0.0", "staging", "ann")
    world.approve("1.0.0", "staging", "new-ann")
    assert world.promote("1.0.0", "staging").moved


def test_trust_roots_that_do_not_follow_are_void(world: World) -> None:
    def force(kind: EntryKind, root: bytes) -> str:
        entry = world.ledger.append(kind, world.store.put_bytes(root), now=world.now)
        return dict(world.state.void).get(entry.number, "")

    mine = world.store.store_id
    assert "has its genesis already" in force(EntryKind.GENESIS, signed(trust_root(mine)))
    assert "version 2 is wanted" in force(EntryKind.TRUST_ROOT, signed(trust_root(mine)))
    assert force(EntryKind.TRUST_ROOT, b"noise") != ""
    assert world.state.require_trust_root().version == 1


def test_nothing_counts_before_a_trust_root(tmp_path: Path) -> None:
    from casstore.store.store import Store

    world = World(Store.init(str(tmp_path / "store")))
    tree = sha256(b"tree")
    raw = provenance({"core": tree}, "ci", releaseVersion="1")
    assert "no trust root" in world.force(EntryKind.COMPONENT, raw)
    with pytest.raises(NoSuchObject, match="no trust root yet"):
        world.promote("1", "dev")
    foreign = signed(trust_root("0" * 32))
    entry = world.ledger.append(EntryKind.GENESIS, world.store.put_bytes(foreign), now=world.now)
    assert "is for store" in dict(world.state.void)[entry.number]


# two at once


def test_a_lost_race_reuses_the_statement_while_the_channel_stands(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from casstore.ledger.book.log import Ledger

    offer = Ledger.offer
    raced: list[int] = []

    def late(self: Ledger, entry: object) -> bool:
        if not raced:
            raced.append(1)
            world.component("lib", "9.0.0", {b"a": b"b"})
        return offer(self, entry)  # type: ignore[arg-type]

    monkeypatch.setattr(Ledger, "offer", late)
    signatures: list[bytes] = []

    class Counting:
        def __getattr__(self, name: str) -> object:
            return getattr(signer("pam"), name)

        def sign_statement(self, payload: bytes) -> bytes:
            signatures.append(payload)
            return signer("pam").sign_statement(payload)

    report = promotion.promote(
        world.store,
        world.ledger,
        "1.0.0",
        channel="dev",
        signer=Counting(),
        now=world.now,  # type: ignore[arg-type]
    )
    assert report.moved
    assert len(signatures) == 2  # one summary, one statement: nothing was signed again
    assert world.state.void == ()


def test_a_lost_race_for_the_same_channel_is_decided_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from casstore.ledger.book.log import Ledger

    world.release("1.0.1")
    offer = Ledger.offer
    raced: list[int] = []

    def late(self: Ledger, entry: object) -> bool:
        if not raced:
            raced.append(1)
            world.promote("1.0.1", "dev", by="paul")
        return offer(self, entry)  # type: ignore[arg-type]

    monkeypatch.setattr(Ledger, "offer", late)
    report = world.promote("1.0.0", "dev")
    assert (report.moved, report.from_version) == (True, "1.0.1")
    assert [move.version for move in world.state.channels["dev"].history] == ["1.0.1", "1.0.0"]
    assert world.state.void == ()


def test_a_lost_race_against_the_same_promotion_is_a_no_op(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from casstore.ledger.book.log import Ledger

    offer = Ledger.offer
    raced: list[int] = []

    def late(self: Ledger, entry: object) -> bool:
        if not raced:
            raced.append(1)
            world.promote("1.0.0", "dev", by="paul")
        return offer(self, entry)  # type: ignore[arg-type]

    monkeypatch.setattr(Ledger, "offer", late)
    assert world.promote("1.0.0", "dev").moved is False
    assert len(world.state.channels["dev"].history) == 1


def test_the_channels_report(two: World) -> None:
    two.rollback("prod")
    report = promotion.channels(two.store, two.ledger)
    assert [(row.channel, row.version, row.pinned) for row in report.rows] == [
        ("dev", "1.1.0", False),
        ("staging", "1.1.0", False),
        ("prod", "1.0.0", True),
    ]
    history = promotion.channels(two.store, two.ledger, name="prod")
    assert [(row.version, row.action, row.approvers) for row in history.rows] == [
        ("1.0.0", "promote", ("ann", "bob")),
        ("1.1.0", "promote", ("ann", "bob")),
        ("1.0.0", "rollback", ()),
    ]
    assert history.to_json()["history"][2]["reason"] == "it crashes"


def test_every_refusal_is_one_line(world: World) -> None:
    with pytest.raises(CasstoreError) as caught:
        world.promote("1.0.0", "prod")
    assert "\n" not in caught.value.message
    assert isinstance(caught.value, PolicyDenied)
    assert not isinstance(caught.value, VerificationError)


def test_a_handle_that_goes_on_sees_what_a_new_one_sees(world: World) -> None:
    from casstore.ledger.folding import replay

    kept = world.ledger
    replay(kept, world.store)
    world.to_staging("1.0.0")
    assert replay(kept, world.store) == world.state
