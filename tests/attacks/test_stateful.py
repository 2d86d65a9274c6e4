"""An attacker who may do anything with all that is public, beside honest people: a machine that plays both.

A sample here; `CASSTORE_PROFILE=deep` plays for hours. Each flaw of `FLAWS` was in the product once: put
back by a switch, the machine must find it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from attest.digests import sha256
from attest.judging import steps
from attest.trust.verify import VerifiedStatement
from bundlers.publishing.cosigned import Cosigned
from bundlers.publishing.proofs import absence
from casstore.ledger import rules, sealing
from casstore.ledger.rules import content, moves, reader, trust
from casstore.ledger.rules import epochs as rule_epochs
from casstore.ledger.states.state import LedgerState
from casstore.promotion import revocations
from tests.support.siege import Broken, Siege

DEEP = os.environ.get("CASSTORE_PROFILE") == "deep"
SAMPLE = settings(
    max_examples=400 if DEEP else 3,
    stateful_step_count=20 if DEEP else 6,
    deadline=None,
    derandomize=not DEEP,
    database=None,
    print_blob=False,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.generate,),
)


def test_no_law_is_broken() -> None:
    run_state_machine_as_test(Siege, settings=SAMPLE)


def _subset(patch: pytest.MonkeyPatch) -> None:
    """A consumer judges the entries that somebody chose; nothing shows what was left out."""
    patch.setattr(absence, "check", lambda *_: absence.Against(frozenset(), {}))


def _believed(patch: pytest.MonkeyPatch) -> None:
    """Time is what the signer says."""
    for module in (content, moves, reader, rule_epochs, trust, rules):
        if hasattr(module, "judged_at"):
            patch.setattr(module, "judged_at", lambda _state, claimed: claimed)
    patch.setattr(LedgerState, "is_long", lambda *_: False)


def _unbounded(patch: pytest.MonkeyPatch) -> None:
    """No seal bounds what was claimed before it."""
    patch.setattr(rules, "bounded", lambda state, *_: state)
    patch.setattr(sealing, "bounded", lambda state, *_: state)


def _bytes(patch: pytest.MonkeyPatch) -> None:
    """An attestation is its bytes, so a revoked one that is written anew counts again."""
    patch.setattr(VerifiedStatement, "id", property(lambda self: self.bundle))
    patch.setattr(revocations, "id_of", sha256)


def _auditor(patch: pytest.MonkeyPatch) -> None:
    """The owners' threshold is printed, and not asked."""
    patch.setattr(trust, "require_owners", lambda *_: None)


def _unwitnessed(patch: pytest.MonkeyPatch) -> None:
    """Whose lines are asked for is printed, and not asked."""
    patch.setattr(Cosigned, "enough", property(lambda _: True))


def _stepless(patch: pytest.MonkeyPatch) -> None:
    """The steps of a policy are printed, and not asked."""
    patch.setattr(steps, "judge", lambda *_: None)
    patch.setattr(steps, "next_share", lambda *_: None)


FLAWS: dict[str, tuple[Callable[[pytest.MonkeyPatch], None], Callable[[Siege], None]]] = {}


def _flaw(put_back: Callable[[pytest.MonkeyPatch], None]) -> Callable[[Callable[[Siege], None]], Any]:
    def kept(play: Callable[[Siege], None]) -> Callable[[Siege], None]:
        FLAWS[put_back.__name__.strip("_")] = put_back, play
        return play

    return kept


@_flaw(_subset)
def _withheld(siege: Siege) -> None:
    siege.begin(())
    siege.season(timedelta(0))
    siege.season(timedelta(0))
    siege.revoke(0)
    siege.roll_back()
    siege.publish("prod")
    siege.besiege()


@_flaw(_believed)
def _ended(siege: Siege) -> None:
    siege.begin(("pam",))
    siege.bring(timedelta(0))
    siege.let_pam_end(60)
    siege.wait(50)
    with siege.act() as world:
        world.approve("1.1.0", "prod", "ann")
    siege.wait(50)
    siege.besiege()
    siege.move_by_hand(0, -1.75, anew=False)
    siege.besiege()


@_flaw(_unbounded)
def _hurried(siege: Siege) -> None:
    siege.begin(("pam",))
    siege.bring(timedelta(0))
    siege.publish("dev")
    siege.ship_it(0, timedelta(days=3))
    siege.besiege()


@_flaw(_bytes)
def _written_anew(siege: Siege) -> None:
    siege.begin(("pam",))
    siege.bring(timedelta(0))
    siege.publish("dev")
    siege.wait(50)
    with siege.act() as world:
        world.approve("1.1.0", "prod", "ann")
    siege.revoke_approvals()
    siege.move_by_hand(0, 0, anew=True)
    siege.besiege()


@_flaw(_auditor)
def _alone(siege: Siege) -> None:
    siege.begin(("aud",))
    siege.revoke_alone("ci")
    siege.besiege()


@_flaw(_stepless)
def _at_once(siege: Siege) -> None:
    siege.begin(("pam",), shared=True)
    siege.season(timedelta(0))
    siege.bring(timedelta(0))
    siege.wait(50)
    with siege.act() as world:
        world.approve("1.2.0", "prod", "ann")
    siege.move_by_hand(0, 0, anew=False)
    siege.besiege()


@_flaw(_unwitnessed)
def _sealed_anew(siege: Siege) -> None:
    siege.begin(("log",), witnessed=True)
    siege.season(timedelta(0))
    siege.besiege()


@pytest.mark.parametrize("flaw", sorted(FLAWS))
def test_a_flaw_that_is_put_back_breaks_a_law(monkeypatch: pytest.MonkeyPatch, flaw: str) -> None:
    """The same steps, without the flaw and with it: the laws hold, and do not."""
    put_back, play = FLAWS[flaw]
    for broken in (False, True):
        siege = Siege()
        try:
            if not broken:
                play(siege)
                continue
            put_back(monkeypatch)
            with pytest.raises(Broken):
                play(siege)
        finally:
            siege.world.store.close()


@pytest.mark.skipif(not DEEP, reason="deep profile: the machine looks for each flaw by itself, for minutes")
@pytest.mark.parametrize("flaw", sorted(FLAWS))
def test_the_machine_finds_it_by_itself(monkeypatch: pytest.MonkeyPatch, flaw: str) -> None:
    FLAWS[flaw][0](monkeypatch)
    with pytest.raises(Broken):
        run_state_machine_as_test(Siege, settings=SAMPLE)
