"""A published line that witnesses sign, and who reads it.

line = Line(tmp_path, asked(1, "w1"))
line.publish()                      # staged
line.witness("w1")
line.publish()
line.verify()
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from attest.log import checkpoints, cosignatures
from attest.statements import statements
from attest.statements.predicates import vulns
from attest.trust.policies import ChannelPolicy
from attest.trust.witnesses import FOLD, Witness, Witnesses
from bundlers.consuming.service import TrustSettings, VerifyReport, verify
from bundlers.consuming.state import ConsumerState
from bundlers.consuming.witness_lines import read_from
from bundlers.publishing.reports import PublishReport
from bundlers.witnessing.witness import WitnessReport, WitnessSettings, run
from casstore import promotion
from casstore.ledger.rules import moves
from casstore.promotion import services
from tests.support.published import PublishedWorld
from tests.support.worlds import CHANNELS, signer

STRICT = ChannelPolicy(None, 0, ("vulns",), vulnerabilities={"critical": 0}, signers={"vulns": ("auditor",)})


def asked(quorum: int, *names: str, kind: str = FOLD) -> Witnesses:
    return Witnesses(quorum, tuple(Witness(name, kind, signer(name).public_pem or b"") for name in names))


class Line:
    """A published line, its witnesses and a consumer."""

    def __init__(self, at: Path, witnesses: Witnesses) -> None:
        self.at, self.public = at, at / "public"
        self.world = PublishedWorld.make(str(at / "store"), channels={**CHANNELS, "beta": STRICT}, witnesses=witnesses)
        self.world.ship("1.0.0")
        self.world.promote("1.0.0", "dev")

    def publish(self, channel: str = "dev", *, to: Path | None = None, **changes: Any) -> PublishReport:
        places = read_from([str(self.at / f"{name}-out") for name in ("w1", "w2", "w3", "w4")], network=None)
        return self.world.publish(channel, str(to or self.public), places=places, **changes)

    def witness(self, name: str, *also: Path, source: Path | None = None, **changes: Any) -> WitnessReport:
        settings = WitnessSettings(
            (str(source or self.public), *map(str, also)),
            str(self.at / f"{name}-memory"),
            str(self.at / f"{name}-out"),
            first_trust_root=self.first,
        )
        return run(replace(settings, **changes), signer(name), now=self.world.now)

    @property
    def first(self) -> Any:
        return self.world.state.trust_roots[0].digest

    def verify(self, channel: str = "dev", *, source: Path | None = None, state: str = "me") -> VerifyReport:
        trust = TrustSettings(str(self.at / state), self.first)
        return verify(str(source or self.public), channel, trust=trust, at=self.world.now)

    def seen(self, state: str = "me") -> int:
        pins = ConsumerState(str(self.at / state)).pins(self.world.store.store_id, "main")
        return pins.checkpoint_size if pins else 0

    def later(self) -> None:
        self.world.later()


def forked(tmp_path: Path, witnesses: Witnesses, monkeypatch: pytest.MonkeyPatch) -> tuple[Line, Line]:
    """After a common publication, each of two stores goes on with a release of its own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    line = Line(tmp_path, witnesses)
    line.publish()
    for name in ("w1", "w2", "w3", "w4")[: len(witnesses.keys)]:
        line.witness(name)
    assert line.publish().staged is None
    other = Line.__new__(Line)
    other.at, other.public = tmp_path, tmp_path / "forked"
    shutil.copytree(tmp_path / "store", tmp_path / "store2")
    shutil.copytree(line.public, other.public)
    store = type(line.world.store).open(str(tmp_path / "store2"))
    other.world = PublishedWorld(store, now=line.world.now, made=dict(line.world.made))
    for one, version in ((line, "2.0.0"), (other, "2.0.0-evil")):
        one.later()
        one.world.ship(version, content=version.encode())
        one.world.promote(version, "dev")
        assert one.publish().staged
    return line, other


def sign_blindly(line: Line, name: str) -> None:
    """A bad witness: it signs whatever it is shown."""
    note = (line.public / "ledger/checkpoint").read_bytes()
    size = checkpoints.parse(note)[0].size
    key = asked(1, name).keys[0]
    made = cosignatures.cosign(note, key.key, signer(name).sign_bytes, at=line.world.now)
    place = line.public / "ledger/cosignatures" / str(size)
    place.mkdir(parents=True, exist_ok=True)
    (place / key.key_id).write_bytes(made)


def scan(world: PublishedWorld, version: str, severity: str) -> bytes:
    finding: dict[str, Any] = {"id": f"CVE-{severity}", "severity": [{"method": "CVSS_V3", "score": severity}]}
    predicate = {
        "scanner": {"uri": "https://scanner.example", "result": [finding]},
        "metadata": {"scanStartedOn": "2026-03-01T09:00:00Z", "scanFinishedOn": "2026-03-01T09:00:00Z"},
    }
    payload = statements.of_digests(world.made[version].archives, vulns.TYPE, predicate).to_bytes()
    return signer("aud").sign_statement(payload)


def lie(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """The promoter leaves the scan that speaks against out, and the ledger's key seals as if there were none."""
    world = line.world
    bad, _ = promotion.import_attestation(world.store, world.ledger, scan(world, "1.0.0", "9.8"), now=world.now)
    line.later()
    promotion.import_attestation(world.store, world.ledger, scan(world, "1.0.0", "1.0"), now=world.now)
    every = services.evidence_for
    with monkeypatch.context() as patch:
        patch.setattr(moves, "limiting_evidence", lambda *_: frozenset())
        patch.setattr(services, "evidence_for", lambda *of: {d: raw for d, raw in every(*of).items() if d != bad})
        assert world.promote("1.0.0", "beta").moved
        line.publish("beta")
