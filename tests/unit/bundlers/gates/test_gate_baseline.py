"""Baselines: medians captured, signed with tolerances by an auditor, and asked at promotion."""

from __future__ import annotations

import json
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from attest.errors import BadInput, FormatError, PolicyDenied
from attest.keys import keys
from attest.trust.policies import ChannelPolicy
from bundlers.errors import BaselineFailed
from bundlers.gates import baselines, channel_gates
from bundlers.gates.baselines import Metrics
from bundlers.gates.channel_gates import Asked
from casstore.errors import MoveDenied
from casstore.network.network import NetworkGuard
from tests.support.lines import TOML, Line
from tests.support.worlds import CHANNELS, NOW, signer

MEMORY = 500_000_000.0
GOOD = {"search.p95": (40.0, "ms"), "search.p99": (90.0, "ms"), "server.peak_memory": (MEMORY, "bytes")}


def metrics(version: str = "1.0.0", **changes: float) -> Metrics:
    values = {name: (changes.get(name.replace(".", "_"), value), unit) for name, (value, unit) in GOOD.items()}
    return Metrics(version, NOW, 5, values)


@pytest.fixture
def line(tmp_path: Path) -> Line:
    policy = ChannelPolicy(None, 0, ("gate:baseline",), gates={"baseline": None})
    made = Line.make(tmp_path, toml=TOML, channels={**CHANNELS, "dev": policy})
    made.put("1.0.0")
    made.ship("1.0.0")
    return made


def signed(line: Line, by: str = "aud", name: str = "dev", **changes: float) -> int:
    made = metrics(**changes)
    draft = baselines.draft(made, name, {})
    named = ("metrics.json", made.to_bytes())
    return channel_gates.record_baseline(line.store, line.ledger, draft, named, signer=signer(by), now=line.now)


def asked(line: Line) -> Asked:
    return channel_gates.ask(
        line.store,
        line.ledger,
        line.config,
        "1.0.0",
        "dev",
        ("baseline",),
        signer=signer("pam"),
        now=line.now,
        guard=NetworkGuard(),
    )


def problem(line: Line) -> str:
    found = asked(line)
    with pytest.raises(BaselineFailed) as caught:
        found.require()
    assert caught.value.exit_code == 6
    return " | ".join(blocker.message for blocker in found.blockers)


def measured(line: Line, made: Metrics) -> None:
    (line.root / "metrics.json").write_bytes(made.to_bytes())


def test_within_the_tolerances_it_passes_and_the_promotion_goes(line: Line) -> None:
    signed(line)
    measured(line, metrics(search_p95=50.0, search_p99=135.0, server_peak_memory=MEMORY + 30_000_000))
    with pytest.raises(MoveDenied):
        line.promote("1.0.0", "dev")
    assert len(asked(line).entries) == 1
    assert line.promote("1.0.0", "dev").moved


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"search_p95": 50.1}, "search.p95 is 50.1 ms, the baseline is 40, at most 50 is allowed"),
        ({"search_p99": 135.1}, "search.p99 is 135.1 ms"),
        ({"server_peak_memory": MEMORY + 30_000_001}, "server.peak_memory is"),
    ],
)
def test_exceeded_by_default_tolerances(line: Line, changes: dict[str, float], told: str) -> None:
    signed(line)
    measured(line, metrics(**changes))
    assert told in problem(line)


def test_missing_unsigned_stale_and_foreign_are_fatal(line: Line) -> None:
    measured(line, metrics())
    assert "has no baseline dev signed by an auditor" in problem(line)
    signed(line, name="prod")
    assert "has no baseline dev" in problem(line)
    signed(line)
    measured(line, metrics("0.9.0"))
    assert "measured version 0.9.0" in problem(line)
    (line.root / "metrics.json").unlink()
    assert "cannot be read" in problem(line)
    (line.root / "metrics.json").write_bytes(b"{}")
    assert "metrics" in problem(line)
    measured(line, metrics())
    line.later(days=91)
    assert "91 days ago, 90 are allowed" in problem(line)


def test_what_is_measured_in_the_future_counts_for_nothing(line: Line) -> None:
    signed(line)
    ahead = Metrics("1.0.0", NOW + timedelta(days=1), 5, GOOD)
    with pytest.raises(BadInput, match="which is to come"):
        channel_gates.record_baseline(
            line.store,
            line.ledger,
            baselines.draft(ahead, "dev", {}),
            ("m", b""),
            signer=signer("aud"),
            now=line.now,
        )
    measured(line, ahead)
    assert "measured version 1.0.0" in problem(line)
    line.later(days=1)
    assert asked(line).entries


def test_only_an_auditor_signs_one(line: Line) -> None:
    with pytest.raises(PolicyDenied):
        signed(line, by="ci")


