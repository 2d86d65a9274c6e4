"""Figures of runs: what a command said each time, their medians and spread, and how much larger they may become.

Promises: a run that fails, or that measures other things than the one before, is an error; every figure of a
reference has a tolerance that somebody chose or that its name is known by. Leaves to others: where measuring
happens, and who may sign.

    figures = summed_up([run_once(["./bench.sh"], cwd=folder) for _ in range(5)])
    reference = drafted("prod", figures, {"startup": "x1.1"})
"""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from attest import canonical
from attest.errors import BadInput, FormatError
from attest.statements.predicates.baseline import Figure, Reference, Tolerance
from bundlers.inspection.secret_forms import redacted
from casstore.machine.runner import CommandResult

MAX_BYTES = 4 * 1024 * 1024
_MEGABYTE = 1_000_000
_TAIL = 300
_TOLERANCES: Mapping[str, tuple[float, float]] = {
    "p95": (1.25, 0),
    "p99": (1.5, 0),
    "seconds": (1.25, 0),
    "peak_memory": (1, 30 * _MEGABYTE),
    "timeout_rate": (1.5, 0),
    "truncation_rate": (2, 0),
}
"""By the end of a figure's name: factor, and what may be added (bytes)."""
_BYTES = {"bytes": 1, "B": 1, "KB": 1000, "KiB": 1024, "MB": _MEGABYTE, "MiB": 1024**2, "GB": 1000**3, "GiB": 1024**3}
_TOLERANCE = re.compile(r"(x|\+)([0-9]+(?:\.[0-9]+)?)(KB|MB|GB|KiB|MiB|GiB)?")

Values = Mapping[str, tuple[float, str]]
"""Name -> (value, unit), of one run."""


def of_run(result: CommandResult) -> Values:
    """What one run measured. Raises BadInput, FormatError."""
    program = result.argv[0]
    if not result.ok:
        how = "did not end in time" if result.timed_out else f"ended with exit code {result.exit_code}"
        said = " ".join(result.stderr[-_TAIL:].decode(errors="replace").split()[1:])  # the first word may be cut
        raise BadInput(f"{program}: {how}: {redacted(said)}" if said else f"{program}: {how}")
    own = {"command.seconds": (result.seconds, "s"), "command.peak_memory": (float(result.max_rss), "bytes")}
    if result.truncated or not result.stdout.lstrip().startswith(b"{"):
        return own
    told = canonical.loads_object(result.stdout, what=f"output of {program}", max_bytes=MAX_BYTES)
    return {**own, **_values(told, program)}


def summed_up(found: Sequence[Values]) -> dict[str, Figure]:
    """Medians and spread of some runs, one at least. Raises BadInput."""
    first = found[0]
    for other in found[1:]:
        if {name: unit for name, (_, unit) in other.items()} != {name: unit for name, (_, unit) in first.items()}:
            raise BadInput("two runs measured different figures or units", hint="measure the same things each time")
    return {name: _figure([run[name][0] for run in found], unit) for name, (_, unit) in first.items()}


def _figure(values: Sequence[float], unit: str) -> Figure:
    median, least, most = (round(one, 6) for one in (statistics.median(values), min(values), max(values)))
    return Figure(median, least, most, unit)


def drafted(name: str, figures: Mapping[str, Figure], tolerances: Mapping[str, str]) -> Reference:
    """What to hold later releases against. Raises BadInput for a figure without a tolerance, or the other way round."""
    if unknown := tolerances.keys() - figures.keys():
        raise BadInput(f"no figure is named {min(unknown)!r}", hint=f"there are: {', '.join(figures)}")
    limits = {one: _tolerance(one, figure.unit, tolerances.get(one)) for one, figure in figures.items()}
    return Reference(name, {one: Tolerance(*limit) for one, limit in limits.items()})


def _tolerance(name: str, unit: str, asked: str | None) -> tuple[float, float]:
    if asked is None:
        known = _TOLERANCES.get(name.rpartition(".")[2])
        if known is None:
            raise BadInput(f"figure {name}: no tolerance is known by its name", hint=f"--tolerance {name}=x1.1")
        factor, plus = known
        return factor, plus / _BYTES.get(unit, 1)
    match = _TOLERANCE.fullmatch(asked)
    if match is None or (match[1] == "x" and (match[3] or float(match[2]) < 1)):
        raise BadInput(f"figure {name}: {asked!r} is no tolerance", hint="write x1.25 (at least x1), +5 or +30MB")
    if match[1] == "x":
        return float(match[2]), 0
    return 1, float(match[2]) * _BYTES.get(match[3] or "", 1) / (_BYTES.get(unit, 1) if match[3] else 1)


def _values(figures: Mapping[str, Any], what: str) -> Values:
    found: dict[str, tuple[float, str]] = {}
    for name, item in figures.items():
        value, unit = (item.get("value"), item.get("unit", "")) if isinstance(item, dict) else (item, "")
        if not _is_figure(value) or not isinstance(unit, str):
            raise FormatError(f"{what}: figure {name!r} is no number (or value and unit), or less than 0")
        found[name] = (float(value) if isinstance(value, float) else value, unit)  # type: ignore[assignment]
    if not found:
        raise FormatError(f"{what}: no figure")
    return found


def _is_figure(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= 0
