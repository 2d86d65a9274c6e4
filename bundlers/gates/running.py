"""Runs gates: side by side, each with a time limit, and nothing that goes wrong is a pass.

A gate that cannot be found, whose settings do not fit, that raises, returns something else than a
GateResult, or is late, has failed. All are run, whatever the others say.
"""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any

from attest import canonical, digests
from attest.core.values import dataclass
from attest.digests import Digest
from attest.errors import BadInput, CasstoreError
from attest.statements.predicates.test_result import ResultClaim
from bundlers.blockers import Blocker
from bundlers.errors import BaselineFailed, BranchProtectionMissing, GateFailed
from bundlers.gates.base import Gate, GateResult, Phase, ReleaseView
from bundlers.gates.builtin.limits import LimitedStore
from bundlers.gates.settings import problems, settings_of
from bundlers.inspection.secret_forms import redacted
from casstore.config import Consumer
from casstore.config.gates import signed
from casstore.errors import StoreDamaged

LIMIT = 1800.0
"""Seconds for one gate, unless its table says `timeout`."""
GRACE = 30.0
"""What a gate with a time-out of its own gets more, to end by itself."""

_TELLING = (BranchProtectionMissing.exit_code, BaselineFailed.exit_code, StoreDamaged.exit_code)
"""Exit codes of errors that say more than "a gate failed"."""
_MAX_MESSAGES = 200
_MAX_TEXT = 2000


@dataclass(frozen=True, slots=True)
class Outcome:
    """A gate's result under the name that it was listed by."""

    name: str
    phase: Phase
    settings: Digest
    """Of its table's canonical JSON."""
    result: GateResult
    seconds: float = 0.0
    exit_code: int = GateFailed.exit_code
    """The process's exit code when this gate fails."""
    said: Mapping[str, Any] | None = None
    """The settings themselves; None where they could not be read."""

    @property
    def passed(self) -> bool:
        """Whether it passed, warnings or not."""
        return self.result.passed

    @property
    def blockers(self) -> tuple[Blocker, ...]:
        """One record per message of a failed gate."""
        if self.result.passed:
            return ()
        messages = self.result.messages or ("it failed without saying why",)
        return tuple(
            Blocker(self.name, message, _named_in(message, self.result.files), self.result.suggested_fix)
            for message in messages
        )

    def claim(self) -> ResultClaim:
        """What is signed as test-result: the gate's name, its settings and their digest."""
        said = {"annotations": {"settings": dict(self.said)}} if self.said is not None else {}
        configuration = [{"name": self.name, "digest": {"sha256": digests.hex_of(self.settings)}, **said}]
        if not self.result.passed:
            return ResultClaim("FAILED", configuration, failed=(self.name,))
        if self.result.warnings:
            return ResultClaim("WARNED", configuration, passed=(self.name,), warned=self.result.warnings)
        return ResultClaim("PASSED", configuration, passed=(self.name,))

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "gate": self.name,
            "phase": str(self.phase),
            "passed": self.result.passed,
            "messages": list(self.result.messages),
            "warnings": list(self.result.warnings),
            "files": list(self.result.files),
            "suggestedFix": self.result.suggested_fix,
            "measured": dict(self.result.measured),
            "settings": self.settings,
            "seconds": round(self.seconds, 3),
        }


@dataclass(frozen=True, slots=True)
class Ready:
    """A gate that was found and whose settings fit."""

    name: str
    gate: Gate
    settings: Any
    said: Mapping[str, Any]
    """The settings as they are signed (casstore.config.gates)."""
    limit: float


def prepare(
    name: str, gate: Gate, table: Mapping[str, Any], *, root: str = ".", consumers: Sequence[Consumer] = ()
) -> Ready:
    """Check a gate's table. Raises BadInput. `timeout` may stand in every table."""
    limit = table.get("timeout", LIMIT)
    if not _is_limit(limit):
        raise BadInput(f"timeout = {limit!r} is no number of seconds")
    own, rest = _own_settings(gate, table)
    said = signed(name, table, root=root, consumers=[one.model_dump(mode="json") for one in consumers])
    return Ready(name, gate, settings_of(gate.Settings, rest, name), said, limit + (GRACE if own else 0))


def mistakes(name: str, gate: Gate, table: Mapping[str, Any]) -> Iterator[tuple[str, BadInput]]:
    """Everything for which `prepare` would refuse a table: the key, or an empty text for the table, and what."""
    if not _is_limit(table.get("timeout", LIMIT)):
        yield "timeout", BadInput(f"timeout = {table['timeout']!r} is no number of seconds")
    rest = {key: value for key, value in _own_settings(gate, table)[1].items() if key != "timeout"}
    yield from problems(gate.Settings, rest, name)


