"""Baseline: figures measured with one archive, by whom it is signed (docs/formats/predicates/baseline.md).

The subject is the archive whose product was unpacked and measured. One that is also what later releases are held
against has a `reference`: a name, and how much larger each figure may become.

    parse(earlier).exceeded(parse(later).figures)        # -> {"search.p95": "is 61 ms, ..."}
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from datetime import datetime
from typing import Any

from attest.core import times
from attest.core.fields import Fields
from attest.core.values import dataclass
from attest.digests import Digest
from attest.errors import FormatError
from attest.statements.predicates import OWN

TYPE = OWN.format("baseline")
NETWORK = ("none", "allowed", "unenforced")
SEES = ("product", "unenforced")


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value: the median of the runs, and their spread."""

    median: float
    least: float
    most: float
    unit: str = ""

    def to_json(self) -> dict[str, Any]:
        """The figure under its name."""
        return {"median": self.median, "min": self.least, "max": self.most, "unit": self.unit}


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How much larger a later value may be."""

    factor: float = 1
    plus: float = 0
    """In the figure's unit."""

    def to_json(self) -> dict[str, Any]:
        """The tolerance under the figure's name."""
        return {"factor": self.factor, "plus": self.plus}


@dataclass(frozen=True, slots=True)
class Reference:
    """What later releases are held against."""

    name: str
    tolerances: Mapping[str, Tolerance]

    def to_json(self) -> dict[str, Any]:
        """The value of `reference`."""
        return {"name": self.name, "tolerances": {name: one.to_json() for name, one in self.tolerances.items()}}


@dataclass(frozen=True, slots=True)
class Machine:
    """Where it was measured, as far as that is known."""

    cpu: str
    architecture: str
    system: str
    """With the version of its kernel."""
    cores: int
    memory: int
    """Bytes."""
    governor: str = ""
    """Who chooses the clock rate of the processor; empty where the system does not tell."""

    def differs(self, other: Machine) -> dict[str, str]:
        """Fact -> this one's and the other's; the order is that of the fields."""
        pairs = {one.name: (getattr(self, one.name), getattr(other, one.name)) for one in fields(self)}
        return {name: f"{mine} and {theirs}" for name, (mine, theirs) in pairs.items() if mine != theirs}

    def to_json(self) -> dict[str, Any]:
        """The value of `machine`."""
        return {one.name: getattr(self, one.name) for one in fields(self)}


@dataclass(frozen=True, slots=True)
class Measuring:
    """What was run, and what it could see."""

    command: tuple[str, ...]
    files: Mapping[str, Digest]
    """Word of the command, or tool -> what lay there; it is no part of the product."""
    runs: int
    network: str
    sees: str
    """`product`: the unpacked product, the system and `files`; `unenforced`: all, though it was not to."""

    def to_json(self) -> dict[str, Any]:
        """The value of `measuring`."""
        plain = {one.name: getattr(self, one.name) for one in fields(self)}
        return {**plain, "command": list(self.command), "files": dict(self.files)}

    def same(self, other: Measuring) -> bool:
        """Whether the same was run, seeing the same; how often does not matter."""
        return replace(self, runs=1) == replace(other, runs=1)


@dataclass(frozen=True, slots=True)
class Baseline:
    """See the module."""

    product: str
    build: str
    version: str
    measured: datetime
    measuring: Measuring
    machine: Machine
    figures: Mapping[str, Figure]
    reference: Reference | None = None
    comment: str = ""

    def exceeded(self, later: Mapping[str, Figure]) -> dict[str, str]:
        """Name -> what is wrong with what was measured later; nothing where this is no reference."""
        limits = self.reference.tolerances if self.reference else {}
        found = {name: _problem(self.figures[name], limits[name], later.get(name)) for name in sorted(limits)}
        return {name: problem for name, problem in found.items() if problem}

    def to_json(self) -> dict[str, Any]:
        """The predicate."""
        value: dict[str, Any] = {
            "product": self.product,
            "build": self.build,
            "version": self.version,
            "measured": times.format(self.measured),
            "measuring": self.measuring.to_json(),
            "machine": self.machine.to_json(),
            "figures": {name: figure.to_json() for name, figure in self.figures.items()},
            **({"reference": self.reference.to_json()} if self.reference else {}),
        }
        return {**value, "comment": self.comment} if self.comment else value


