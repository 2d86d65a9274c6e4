"""Gates: checks that must pass before a release becomes visible. One file each, one row in the table.

A gate that is listed and unknown, wrongly configured, crashed or late has failed; one that nobody
listed is not run. All are run, in threads, and all failures are told at once. Another distribution
adds a gate by an entry point of the group `casstore.gates`.

    outcomes = run(view, config.gates, Phase.INPUTS)
    blockers = [blocker for outcome in outcomes for blocker in outcome.blockers]
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as LateError
from dataclasses import dataclass
from importlib import import_module
from typing import Any, cast

from attest import canonical, digests
from attest.errors import BadInput, CasstoreError
from attest.predicates.test_result import ResultClaim
from bundlers.blockers import Blocker
from bundlers.gates.base import Gate, GateResult, Phase, ReleaseView, settings_of

__all__ = ["GATES", "Outcome", "Phase", "ReleaseView", "find", "known", "run"]

GATES = {
    "seal": "bundlers.gates.seal",
    "secrets": "bundlers.gates.secrets",
    "budget": "bundlers.gates.budget",
    "command": "bundlers.gates.command",
}
"""Name -> module; a table with `command` under any other name is a gate of the user's own."""

ENTRY_POINTS = "casstore.gates"
TIMEOUT = 1800.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """A gate's result under the name that it was listed by."""

    name: str
    settings: Mapping[str, Any]
    result: GateResult

    @property
    def blockers(self) -> tuple[Blocker, ...]:
        """One record per message of a failed gate."""
        if self.result.passed:
            return ()
        messages = self.result.messages or ("it failed without saying why",)
        return tuple(Blocker(self.name, m, self.result.files, self.result.suggested_fix) for m in messages)

    def claim(self) -> ResultClaim:
        """What is signed as test-result: the gate's name and the digest of its settings."""
        settings = digests.hex_of(digests.sha256(canonical.dumps(dict(self.settings))))
        configuration = [{"name": self.name, "digest": {"sha256": settings}}]
        passed, failed = ((self.name,), ()) if self.result.passed else ((), (self.name,))
        return ResultClaim("PASSED" if self.result.passed else "FAILED", configuration, passed=passed, failed=failed)

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "gate": self.name,
            "passed": self.result.passed,
            "messages": list(self.result.messages),
            "measured": dict(self.result.measured),
        }


def known() -> dict[str, Gate]:
    """Every gate: built in, and offered by other distributions."""
    from importlib.metadata import entry_points

    found = {name: _load(name) for name in GATES}
    for point in entry_points(group=ENTRY_POINTS):
        found.setdefault(point.name, cast("Gate", point.load()))
    return found


def find(name: str, table: Mapping[str, Any]) -> Gate:
    """The gate of a listed name. Raises BadInput for an unknown one."""
    if name in GATES:
        return _load(name)
    if "command" in table:
        return _load("command")
    gate = known().get(name)
    if gate is None:
        raise BadInput(
            f"no gate is named {name!r}", hint=f"known: {', '.join(GATES)}, or your own with command = [...]"
        )
    return gate


def run(
    view: ReleaseView, listed: Mapping[str, Mapping[str, Any]], phase: Phase, *, timeout: float = TIMEOUT
) -> tuple[Outcome, ...]:
    """Run the listed gates of a phase; one that cannot even be found or configured fails at once."""
    pool = ThreadPoolExecutor(max(1, len(listed)), thread_name_prefix="gate")
    try:
        started = {name: pool.submit(_run_one, view, name, table, phase) for name, table in sorted(listed.items())}
        outcomes = ((name, _outcome(future, timeout)) for name, future in started.items())
        return tuple(Outcome(name, listed[name], result) for name, result in outcomes if result is not None)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _run_one(view: ReleaseView, name: str, table: Mapping[str, Any], phase: Phase) -> GateResult | None:
    try:
        gate = find(name, table)
    except BadInput:
        if phase is not Phase.INPUTS:  # told once, as early as can be
            return None
        raise
    if gate.PHASE is not phase:
        return None
    return gate.check(view, settings_of(gate.Settings, table, name))


def _outcome(future: Future[GateResult | None], timeout: float) -> GateResult | None:
    try:
        return future.result(timeout)
    except LateError:
        return GateResult(False, (f"it did not end within {timeout:.0f} s",), suggested_fix="make it faster")
    except CasstoreError as exc:
        return GateResult(False, (exc.message,), suggested_fix=exc.hint)
    except Exception as exc:
        return GateResult(False, (f"it crashed: {type(exc).__name__}: {exc}",), suggested_fix="report it to its author")


def _load(name: str) -> Gate:
    return cast("Gate", import_module(GATES[name]))
