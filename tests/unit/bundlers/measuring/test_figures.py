"""What runs measured: medians, spread, tolerances, and the machine by its facts."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from attest.errors import BadInput, FormatError
from attest.statements.predicates.baseline import Figure
from bundlers.measuring import figures, machines
from casstore.machine.runner import CommandResult


def run(stdout: str, seconds: float = 1.0, code: int = 0) -> CommandResult:
    return CommandResult(("./bench.sh",), code, stdout.encode(), b"", seconds, seconds, 9_000_000)


def test_the_median_and_the_spread_of_runs() -> None:
    told = [json.dumps({"a.p95": {"value": one, "unit": "ms"}, "a.timeout_rate": 0}) for one in (10, 2, 30, 4, 50)]
    made = figures.summed_up([figures.of_run(run(one)) for one in told])
    assert made["a.p95"] == Figure(10, 2, 50, "ms")
    assert made.keys() == {"command.seconds", "command.peak_memory", "a.p95", "a.timeout_rate"}
    assert figures.drafted("x", made, {}).tolerances["a.timeout_rate"].factor == 1.5


@pytest.mark.parametrize(
    ("result", "told"),
    [
        (run("", code=3), "exit code 3"),
        (run("{"), "output of"),
        (run('{"a": -1}'), "less than 0"),
        (run('{"a": true}'), "is no number"),
    ],
)
def test_runs_that_measure_nothing_good(result: CommandResult, told: str) -> None:
    with pytest.raises((BadInput, FormatError)) as caught:
        figures.of_run(result)
    assert told in caught.value.message


def test_runs_that_measure_different_things() -> None:
    with pytest.raises(BadInput, match="two runs measured different figures"):
        figures.summed_up([figures.of_run(run('{"a": 1}')), figures.of_run(run('{"b": 1}'))])


def test_tolerances() -> None:
    made = {"startup": Figure(2, 2, 2, "s"), "x.peak_memory": Figure(100, 90, 110, "MB")}
    with pytest.raises(BadInput, match="figure startup: no tolerance is known"):
        figures.drafted("x", made, {})
    found = figures.drafted("x", made, {"startup": "+0.5"}).tolerances
    assert (found["startup"].plus, found["x.peak_memory"].plus) == (0.5, 30)
    found = figures.drafted("x", made, {"startup": "x1.5", "x.peak_memory": "+1GB"}).tolerances
    assert (found["startup"].factor, found["x.peak_memory"].plus) == (1.5, 1000)
    for wrong in ("x0.9", "1.5", "x1.5MB", "+", "-3"):
        with pytest.raises(BadInput, match="is no tolerance"):
            figures.drafted("x", made, {"startup": wrong})
    with pytest.raises(BadInput, match="no figure is named 'none'"):
        figures.drafted("x", made, {"none": "x2"})


def test_this_machine_is_known_by_facts() -> None:
    here = machines.here()
    assert here.cores >= 1 and here.architecture and here.system and here == machines.here()
    assert here.differs(replace(here, cores=here.cores + 1)) == {"cores": f"{here.cores} and {here.cores + 1}"}
