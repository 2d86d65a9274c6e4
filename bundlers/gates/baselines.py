"""Baselines: figures measured as the median of some runs, signed by an auditor, held against later ones.

Promises: a run that fails, or that measures other things than the one before, is an error; every
figure of a baseline has a tolerance that somebody chose or that its name is known by. Leaves to
others: where measuring happens, and who may sign (`auditor`, by the trust root).

    metrics = capture(["./bench.sh"], version="1.4.0", runs=5, cwd=".", now=now)
    made = draft(metrics, "prod", {"startup": "x1.1"})
    made.exceeded(later.values)
"""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from attest import canonical
from attest.core import times
from attest.core.fields import Fields
from attest.errors import BadInput, FormatError
from attest.statements.predicates.baseline import Baseline, Figure
from casstore.ledger.release_objects import check_version
from casstore.machine import runner

FORMAT = "casstore-metrics/1"
MAX_BYTES = 4 * 1024 * 1024
_MEGABYTE = 1_000_000
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
"""Name -> (value, unit)."""


@dataclass(frozen=True, slots=True)
class Metrics:
    """Figures of one release."""

    version: str
    measured: datetime
    runs: int
    values: Values

    def to_bytes(self) -> bytes:
        """Canonical JSON."""
        figures = {name: {"value": value, "unit": unit} for name, (value, unit) in self.values.items()}
        head = {"format": FORMAT, "version": self.version, "measured": times.format(self.measured), "runs": self.runs}
        return canonical.dumps({**head, "figures": figures})


def parse(data: bytes) -> Metrics:
    """The bytes of a metrics file. Raises FormatError."""
    value = canonical.loads_canonical(data, what="metrics", max_bytes=MAX_BYTES)
    f = Fields(value, "metrics", required=("format", "version", "measured", "runs", "figures"))
    if f.text("format") != FORMAT:
        raise FormatError(f"metrics: the format is {f.text('format')[:60]!r}, not {FORMAT}")
    figures = _values(f.mapping("figures"), "metrics")
    if f.integer("runs") < 1:
        raise FormatError("metrics: runs is less than 1")
    return Metrics(f.text("version"), f.time("measured"), f.integer("runs"), figures)


def capture(
    argv: Sequence[str],
    *,
    version: str,
    runs: int,
    cwd: str,
    now: datetime,
    timeout: float = runner.TIMEOUT,
    network: bool = False,
) -> Metrics:
    """Run a command some times and take the medians. Raises BadInput when a run fails or measures other things."""
    return _median([_run(argv, cwd, timeout, network) for _ in range(runs)], version, now)


def collect(files: Sequence[tuple[str, bytes]], *, version: str, now: datetime) -> Metrics:
    """The medians of what some JSON files (path, bytes) hold, one for each run. Raises FormatError, BadInput."""
    found = [_values(canonical.loads_object(data, what=path, max_bytes=MAX_BYTES), path) for path, data in files]
    return _median(found, version, now)


def draft(metrics: Metrics, name: str, tolerances: Mapping[str, str], comment: str = "") -> Baseline:
    """The baseline to sign. Raises BadInput for a figure without a tolerance, or a tolerance without a figure."""
    if unknown := tolerances.keys() - metrics.values.keys():
        raise BadInput(f"no figure is named {min(unknown)!r}", hint=f"there are: {', '.join(metrics.values)}")
    figures = {
        figure: Figure(value, unit, *_tolerance(figure, unit, tolerances.get(figure)))
        for figure, (value, unit) in metrics.values.items()
    }
    return Baseline(name, metrics.version, metrics.measured, figures, comment)


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


def _run(argv: Sequence[str], cwd: str, timeout: float, network: bool) -> Values:
    result = runner.run(argv, cwd=cwd, timeout=timeout, network=network, alone=True)
    if not result.ok:
        how = "did not end in time" if result.timed_out else f"ended with exit code {result.exit_code}"
        raise BadInput(f"{argv[0]}: {how}: {result.stderr[-200:].decode(errors='replace').strip()}")
    own = {"command.seconds": (result.seconds, "s"), "command.peak_memory": (float(result.max_rss), "bytes")}
    if result.truncated or not result.stdout.lstrip().startswith(b"{"):
        return own
    told = _values(canonical.loads_object(result.stdout, what=f"output of {argv[0]}", max_bytes=MAX_BYTES), argv[0])
    return {**own, **told}


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


def _median(found: Sequence[Values], version: str, now: datetime) -> Metrics:
    if not found:
        raise BadInput("no run was asked for", hint="--runs is at least 1")
    first = found[0]
    for other in found[1:]:
        if {name: unit for name, (_, unit) in other.items()} != {name: unit for name, (_, unit) in first.items()}:
            raise BadInput("two runs measured different figures or units", hint="measure the same things each time")
    medians = {
        name: (round(statistics.median(run[name][0] for run in found), 6), unit) for name, (_, unit) in first.items()
    }
    return Metrics(check_version(version), now, len(found), medians)
