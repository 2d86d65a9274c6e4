"""Gates: checks that must pass before a release becomes visible. One file each, one row in the table.

In: the settings of `[gates]` and a view of a release, or of a move. Out: outcomes and blockers. Called by
`bundlers.releases`, `bundlers.audit` and the commands `gate` and `promote`.

A gate that is listed and unknown, wrongly configured, crashed or late has failed; one that nobody
listed is not run. All are run, side by side, and all failures are told at once. Another
distribution adds a gate by an entry point of the group `casstore.gates`.

    outcomes = run(view, config.gates, Phase.INPUTS)
    blockers = [blocker for outcome in outcomes for blocker in outcome.blockers]
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import MISSING, fields
from importlib import import_module
from typing import Any, cast

from attest.core.values import dataclass
from attest.errors import BadInput, CasstoreError
from bundlers.gates import running
from bundlers.gates.base import Gate, GateResult, Phase, ReleaseView, StagedArchive
from bundlers.gates.running import Outcome

__all__ = [
    "GATES",
    "Gate",
    "GateInfo",
    "GateResult",
    "Outcome",
    "Phase",
    "ReleaseView",
    "StagedArchive",
    "describe",
    "find",
    "known",
    "load",
    "names",
    "run",
]

GATES = {
    "seal": "bundlers.gates.builtin.seal",
    "secrets": "bundlers.gates.builtin.secrets",
    "budget": "bundlers.gates.builtin.budget",
    "change-budget": "bundlers.gates.builtin.change_budget",
    "versions": "bundlers.gates.builtin.versions",
    "pinned": "bundlers.gates.builtin.pinned",
    "platform": "bundlers.gates.builtin.platform",
    "sbom": "bundlers.gates.builtin.sbom",
    "vulnerabilities": "bundlers.gates.builtin.vulnerabilities",
    "reproducible": "bundlers.gates.builtin.reproducible",
    "network": "bundlers.gates.builtin.network",
    "baseline": "bundlers.gates.builtin.baseline",
    "branch-protection": "bundlers.gates.builtin.branch_protection",
    "rollback-capability": "bundlers.gates.builtin.rollback_capability",
    "command": "bundlers.gates.builtin.command",
}
"""Name -> module; a table with `command` under any other name is a gate of the user's own."""

ENTRY_POINTS = "casstore.gates"

_PARTS = ("NAME", "PHASE", "SUMMARY", "Settings", "check")


@dataclass(frozen=True, slots=True)
class GateInfo:
    """What `gate list` and `gate explain` show."""

    name: str
    phase: Phase
    summary: str
    settings: Mapping[str, str]
    """Key -> type and default, as text."""
    origin: str
    help: str

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "gate": self.name,
            "phase": str(self.phase),
            "summary": self.summary,
            "settings": dict(self.settings),
            "origin": self.origin,
            "help": self.help,
        }


def names() -> tuple[str, ...]:
    """Every gate: built in, and offered by other distributions. A plug-in replaces no built-in gate."""
    return (*GATES, *sorted(_plug_ins().keys() - GATES.keys()))


def known() -> dict[str, Gate]:
    """The gates that can be loaded, by name."""
    found: dict[str, Gate] = {}
    for name in names():
        with contextlib.suppress(BadInput):  # told when it is listed, or asked for by name
            found[name] = load(name)
    return found


def load(name: str) -> Gate:
    """A gate by its own name. Raises BadInput for an unknown one, or a plug-in that is no gate."""
    if name in GATES:
        return cast("Gate", import_module(GATES[name]))
    point = _plug_ins().get(name)
    if point is None:
        hint = f"known: {', '.join(GATES)}, or your own with command = [...]"
        raise BadInput(f"no gate is named {name!r}", hint=hint)
    try:
        gate = point.load()
    except Exception as exc:
        raise BadInput(f"the gate {name!r} of {point.value} cannot be loaded: {exc}") from exc
    if missing := [part for part in _PARTS if not hasattr(gate, part)]:
        raise BadInput(f"the gate {name!r} of {point.value} has no {missing[0]}", hint="tell its author")
    return cast("Gate", gate)


def find(name: str, table: Mapping[str, Any]) -> Gate:
    """The gate of a listed name: built in, the user's own command, or a plug-in. Raises BadInput."""
    return load("command") if "command" in table and name not in GATES else load(name)


def run(
    view: ReleaseView, listed: Mapping[str, Mapping[str, Any]], phase: Phase, *, only: str | None = None
) -> tuple[Outcome, ...]:
    """Run the listed gates of a phase, or one of them; what cannot be found or configured fails in every phase."""
    wanted = listed if only is None else {only: listed.get(only, {})}
    ready, failed = [], []
    for name, table in sorted(wanted.items()):
        try:
            gate = find(name, table)
            one = running.prepare(name, gate, table, root=view.root, consumers=view.consumers)
            if phase in _phases(gate, one.settings):
                ready.append(one)
        except CasstoreError as exc:
            failed.append(running.broken(name, phase, table, exc))
    outcomes = [*failed, *running.run(view, ready, phase)]
    return tuple(sorted(outcomes, key=lambda outcome: outcome.name))


def _phases(gate: Gate, settings: Any) -> frozenset[Phase]:
    """A gate that looks at files looks at sources too, where somebody asks before a build."""
    own = phase_of(gate, settings)
    return frozenset({own, Phase.SOURCES} if getattr(gate, "SOURCES", False) else {own})


def phase_of(gate: Gate, settings: Any) -> Phase:
    """When it is asked; a gate whose settings have a phase leaves it to the user. Raises BadInput."""
    chosen = getattr(settings, "phase", gate.PHASE)
    if chosen not in {str(phase) for phase in Phase}:
        raise BadInput(f"phase = {chosen!r}: not one of {', '.join(Phase)}")
    return Phase(chosen)


def describe(name: str) -> GateInfo:
    """What a gate checks and how it is configured. Raises BadInput for an unknown one."""
    gate = load(name)
    settings = {item.name: _told(item) for item in fields(gate.Settings)}
    point = None if name in GATES else _plug_ins()[name]
    origin = "built in" if point is None else point.value
    return GateInfo(name, gate.PHASE, gate.SUMMARY, settings, origin, (gate.__doc__ or "").strip())


def _told(item: Any) -> str:
    kind = str(item.type).replace("tuple[str, ...]", "list of texts").replace(" | None", "")
    if item.default is MISSING and item.default_factory is MISSING:
        return f"{kind}, required"
    default = item.default if item.default is not MISSING else item.default_factory()
    return kind if default in (None, (), "") else f"{kind}, default {default}"


def _plug_ins() -> dict[str, Any]:
    from importlib.metadata import entry_points

    return {point.name: point for point in entry_points(group=ENTRY_POINTS)}
