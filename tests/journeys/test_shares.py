"""A release that comes to a share of prod first, typed: steps and their soak, consumers, taking it back."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from tests.support.typed_line import TOML, Clock, begun, released, said, shipped, told, typed

STEPS = 'rollback_approvals = 1\nsteps = [{ share = "5%", soak = "24h" }, { share = "50%", soak = "2d" }]'
CONSUMER = """\
state = "state"
[products.first]
from = "public"
product = "one"
channel = "prod"
into = "first"
share = "always"
[products.last]
from = "public"
product = "one"
channel = "prod"
into = "last"
share = "never"
[products.drawn]
from = "public"
product = "one"
channel = "prod"
into = "drawn"
"""


PUBLISH = "publish prod --to public --clock-checked"


@pytest.fixture
def clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Clock:
    """1.0.0 is in prod and published, 1.1.0 may come; three installations of one consumer."""
    clock = Clock.turned(monkeypatch)
    begun(tmp_path, monkeypatch, TOML.replace("rollback_approvals = 1", STEPS))
    (tmp_path / "consumer.toml").write_text(CONSUMER)
    shipped(tmp_path, clock, "1.0.0")
    (tmp_path / "a" / "tool").write_text("#!/bin/sh\necho 1.1.0\n")
    released("1.1.0")
    typed("promote 1.1.0 --to dev")
    return clock


def _step(share: str) -> None:
    typed("approve 1.1.0 --channel prod", f"promote 1.1.0 --to prod{share}", PUBLISH)


def _installed(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Their versions after an update of all: who is among the first, who waits, who is drawn."""
    return [row["version"] for row in told(capsys, "update --all")["products"]]


def test_by_steps_to_all(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    assert _installed(capsys) == ["1.0.0"] * 3
    assert "the next step is 5%, not all of it" in said(capsys, "promote 1.1.0 --to prod", 4)
    assert "1.1.0 -> prod (--share 5%): denied" in said(capsys, "explain 1.1.0 --to prod", 4)
    assert "prod: 1.0.0 -> 1.1.0, for 5% of its consumers" in said(capsys, "approve 1.1.0 --channel prod --dry-run")
    _step(" --share 5%")
    assert "prod 1.0.0 (1.1.0 for 5%) ->" in said(capsys, PUBLISH)
    assert told(capsys, PUBLISH)["canary"] == {"version": "1.1.0", "share": 5, "withdrawn": False}
    assert "promote 5%" in said(capsys, "channel log prod")
    assert "1.0.0 (5%: 1.1.0)" in said(capsys, "channel")
    shown = said(capsys, "channel show prod")
    assert "prod: 1.0.0" in shown and "prod, 5% of its consumers: 1.1.0" in shown
    assert "prod 1.0.0 (1.1.0 for 5%)" in said(capsys, "channel diff dev prod")
    waits = said(capsys, "status")
    assert "prod: 1.1.0 for 50% waits" in waits and "it ran 0 seconds of 24 hours at 5%" in waits
    first, last, drawn = _installed(capsys)
    assert (first, last) == ("1.1.0", "1.0.0") and drawn in ("1.0.0", "1.1.0")
    update = said(capsys, "update --all")
    assert '5% of prod get 1.1.0: share is "never" here' in update and "this installation was" in update
    verified = said(capsys, "verify public --channel prod --state state --replay")
    assert "5% of its consumers get 1.1.0" in verified and "replayed:" in verified
    assert "reaches 5% of its consumers" in said(capsys, "audit prod", 2)
    assert "for 5% since" in said(capsys, "whence a/tool")
    clock.time += timedelta(days=1)
    _step(" --share 50%")
    assert _installed(capsys)[:2] == ["1.1.0", "1.0.0"]
    clock.time += timedelta(days=2)
    _step("")
    assert _installed(capsys) == ["1.1.0"] * 3
    assert told(capsys, "ledger verify")["void"] == []


def test_taken_back(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    _step(" --share 5%")
    assert _installed(capsys)[:2] == ["1.1.0", "1.0.0"]
    typed("approve 1.0.0 --channel prod --action rollback")
    assert "prod: rollback to 1.0.0 would be allowed (1.1.0 is taken back)" in said(capsys, "rollback prod --reason x")
    typed("rollback prod --reason crash --confirm", PUBLISH)
    assert _installed(capsys) == ["1.0.0"] * 3
    assert "1.1.0 was rolled back in prod: crash" in said(capsys, "approve 1.1.0 --channel prod --dry-run")


def test_a_kit_has_both_and_installs_either(clock: Clock, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _step(" --share 5%")
    typed("export 1.0.0 kit.tar --channel prod")
    for wish, version in (("always", "1.1.0"), ("never", "1.0.0")):
        line = f"install one --from kit.tar --channel prod --into kit-{wish} --state kit-state --share {wish}"
        assert told(capsys, line)["receipt"]["version"] == version
    typed("fsck", "fsck --published public")


def test_what_a_consumer_may_say_of_shares(tmp_path: Path, clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "consumer.toml").write_text(CONSUMER.replace('"never"', '"5%"'))
    assert "share" in said(capsys, "update --all", 2)


def test_a_rehearsal_plays_what_comes(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    _step(" --share 5%")
    played = told(capsys, "rehearse prod")
    assert (played["version"], played["back"], played["result"]) == ("1.1.0", "1.0.0", "PASSED")
