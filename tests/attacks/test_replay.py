"""`verify --replay` reads the whole ledger: who holds the ledger's key and a promoter's hides nothing from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from attest.errors import BadInput, FormatError, PolicyDenied, VerificationError
from attest.statements import statements
from attest.statements.predicates import vulns
from attest.trust.policies import ChannelPolicy
from bundlers.consuming.kits import export
from bundlers.consuming.service import TrustSettings, VerifyReport, verify
from bundlers.publishing import feed
from casstore import promotion
from casstore.ledger.rules import moves
from casstore.promotion import services
from tests.support.published import PublishedWorld
from tests.support.worlds import CHANNELS, signer

STRICT = ChannelPolicy(None, 0, ("vulns",), vulnerabilities={"critical": 0}, signers={"vulns": ("auditor",)})


@pytest.fixture
def world(tmp_path: Path) -> PublishedWorld:
    return PublishedWorld.make(str(tmp_path / "store"), channels={**CHANNELS, "beta": STRICT})


def look(world: PublishedWorld, source: Path, channel: str, *, replay: bool) -> VerifyReport:
    trust = TrustSettings(str(source) + f"-{replay}", world.state.trust_roots[0].digest)
    return verify(str(source), channel, trust=trust, at=world.now, replay=replay)


def scan(world: PublishedWorld, version: str, severity: str) -> bytes:
    finding: dict[str, Any] = {"id": f"CVE-{severity}", "severity": [{"method": "CVSS_V3", "score": severity}]}
    predicate = {
        "scanner": {"uri": "https://scanner.example", "result": [finding]},
        "metadata": {"scanStartedOn": "2026-03-01T09:00:00Z", "scanFinishedOn": "2026-03-01T09:00:00Z"},
    }
    payload = statements.of_digests(world.made[version].archives, vulns.TYPE, predicate).to_bytes()
    return signer("aud").sign_statement(payload)


def test_an_honest_line_adds_up(world: PublishedWorld, tmp_path: Path) -> None:
    """Moves, a rollback, a revocation, a rotation, void entries; published in several parts."""
    public = tmp_path / "public"
    for version in ("1.0.0", "1.1.0"):
        world.ship(version, content=version.encode())
        world.to_prod(version)
        world.publish("prod", str(public))
        world.later()
    world.rollback("prod")
    store, ledger = world.store, world.ledger
    promotion.revoke(store, ledger, "1.1.0", kind="artifact", reason="bad", signer=signer("aud"), now=world.now)
    world.later().rotate("ci")
    world.publish("prod", str(public))
    report = look(world, public, "prod", replay=True)
    assert report.replayed is not None and report.replayed.entries == report.verified.channel.checkpoint_size
    assert len(feed.parse_index((public / feed.INDEX).read_bytes())) == 3


def test_evidence_that_speaks_against_cannot_be_hidden(
    world: PublishedWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The promoter leaves a scan out of the closed list, the ledger's key seals it as if there were none."""
    world.ship("1.0.0")
    bad, _ = promotion.import_attestation(world.store, world.ledger, scan(world, "1.0.0", "9.8"), now=world.now)
    world.later()
    promotion.import_attestation(world.store, world.ledger, scan(world, "1.0.0", "1.0"), now=world.now)
    with pytest.raises(PolicyDenied, match="too many findings"):
        world.promote("1.0.0", "beta")
    every = services.evidence_for
    with monkeypatch.context() as patch:
        patch.setattr(moves, "limiting_evidence", lambda *_: frozenset())
        patch.setattr(services, "evidence_for", lambda *of: {d: raw for d, raw in every(*of).items() if d != bad})
        assert world.promote("1.0.0", "beta").moved
        world.publish("beta", str(tmp_path / "public"))
    assert look(world, tmp_path / "public", "beta", replay=False).verdict == "valid", "what SECURITY.md says"
    with pytest.raises(VerificationError, match=r"names the state .* add up to") as caught:
        look(world, tmp_path / "public", "beta", replay=True)
    assert caught.value.exit_code == 3


@pytest.mark.parametrize("what", ["ledger/feed/*.tar", "ledger/tile/entries/*.p/*", "ledger/feed/index.json"])
@pytest.mark.parametrize("lost", [True, False])
def test_what_is_missing_or_other_is_refused(world: PublishedWorld, tmp_path: Path, what: str, lost: bool) -> None:
    world.ship("1.0.0")
    world.promote("1.0.0", "dev")
    world.publish("dev", str(tmp_path / "public"))
    for path in (tmp_path / "public").glob(what):
        data = path.read_bytes()
        path.unlink()
        if not lost:
            path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]) if path.suffix != ".tar" else b"x" * len(data))
    assert look(world, tmp_path / "public", "dev", replay=False).verdict == "valid"
    with pytest.raises((VerificationError, FormatError)) as caught:
        look(world, tmp_path / "public", "dev", replay=True)
    assert caught.value.exit_code == 3


def test_a_kit_has_not_the_whole_ledger(world: PublishedWorld, tmp_path: Path) -> None:
    world.ship("1.0.0")
    world.promote("1.0.0", "dev")
    export(world.store, world.ledger, "1.0.0", str(tmp_path / "k.tar"), signer=signer("log"), now=world.now)
    with pytest.raises(BadInput, match="whole ledger"):
        look(world, tmp_path / "k.tar", "dev", replay=True)
