"""Gates that are asked at promotion: no promotion without them, for any reader; and nothing old or foreign counts."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from attest.errors import PolicyDenied
from attest.statements.predicates import revocation, test_result
from attest.statements.statements import of_digests
from attest.trust.policies import ChannelPolicy
from bundlers.audit import audit
from bundlers.errors import BaselineFailed, BranchProtectionMissing, GateFailed
from bundlers.gates import Outcome, Phase, channel_gates
from bundlers.gates.base import GateResult
from bundlers.gates.channel_gates import Asked
from casstore.errors import MoveDenied
from casstore.ledger.entries import EntryKind
from casstore.network.network import NetworkGuard
from casstore.promotion.rehearsing import rehearse
from casstore.store.attestations import id_of
from tests.support.lines import TOML, Line
from tests.support.worlds import CHANNELS, signer

WORD = "gate:rollback-capability"
WANTED = {**CHANNELS, "dev": ChannelPolicy(None, 0, (WORD,), gates={"rollback-capability": ({}, {"max_age_days": 30})})}


@pytest.fixture
def line(tmp_path: Path) -> Line:
    made = Line.make(tmp_path, toml=TOML, channels=WANTED)
    made.put("1.0.0")
    made.ship("1.0.0")
    return made


def asked(line: Line, version: str = "1.0.0", by: str = "pam", channel: str = "dev") -> Asked:
    names = channel_gates.missing(line.store, line.ledger, version, channel, now=line.now)
    return channel_gates.ask(
        line.store,
        line.ledger,
        line.config,
        version,
        channel,
        names,
        signer=signer(by),
        now=line.now,
        guard=NetworkGuard(),
    )


def played(line: Line, channel: str = "dev", by: str = "pam", **options: Any) -> None:
    rehearse(line.store, line.ledger, channel, signer=signer(by), now=line.now, **options)


def denied(line: Line, version: str = "1.0.0") -> list[str]:
    with pytest.raises(MoveDenied) as caught:
        line.promote(version, "dev")
    return [rule.id for rule in caught.value.decision.rules if rule.status != "satisfied"]


def test_without_a_rehearsal_the_gate_fails_and_the_promotion_is_denied(line: Line) -> None:
    found = asked(line)
    assert not found.entries and found.blockers[0].message == "nobody has rehearsed 1.0.0 in dev"
    assert found.blockers[0].suggested_fix == "casstore rehearse dev --release 1.0.0 --key URI"
    with pytest.raises(GateFailed):
        found.require()
    assert denied(line) == [WORD]


def test_with_one_it_passes_and_the_move_leans_on_it(line: Line) -> None:
    played(line)
    assert denied(line) == [WORD], "a rehearsal is no result of the gate"
    found = asked(line)
    assert len(found.entries) == 1
    report = line.promote("1.0.0", "dev")
    statement = list(line.ledger.entries())[found.entries[0]].statement
    assert statement in report.evidence and not line.state.void
    assert channel_gates.missing(line.store, line.ledger, "1.0.0", "dev", now=line.now) == ()


def test_the_next_release_needs_one_that_goes_back_to_this(line: Line) -> None:
    played(line)
    asked(line)
    line.promote("1.0.0", "dev")
    line.put("1.1.0")
    line.ship("1.1.0")
    assert not asked(line, "1.1.0").entries
    played(line)
    assert asked(line, "1.1.0").entries
    assert line.promote("1.1.0", "dev").moved


def test_a_result_counts_for_one_move_of_one_channel(line: Line) -> None:
    """The channel moves on, or the result was of another channel: asked again."""
    played(line)
    asked(line)
    line.put("1.1.0")
    line.ship("1.1.0")
    played(line, release="1.1.0")
    asked(line, "1.1.0")
    line.promote("1.1.0", "dev")
    assert denied(line, "1.0.0") != []  # its result was for the first move
    foreign = {"name": "rollback-capability", "annotations": test_result.place_of("staging", None)}
    claim = test_result.ResultClaim("PASSED", (foreign,), passed=("rollback-capability",))
    release = line.state.find_release("1.0.0").digest
    line.append(
        EntryKind.EVIDENCE,
        signer("aud").sign_statement(of_digests({"release": release}, test_result.TYPE, claim.to_json()).to_bytes()),
    )
    assert WORD in denied(line, "1.0.0")


def test_old_results_and_old_rehearsals_count_for_nothing(line: Line) -> None:
    played(line)
    asked(line)
    line.later(hours=25)
    assert denied(line) == [WORD]
    assert asked(line).entries, "the rehearsal is fresh enough"
    line.later(days=7)
    assert "7 are allowed" in asked(line).blockers[0].message
    line.configure(TOML + "[gates]\nrollback-capability = { max_age_days = 30 }\n")
    assert asked(line).entries
    assert line.promote("1.0.0", "dev").moved


def test_who_may_answer_for_it(line: Line) -> None:
    played(line)
    with pytest.raises(PolicyDenied, match="has not the role"):
        asked(line, by="ann")
    line.next_root(channels={**WANTED, "dev": replace(WANTED["dev"], signers={WORD: ("auditor",)})})
    with pytest.raises(PolicyDenied):
        asked(line, by="pam")
    assert asked(line, by="aud").entries
    assert line.promote("1.0.0", "dev").moved


def test_a_move_that_was_never_asked_is_void_for_every_reader(line: Line) -> None:
    """A promoter who writes the entry by hand, without the gate."""
    from casstore.promotion.moves import _statement
    from casstore.promotion.services import situation

    at = situation(line.state, "1.0.0", "dev", "promote")
    reason = line.force(EntryKind.PROMOTE, signer("pam").sign_statement(_statement(at, line.now, (), "")), "dev")
    assert "no passed result of gate rollback-capability for this very move" in reason
    assert line.state.channel("dev").release is None


def test_a_rollback_asks_no_gate(line: Line) -> None:
    for version in ("1.0.0", "1.1.0"):
        if version != "1.0.0":
            line.put(version)
            line.ship(version)
        played(line)
        asked(line, version)
        line.promote(version, "dev")
    line.later(days=100)
    assert line.rollback("dev").version == "1.0.0"


def test_a_failed_rehearsal_is_the_newest_word(line: Line) -> None:
    played(line)
    archive = line.state.find_release("1.0.0").archives["core-1.0.0.tar.gz"]
    pack = line.store.catalog.locate(bytes.fromhex(archive[7:]))
    assert pack is not None
    path = Path(line.store.url) / "packs" / pack.pack.hex()[:2] / f"{pack.pack.hex()}.pack"
    raw = path.read_bytes()
    path.chmod(0o644)
    path.write_bytes(raw[:40] + bytes([raw[40] ^ 1]) + raw[41:])
    played(line.later())
    path.write_bytes(raw)
    assert asked(line).blockers[0].message.startswith("the last rehearsal failed: ")


@pytest.mark.parametrize(
    ("codes", "error"), [((10, 6, 5), BranchProtectionMissing), ((10, 6), BaselineFailed), ((10,), GateFailed)]
)
def test_the_gravest_decides(codes: tuple[int, ...], error: type[Exception]) -> None:
    failed = GateResult(False, ("no",))
    outcomes = tuple(
        Outcome(str(code), Phase.CHANNEL, "sha256:" + "0" * 64, failed, exit_code=code)  # type: ignore[arg-type]
        for code in codes
    )
    with pytest.raises(error):
        Asked(outcomes, ()).require()


def test_a_consumer_judges_it_from_what_is_published(line: Line, tmp_path: Path) -> None:
    """The proof of the channel carries when the result was recorded; a kit does too."""
    from bundlers.consuming.service import TrustSettings
    from bundlers.installing.install import install
    from bundlers.publishing.layout.destinations import DestinationSettings
    from bundlers.publishing.publication import PublishSigners, publish_to

    played(line)
    asked(line)
    line.promote("1.0.0", "dev")
    settings = DestinationSettings("cdn", str(tmp_path / "public"))
    publish_to(line.store, line.ledger, "dev", settings, PublishSigners(signer("pete"), signer("log")), now=line.now)
    done = install(
        str(tmp_path / "public"),
        "core",
        channel="dev",
        into=str(tmp_path / "core"),
        trust=TrustSettings(str(tmp_path / "state")),
        at=line.now,
    )
    assert done.receipt.version == "1.0.0"


def test_by_command(line: Line, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from attest.keys import keys
    from cli.main import invoke

    monkeypatch.setenv("CASSTORE_TESTING", "1")
    monkeypatch.setenv("CASSTORE_NOW", "2026-03-01T09:10:00Z")
    monkeypatch.chdir(line.root)
    key = line.root.parent / "pam.pem"
    key.write_bytes(keys.private_to_pem(signer("pam").key, None))  # type: ignore[attr-defined]
    arguments = ["--key", str(key)]
    assert invoke(["promote", "1.0.0", "--to", "dev", *arguments]) == 10
    assert "casstore rehearse dev --release 1.0.0" in capsys.readouterr().err
    assert invoke(["explain", "1.0.0", "--to", "dev"]) == 4
    assert "casstore gate ask 1.0.0 --to dev" in capsys.readouterr().out
    assert invoke(["rehearse", "dev", *arguments]) == 0
    assert invoke(["gate", "ask", "1.0.0", "--to", "dev", *arguments]) == 0
    assert invoke(["promote", "1.0.0", "--to", "dev", *arguments]) == 0
    assert invoke(["gate", "ask", "1.0.0", "--to", "dev", *arguments]) == 0
    assert line.state.channel("dev").version == "1.0.0"


def stands_in_the_way(line: Line, ref: str, to: str | None = None) -> list[str]:
    report = audit(line.store, line.ledger, ref, now=line.now, to=to)
    return [check.id for check in report.checks if check.status == "blocker"]


def test_an_audit_takes_the_promoters_result_for_the_move_that_it_allowed(line: Line) -> None:
    """Release, gate, rehearsal, promotion: nothing stands in the way, and the rollback counts as shown."""
    assert stands_in_the_way(line, "1.0.0") == ["rollback.rollback-capability"]
    played(line)
    asked(line)
    assert stands_in_the_way(line, "1.0.0") == []
    line.promote("1.0.0", "dev")
    assert stands_in_the_way(line, "dev") == []


def test_an_audit_is_not_green_by_a_result_of_another_move_or_an_old_one(line: Line) -> None:
    played(line)
    asked(line)
    assert stands_in_the_way(line, "1.0.0") == []
    line.later(days=2)
    assert stands_in_the_way(line, "1.0.0") == ["rollback.rollback-capability"], "too old for the policy"
    asked(line)
    line.put("1.1.0")
    line.ship("1.1.0")
    played(line, release="1.1.0")
    asked(line, "1.1.0")
    assert stands_in_the_way(line, "1.1.0") == []
    line.promote("1.0.0", "dev")
    assert stands_in_the_way(line, "1.1.0", to="dev") == ["rollback.rollback-capability"], "dev moved since"
    assert denied(line, "1.1.0") == [WORD]


def test_an_audit_after_the_result_was_revoked(line: Line) -> None:
    played(line)
    found = asked(line)
    statement = list(line.ledger.entries())[found.entries[0]].statement
    line.promote("1.0.0", "dev")
    claim = revocation.Revocation("attestation", "given by mistake", line.now)
    raw = signer("olga").sign_statement(
        of_digests({"it": id_of(line.store.read(statement))}, revocation.TYPE, claim.to_json()).to_bytes()
    )
    line.append(EntryKind.REVOKE, raw)
    report = audit(line.store, line.ledger, "dev", now=line.now)
    assert report.exit_code == 3, "the move leaned on it"
    assert "rollback.rollback-capability" in [check.id for check in report.checks if check.status == "blocker"]


def test_a_rehearsal_from_the_future_counts_for_nothing(line: Line) -> None:
    rehearse(line.store, line.ledger, "dev", signer=signer("pam"), now=line.now + timedelta(days=1))
    assert asked(line).blockers[0].message == "the last rehearsal claims to be from the future"
