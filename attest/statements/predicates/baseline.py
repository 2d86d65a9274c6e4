"""Baseline: measured figures that later releases are held against (docs/formats/predicates/baseline.md).

The subject is the metrics file.

    parse(predicate).exceeded({"search.p95": (61.0, "ms")})        # -> {"search.p95": "61 ms, ..."}
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from attest.core import times
from attest.core.fields import Fields
from attest.errors import FormatError
from attest.statements.predicates import OWN

TYPE = OWN.format("baseline")


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value, and how much larger a later one may be."""

    value: float
    unit: str
    factor: float = 1
    plus: float = 0

    @property
    def limit(self) -> float:
        """The largest value that is still good."""
        return self.value * self.factor + self.plus

    def to_json(self) -> dict[str, Any]:
        """The figure under its name."""
        return {"value": self.value, "unit": self.unit, "factor": self.factor, "plus": self.plus}


@dataclass(frozen=True, slots=True)
class Baseline:
    """Figures by name."""

    name: str
    version: str
    measured: datetime
    figures: Mapping[str, Figure]
    comment: str = ""

    def exceeded(self, values: Mapping[str, tuple[float, str]]) -> dict[str, str]:
        """Name -> what is wrong with the (value, unit) that was measured this time, or that it was not."""
        found = {name: _problem(figure, values.get(name)) for name, figure in sorted(self.figures.items())}
        return {name: problem for name, problem in found.items() if problem}

    def to_json(self) -> dict[str, Any]:
        """The predicate."""
        value: dict[str, Any] = {
            "name": self.name,
            "version": self.version,
            "measured": times.format(self.measured),
            "figures": {name: figure.to_json() for name, figure in self.figures.items()},
        }
        return {**value, "comment": self.comment} if self.comment else value


def _problem(figure: Figure, now: tuple[float, str] | None) -> str:
    if now is None:
        return "was not measured"
    value, unit = now
    if unit != figure.unit:
        return f"was measured in {unit or 'no unit'}, the baseline in {figure.unit or 'none'}"
    if value > figure.limit:
        return f"is {value:g} {unit}, the baseline is {figure.value:g}, at most {figure.limit:g} is allowed"
    return ""


def parse(value: object) -> Baseline:
    """The predicate's JSON to value. Raises FormatError."""
    f = Fields(value, "baseline", required=("name", "version", "measured", "figures"), optional=("comment",))
    figures = {name: _figure(name, item) for name, item in f.mapping("figures").items()}
    if not figures:
        raise FormatError("baseline: it has no figure")
    return Baseline(f.text("name"), f.text("version"), f.time("measured"), figures, f.text("comment", ""))


def _figure(name: str, value: object) -> Figure:
    f = Fields(value, f"baseline: figure {name}", required=("value", "unit", "factor", "plus"))
    return Figure(f.number("value", least=0), f.text("unit"), f.number("factor", least=1), f.number("plus", least=0))