def test_the_newest_counts_and_a_new_figure_is_a_warning(line: Line) -> None:
    signed(line)
    loose = baselines.draft(
        Metrics("1.0.0", NOW + timedelta(minutes=1), 5, {"search.p95": (40.0, "ms")}), "dev", {"search.p95": "x9"}
    )
    channel_gates.record_baseline(line.store, line.ledger, loose, ("m.json", b"{}"), signer=signer("aud"), now=line.now)
    measured(line, metrics(search_p95=300.0))
    (outcome,) = asked(line).outcomes
    assert outcome.passed and outcome.result.warnings == (
        "search.p99 is not in the baseline",
        "server.peak_memory is not in the baseline",
    )


def test_the_median_of_runs_of_a_command(tmp_path: Path) -> None:
    script = """
import json, pathlib
place = pathlib.Path("n"); n = int(place.read_text()) + 1 if place.exists() else 1; place.write_text(str(n))
print(json.dumps({"a.p95": {"value": [10, 2, 30, 4, 50][n - 1], "unit": "ms"}, "a.timeout_rate": 0}))
"""
    made = baselines.capture([sys.executable, "-c", script], version="1.0", runs=5, cwd=str(tmp_path), now=NOW)
    assert made.values["a.p95"] == (10, "ms") and made.runs == 5
    assert {"command.seconds", "command.peak_memory", "a.timeout_rate"} < set(made.values)
    assert made.values["command.peak_memory"][0] > 1_000_000
    assert baselines.parse(made.to_bytes()) == made
    assert baselines.draft(made, "x", {}).figures["a.timeout_rate"].limit == 0


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("import sys; sys.exit(3)", "exit code 3"),
        ('print("{")', "output of"),
        ("print('{\"a\": -1}')", "less than 0"),
        ("print('{\"a\": true}')", "is no number"),
        ("import time; print('{\"a%s\": 1}' % time.time_ns())", "different figures"),
    ],
)
def test_runs_that_measure_nothing_good(tmp_path: Path, script: str, told: str) -> None:
    with pytest.raises((BadInput, FormatError)) as caught:
        baselines.capture([sys.executable, "-c", script], version="1", runs=2, cwd=str(tmp_path), now=NOW)
    assert told in caught.value.message


def test_tolerances(tmp_path: Path) -> None:
    made = Metrics("1", NOW, 1, {"startup": (2.0, "s"), "x.peak_memory": (100.0, "MB")})
    with pytest.raises(BadInput, match="figure startup: no tolerance is known"):
        baselines.draft(made, "x", {})
    draft = baselines.draft(made, "x", {"startup": "+0.5"})
    assert (draft.figures["startup"].limit, draft.figures["x.peak_memory"].limit) == (2.5, 130)
    assert (
        baselines.draft(made, "x", {"startup": "x1.5", "x.peak_memory": "+1GB"}).figures["x.peak_memory"].plus == 1000
    )
    for wrong in ("x0.9", "1.5", "x1.5MB", "+", "-3"):
        with pytest.raises(BadInput, match="is no tolerance"):
            baselines.draft(made, "x", {"startup": wrong})
    with pytest.raises(BadInput, match="no figure is named 'none'"):
        baselines.draft(made, "x", {"none": "x2"})


def test_by_command(line: Line, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from cli.main import invoke

    monkeypatch.setenv("CASSTORE_TESTING", "1")
    monkeypatch.setenv("CASSTORE_NOW", "2026-03-01T09:00:00Z")
    monkeypatch.chdir(line.root)
    for name in ("aud", "pam"):
        (line.root / f"{name}.pem").write_bytes(keys.private_to_pem(signer(name).key, None))  # type: ignore[attr-defined]
    for number in (1, 2, 3):
        Path(f"{number}.json").write_text(json.dumps({"search.p95": {"value": 10 * number, "unit": "ms"}}))
    given: list[Any] = [item for number in (1, 2, 3) for item in ("--from", f"{number}.json")]
    assert invoke(["baseline", "capture", "--release-version", "1.0.0", "--out", "metrics.json", *given]) == 0
    assert invoke(["baseline", "compare", "metrics.json", "--name", "dev"]) == 6
    assert invoke(["promote", "1.0.0", "--to", "dev", "--key", "pam.pem"]) == 6
    assert invoke(["baseline", "sign", "metrics.json", "--name", "dev", "--key", "pam.pem"]) == 4
    assert invoke(["baseline", "sign", "metrics.json", "--name", "dev", "--key", "aud.pem"]) == 0
    assert invoke(["baseline", "compare", "metrics.json", "--name", "dev"]) == 0
    capsys.readouterr()
    assert invoke(["baseline", "compare", "metrics.json", "--name", "dev", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["passed"] is True
    assert invoke(["baseline", "capture", "--release-version", "1", "--out", "slow.json", "--from", "3.json"]) == 0
    assert invoke(["baseline", "compare", "slow.json", "--name", "dev"]) == 6
    assert "search.p95 is 30 ms, the baseline is 20, at most 25 is allowed" in capsys.readouterr().err
    assert invoke(["promote", "1.0.0", "--to", "dev", "--key", "pam.pem"]) == 0
    assert invoke(["baseline", "capture", "--release-version", "1", "--out", "x.json"]) == 2