def _problem(figure: Figure, tolerance: Tolerance, later: Figure | None) -> str:
    if later is None:
        return "was not measured"
    if later.unit != figure.unit:
        return f"was measured in {later.unit or 'no unit'}, the baseline in {figure.unit or 'none'}"
    most = figure.median * tolerance.factor + tolerance.plus
    if later.median > most:
        return f"is {later.median:g} {later.unit}, the baseline is {figure.median:g}, at most {most:g} is allowed"
    return ""


def check(predicate: Mapping[str, Any]) -> None:
    """For policies. Raises FormatError."""
    parse(predicate)


def parse(value: object) -> Baseline:
    """The predicate's JSON to value. Raises FormatError."""
    names = ("product", "build", "version", "measured", "measuring", "machine", "figures")
    f = Fields(value, "baseline", required=names, optional=("reference", "comment"))
    figures = {name: _figure(name, item) for name, item in f.mapping("figures").items()}
    if not figures:
        raise FormatError("baseline: it has no figure")
    reference = _reference(f.mapping("reference")) if f.has("reference") else None
    if reference and reference.tolerances.keys() != figures.keys():
        raise FormatError("baseline: a reference has a tolerance for each figure, and for nothing else")
    return Baseline(
        f.text("product"),
        f.text("build"),
        f.text("version"),
        f.time("measured"),
        _measuring(f.mapping("measuring")),
        _machine(f.mapping("machine")),
        figures,
        reference,
        f.text("comment", ""),
    )


def _figure(name: str, value: object) -> Figure:
    f = Fields(value, f"baseline: figure {name}", required=("median", "min", "max", "unit"))
    made = Figure(f.number("median", least=0), f.number("min", least=0), f.number("max", least=0), f.text("unit"))
    if not made.least <= made.median <= made.most:
        raise FormatError(f"baseline: figure {name}: the median does not lie between min and max")
    return made


def _reference(value: object) -> Reference:
    f = Fields(value, "baseline: reference", required=("name", "tolerances"))
    return Reference(f.text("name"), {name: _tolerance(name, item) for name, item in f.mapping("tolerances").items()})


def _tolerance(name: str, value: object) -> Tolerance:
    f = Fields(value, f"baseline: tolerance of {name}", required=("factor", "plus"))
    return Tolerance(f.number("factor", least=1), f.number("plus", least=0))


def _measuring(value: object) -> Measuring:
    f = Fields(value, "baseline: measuring", required=("command", "files", "runs", "network", "sees"))
    command = value["command"] if isinstance(value, Mapping) else None
    if not isinstance(command, list | tuple) or not command or not all(isinstance(word, str) for word in command):
        raise FormatError("baseline: measuring: command is no list of words")
    files = Fields(f.mapping("files"), "baseline: measuring: files", required=tuple(f.mapping("files")))
    for name, known in (("network", NETWORK), ("sees", SEES)):
        if f.text(name) not in known:
            raise FormatError(f"baseline: measuring: {name} is none of {', '.join(known)}")
    digests = {name: files.digest(name) for name in f.mapping("files")}
    return Measuring(tuple(command), digests, f.integer("runs", least=1), f.text("network"), f.text("sees"))


def _machine(value: object) -> Machine:
    f = Fields(value, "baseline: machine", required=tuple(one.name for one in fields(Machine)))
    texts = {name: f.text(name) for name in ("cpu", "architecture", "system", "governor")}
    return Machine(**texts, cores=f.integer("cores", least=1), memory=f.integer("memory"))
