"""Baseline: measured figures that later releases are held against (docs/formats/predicates/baseline.md).

The subject is the metrics file.

    parse(predicate).exceeded({"startup": 480.0})        # -> ("startup",)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from attest import times
from attest.errors import FormatError
from attest.fields import Fields
from attest.predicates import OWN

TYPE = OWN.format("baseline")


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value, and by how many percent a later one may be larger."""

    value: float
    unit: str
    tolerance: float = 0

    @property
    def limit(self) -> float:
        """The largest value that is still good."""
        return self.value * (1 + self.tolerance / 100)

    def to_json(self) -> dict[str, Any]:
        """The figure under its name."""
        return {"value": self.value, "unit": self.unit, "tolerance": self.tolerance}


@dataclass(frozen=True, slots=True)
class Baseline:
    """Figures by name."""

    name: str
    measured: datetime
    figures: Mapping[str, Figure]
    comment: str = ""

    def exceeded(self, values: Mapping[str, float]) -> tuple[str, ...]:
        """The figures that are larger than allowed, or were not measured this time."""
        return tuple(n for n, figure in sorted(self.figures.items()) if n not in values or values[n] > figure.limit)

    def to_json(self) -> dict[str, Any]:
        """The predicate."""
        value: dict[str, Any] = {
            "name": self.name,
            "measured": times.format(self.measured),
            "figures": {name: figure.to_json() for name, figure in self.figures.items()},
        }
        return {**value, "comment": self.comment} if self.comment else value


def parse(value: object) -> Baseline:
    """The predicate's JSON to value. Raises FormatError."""
    f = Fields(value, "baseline", required=("name", "measured", "figures"), optional=("comment",))
    figures = {name: _figure(name, item) for name, item in f.mapping("figures").items()}
    if not figures:
        raise FormatError("baseline: it has no figure")
    return Baseline(f.text("name"), f.time("measured"), figures, f.text("comment", ""))


def _figure(name: str, value: object) -> Figure:
    f = Fields(value, f"baseline: figure {name}", required=("value", "unit", "tolerance"))
    return Figure(f.number("value"), f.text("unit"), f.number("tolerance", least=0))
