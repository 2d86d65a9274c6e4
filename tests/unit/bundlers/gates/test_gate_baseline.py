"""Baselines: a released product measured, signed about its archive, and held against the one of the channel."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from attest.errors import BadInput, PolicyDenied
from attest.keys import keys
from attest.statements.predicates.baseline import Figure
from bundlers.measuring import measuring
from casstore.errors import MoveDenied, NoSuchObject
from tests.support.lines import TOML, Line
from tests.support.measured import HERE, HOW, LISTED, MEMORY, WANTED, asked, problem, reference, said, signed
from tests.support.worlds import CHANNELS, NOW, signer


@pytest.fixture
def line(tmp_path: Path) -> Line:
    made = Line.make(tmp_path, toml=TOML + LISTED, channels={**CHANNELS, "dev": WANTED})
    made.put("1.0.0")
    made.ship("1.0.0")
    return made


def test_within_the_tolerances_it_passes_and_the_promotion_goes(line: Line) -> None:
    reference(line)
    line.later(minutes=1)
    signed(line, said(line, search_p95=50.0, search_p99=135.0, server_peak_memory=MEMORY + 30_000_000))
    with pytest.raises(MoveDenied):
        line.promote("1.0.0", "dev")
    assert len(asked(line).entries) == 1
    assert line.promote("1.0.0", "dev").moved


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"search_p95": 50.1}, "core: search.p95 is 50.1 ms, the baseline is 40, at most 50 is allowed"),
        ({"search_p99": 135.1}, "search.p99 is 135.1 ms"),
        ({"server_peak_memory": MEMORY + 30_000_001}, "server.peak_memory is"),
    ],
)
def test_exceeded_by_default_tolerances(line: Line, changes: dict[str, float], told: str) -> None:
    reference(line)
    line.later(minutes=1)
    signed(line, said(line, **changes))
    assert told in problem(line)


def test_missing_stale_and_of_another_channel_are_fatal(line: Line) -> None:
    nothing = "core: the ledger has no baseline dev signed by an auditor"
    assert problem(line) == f"core: nobody whose word counts measured these bytes | {nothing}"
    reference(line, name="prod")
    assert problem(line) == nothing
    line.later(minutes=1)
    reference(line)
    line.later(days=91)
    assert problem(line) == (
        "core: these bytes were measured 91 days ago, 90 are allowed"
        " | core: the baseline dev was measured 91 days ago, 90 are allowed"
    )


def test_another_command_or_another_sight_is_not_compared_another_machine_is_told(line: Line) -> None:
    reference(line)
    line.later(minutes=1)
    other = said(line)
    how = replace(HOW, command=("./quick.sh",), sees="unenforced", runs=1)
    signed(line, replace(other, said=replace(other.said, measuring=how)))
    assert problem(line) == "core: it was not measured as the baseline dev was (command, sees)"
    line.later(minutes=1)
    other = said(line)
    signed(line, replace(other, said=replace(other.said, machine=replace(HERE, cpu="a faster one", cores=8))))
    (outcome,) = asked(line).outcomes
    told = "core: measured on another machine than the baseline: cpu a faster one and a processor; cores 8 and 4"
    assert outcome.passed and outcome.result.warnings == (told,)
    line.configure(TOML + LISTED.replace("products", "same_machine = true, products"))
    assert problem(line) == told


def test_what_is_measured_in_the_future_counts_for_nothing(line: Line) -> None:
    signed(line, measuring.as_reference(said(line, at=NOW + timedelta(days=1)), "dev", {}))
    assert "nobody whose word counts" in problem(line) and "has no baseline dev" in problem(line)
    line.later(days=1)
    assert asked(line).entries


def test_the_newest_counts_and_what_a_person_should_know_is_a_warning(line: Line) -> None:
    reference(line)
    line.later(minutes=1)
    few = said(line)
    few = replace(few, said=replace(few.said, figures={"search.p95": Figure(40, 30, 45, "ms")}))
    signed(line, measuring.as_reference(few, "dev", {"search.p95": "x9"}))
    (outcome,) = asked(line).outcomes
    assert outcome.passed and outcome.result.warnings == ("core: this release is the baseline itself",)
    line.later(minutes=1)
    wide = said(line, search_p95=300.0)
    wide.said.figures["search.p95"] = Figure(300, 10, 9000, "ms")  # type: ignore[index]
    signed(line, wide)
    assert asked(line).outcomes[0].result.warnings == (
        "core: search.p99 is not in the baseline",
        "core: server.peak_memory is not in the baseline",
        "core: the runs differ by more than the tolerance of search.p95: from 10 to 9000",
    )


def test_the_policy_says_who_measures_and_every_reader_can_ask_for_it(tmp_path: Path) -> None:
    wanted = replace(WANTED, require=("baseline", "gate:baseline"), signers={"baseline": ("builder",)})
    line = Line.make(tmp_path, toml=TOML + LISTED, channels={**CHANNELS, "dev": wanted})
    line.put("1.0.0")
    line.ship("1.0.0")
    with pytest.raises(PolicyDenied):
        reference(line, by="ci")
    reference(line)
    assert problem(line) == "core: nobody whose word counts measured these bytes", "an auditor is no builder here"
    line.later(minutes=1)
    signed(line, said(line), by="ci")
    assert asked(line).entries
    with pytest.raises(MoveDenied) as caught:
        line.promote("1.0.0", "dev")
    (rule,) = [one for one in caught.value.decision.rules if one.status != "satisfied"]
    assert rule.id == "baseline" and rule.message == "missing for agent-1.0.0.zip"
    signed(line, said(line, product="agent"), by="ci")
    assert line.promote("1.0.0", "dev").moved


BENCH = """
import json, os, pathlib, sys
mine = pathlib.Path("core/etc/core.conf").read_text()
left = os.path.exists("left-behind")
pathlib.Path("left-behind").write_text("")
seen = os.path.exists(sys.argv[1])
print(json.dumps({"lines": len(mine.splitlines()), "left": int(left), "seen": int(seen), "search.p95": 20}))
"""


def test_by_command(line: Line, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Each run has a folder of its own, with the product as the archive holds it, and sees nothing beside."""
    from cli.main import invoke

    monkeypatch.setenv("CASSTORE_TESTING", "1")
    monkeypatch.setenv("CASSTORE_NOW", "2026-03-01T09:00:00Z")
    monkeypatch.chdir(line.root)
    for name in ("aud", "pam"):
        (line.root / f"{name}.pem").write_bytes(keys.private_to_pem(signer(name).key, None))  # type: ignore[attr-defined]
    Path("bench.py").write_text(BENCH)
    secret = str(line.root / "pam.pem")
    limits = [f"--tolerance={name}=+1" for name in ("lines", "left", "seen")]
    of = ["baseline", "capture", "--release", "1.0.0", "--product", "core", "--runs", "2"]
    command = ["--", sys.executable, "bench.py", secret + "/.."]
    assert invoke([*of, "--key", "pam.pem", *command]) == 4, "before anything runs"
    assert invoke([*of, "--dry-run", "--json", *command]) == 0
    made = json.loads(capsys.readouterr().out)
    figures, how = made["baseline"]["figures"], made["baseline"]["measuring"]
    assert figures["lines"]["max"] == 1 and figures["left"]["max"] == 0 and made["entry"] is None
    assert figures["seen"]["max"] == (0 if how["sees"] == "product" else 1)
    assert set(how["files"]) == {sys.executable, "bench.py"} and made["archive"] == "core-1.0.0.tar.gz"
    assert invoke(["baseline", "compare", "1.0.0", "--to", "dev"]) == 6
    assert invoke([*of, "--as", "dev", "--key", "aud.pem", *limits, *command]) == 0
    assert invoke(["baseline", "compare", "1.0.0", "--to", "dev"]) == 0
    assert "6 figures of 1.0.0 are within the tolerances of dev" in capsys.readouterr().out
    assert invoke(["promote", "1.0.0", "--to", "dev", "--key", "pam.pem"]) == 0
    assert invoke([*of, "--key", "aud.pem", "--tolerance", "x=+1", *command]) == 2
    assert invoke(["baseline", "capture", "--release", "1.0.0", "--product", "no", "--key", "aud.pem", "--", "x"]) == 8


def test_a_build_that_is_not_there_and_a_tool_that_is_not_there(line: Line) -> None:
    for changes, told in (({"build": "linux"}, "no build 'linux'"), ({"tools": ("nothing",)}, "--tool nothing")):
        asked_for = measuring.Asked("1.0.0", "core", ("true",), **changes)  # type: ignore[arg-type]
        with pytest.raises((NoSuchObject, BadInput), match=told):
            measuring.measure(line.store, line.state, asked_for, root=str(line.root), now=line.now)
