"""A promoter with write access to the store: moves that no honest tool would write, and friends who show them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from attest.digests import Digest, sha256
from attest.errors import VerificationError
from attest.statements import statements
from attest.statements.predicates import promotion, vulns
from attest.trust.policies import ChannelPolicy
from bundlers.consuming.service import TrustSettings, verify
from casstore.ledger.entries import EntryKind
from tests.support.adversary import Public
from tests.support.published import PublishedWorld
from tests.support.worlds import CHANNELS, signer

SCANNED = ChannelPolicy(None, 0, ("vulns",), vulnerabilities={"critical": 0}, separate_duties=False)


def _scan(world: PublishedWorld, version: str, *findings: vulns.Finding) -> bytes:
    claim = vulns.Scan("https://scanner.example", "1", findings, world.now)
    subjects = world.made[version].archives
    return signer("aud").sign_statement(statements.of_digests(subjects, vulns.TYPE, claim.to_json()).to_bytes())


def _move(world: PublishedWorld, version: str, *evidence: Digest, by: str = "pam") -> bytes:
    state = world.state
    claim = promotion.Promotion(
        store=state.store,
        ledger="main",
        action="promote",
        channel="scanned",
        from_move=state.channel("scanned").move,
        release=version,
        time=world.now,
        trust_root=state.require_trust_root().digest,
        evidence=tuple(sorted(evidence)),
    )
    subject = {"release": world.made[version].digest}
    return signer(by).sign_statement(statements.of_digests(subject, promotion.TYPE, claim.to_json()).to_bytes())


@pytest.fixture
def world(tmp_path: Path) -> PublishedWorld:
    """1.0.0 is in the channel; a critical finding about 1.1.0 was handed in."""
    made = PublishedWorld.make(str(tmp_path / "store"), channels={**CHANNELS, "scanned": SCANNED})
    made.ship("1.0.0")
    made.append(EntryKind.EVIDENCE, _scan(made, "1.0.0"))
    made.promote("1.0.0", "scanned")
    made.publish("scanned", str(tmp_path / "public"))
    made.ship("1.1.0", content=b"x")
    made.append(EntryKind.EVIDENCE, _scan(made, "1.1.0"))
    made.append(EntryKind.EVIDENCE, _scan(made, "1.1.0", vulns.Finding("CVE-2026-1", {"cvss": "9.8"})))
    return made


@pytest.mark.parametrize("by", ["pam", "ci"])
def test_a_void_move_moves_nobody(world: PublishedWorld, tmp_path: Path, by: str) -> None:
    """The list of the move leaves the critical scan out; the mirror shows the move as the channel's head."""
    statement = _move(world, "1.1.0", sha256(_scan(world, "1.1.0")), by=by)
    assert world.force(EntryKind.PROMOTE, statement, "scanned")
    number, code = list(world.state.codes.items())[-1]
    assert code == ("policy" if by == "pam" else "signer")
    world.promote("1.1.0", "dev")
    world.publish("dev", str(tmp_path / "public"))
    public = Public.of(tmp_path / "public")
    public.blobs[sha256(statement)] = statement
    entry = next(entry for entry in world.ledger.entries() if entry.number == number)
    moved = replace(public.record("dev", "1.1.0"), channel="scanned", move_number=number, move=entry.digest)
    kit = public.kit(tmp_path / "forged.tar", "scanned", "1.1.0", record=moved)
    with pytest.raises(VerificationError, match=r"names another move|nothing speaks against it") as caught:
        verify(str(kit), "scanned", trust=TrustSettings(str(tmp_path / "st")), at=world.now, offline=True)
    assert caught.value.exit_code == 3


def test_the_channel_stays_where_it_was(world: PublishedWorld, tmp_path: Path) -> None:
    world.force(EntryKind.PROMOTE, _move(world, "1.1.0", sha256(_scan(world, "1.1.0"))), "scanned")
    world.promote("1.0.0", "dev")
    world.publish("dev", str(tmp_path / "public"))
    trust = TrustSettings(str(tmp_path / "st"))
    found = verify(str(tmp_path / "public"), "scanned", trust=trust, at=world.now).verified.channel
    assert found.version == "1.0.0"