def _own_settings(gate: Gate, table: Mapping[str, Any]) -> tuple[bool, Mapping[str, Any]]:
    """Whether `timeout` is the gate's own, and what of a table its settings are made from."""
    own = is_dataclass(gate.Settings) and any(item.name == "timeout" for item in fields(gate.Settings))
    return own, table if own else {key: value for key, value in table.items() if key != "timeout"}


def _is_limit(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0


def table_digest(table: Mapping[str, Any]) -> Digest:
    """The digest of a gate's settings as they are written. Raises FormatError for what JSON cannot hold."""
    return digests.sha256(canonical.dumps(dict(table)))


def run(view: ReleaseView, ready: Sequence[Ready], phase: Phase, *, slots: int = 0) -> tuple[Outcome, ...]:
    """The outcomes in the order of `ready`; never raises for what a gate does."""
    results: queue.SimpleQueue[tuple[int, _Ended]] = queue.SimpleQueue()
    waiting = list(enumerate(ready))[::-1]
    running: dict[int, float] = {}
    ended: dict[int, _Ended] = {}
    free = slots or max(2, os.cpu_count() or 2)
    while waiting or running:
        while waiting and len(running) < free:
            number, one = waiting.pop()
            running[number] = time.monotonic() + one.limit
            name = f"gate-{one.name}"
            threading.Thread(target=_work, args=(number, one, view, results), name=name, daemon=True).start()
        try:
            number, found = results.get(timeout=max(0.0, min(running.values()) - time.monotonic()))
        except queue.Empty:
            for number in [n for n, deadline in running.items() if deadline <= time.monotonic()]:
                del running[number]
                ended[number] = _late(ready[number])
        else:
            if running.pop(number, None) is not None:
                ended[number] = found
    return tuple(_outcome(one, phase, ended[number]) for number, one in enumerate(ready))


@dataclass(frozen=True, slots=True)
class _Ended:
    result: GateResult
    seconds: float = 0.0
    exit_code: int | None = None


def _work(number: int, one: Ready, view: ReleaseView, results: queue.SimpleQueue[tuple[int, _Ended]]) -> None:
    began = time.monotonic()
    exit_code = None
    try:
        result = one.gate.check(replace(view, store=LimitedStore(view.store, one.limit)), one.settings)
        if not isinstance(result, GateResult):
            result = GateResult(False, (f"it returned {type(result).__name__}, no result",))
    except CasstoreError as exc:
        result, exit_code = GateResult(False, (exc.message,), suggested_fix=exc.hint), exc.exit_code
    except BaseException as exc:  # SystemExit in a plug-in too
        said = f"it crashed: {type(exc).__name__}: {exc}"
        result = GateResult(False, (said,), suggested_fix="report it to the gate's author")
    results.put((number, _Ended(result, time.monotonic() - began, exit_code)))


def _late(one: Ready) -> _Ended:
    message = f"it did not end within {one.limit:g} s"
    return _Ended(GateResult(False, (message,), suggested_fix="make it faster, or raise its timeout"), one.limit)


def _outcome(one: Ready, phase: Phase, ended: _Ended) -> Outcome:
    own = getattr(one.gate, "EXIT_CODE", GateFailed.exit_code)
    exit_code = ended.exit_code if ended.exit_code in _TELLING else own
    digest = table_digest(one.said)
    return Outcome(one.name, phase, digest, _bounded(ended.result), ended.seconds, exit_code, one.said)


def broken(name: str, phase: Phase, table: Mapping[str, Any], error: CasstoreError) -> Outcome:
    """The outcome of a gate that could not even be prepared."""
    try:
        digest = table_digest(table)
    except CasstoreError:
        digest = digests.ZERO
    return Outcome(name, phase, digest, GateResult(False, (error.message,), suggested_fix=error.hint))


def _bounded(result: GateResult) -> GateResult:
    """A gate may say much and odd things; records stay short, and are text."""
    messages = tuple(" ".join(_text(message).split())[:_MAX_TEXT] for message in result.messages[:_MAX_MESSAGES])
    if len(result.messages) > _MAX_MESSAGES:
        messages += (f"and {len(result.messages) - _MAX_MESSAGES} more",)
    warnings = tuple(" ".join(_text(warning).split())[:_MAX_TEXT] for warning in result.warnings[:_MAX_MESSAGES])
    files = tuple(dict.fromkeys(_valid(file) for file in result.files))
    fix = _text(result.suggested_fix)[:_MAX_TEXT]
    return replace(result, messages=messages, warnings=warnings, files=files, suggested_fix=fix)


def _text(value: object) -> str:
    return redacted(_valid(value))


def _valid(value: object) -> str:
    return str(value).encode("utf-8", "backslashreplace").decode()


def _named_in(message: str, files: tuple[str, ...]) -> tuple[str, ...]:
    """The files that a message speaks of; all of them, up to a limit, when it names none."""
    named = tuple(file for file in files if message.startswith((f"{file}:", f"{file}!")))
    return named or files[:_MAX_MESSAGES]
