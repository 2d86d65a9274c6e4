"""Gates as a whole: found, configured, limited; nothing that goes wrong is a pass."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from attest.errors import BadInput
from attest.statements.predicates import test_result as results
from bundlers import gates
from bundlers.errors import BaselineFailed
from bundlers.gates import running
from bundlers.gates.base import GateResult, Phase, ReleaseView
from bundlers.gates.builtin.limits import LimitedStore, TimeIsUp
from bundlers.gates.settings import Size, parse_size, settings_of
from casstore.errors import ObjectDamaged

VIEW = ReleaseView("1.0.0", {}, {}, SimpleNamespace(), "/")  # type: ignore[arg-type]


@dataclass(frozen=True)
class NoSettings:
    pass


def gate(check: Any, phase: Phase = Phase.INPUTS, settings: type[Any] = NoSettings) -> Any:
    return SimpleNamespace(NAME="own", PHASE=phase, SUMMARY="own", Settings=settings, check=check)


@pytest.fixture
def plug_in(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Offers gates as another distribution does, by entry points."""
    offered: dict[str, Any] = {}

    def add(name: str, found: Any) -> None:
        def load() -> Any:
            if isinstance(found, Exception):
                raise found
            return found

        offered[name] = SimpleNamespace(name=name, value=f"other:{name}", load=load)
        monkeypatch.setattr(gates, "_plug_ins", lambda: offered)

    return add


def only(listed: Mapping[str, Any], phase: Phase = Phase.INPUTS) -> gates.Outcome:
    (outcome,) = gates.run(VIEW, listed, phase)
    return outcome


def test_listed_unknown_gate_fails_in_every_phase() -> None:
    for phase in Phase:
        outcome = only({"nosuch": {}}, phase)
        assert not outcome.passed
        assert "no gate is named 'nosuch'" in outcome.result.messages[0]
        assert outcome.exit_code == 10


def test_gate_that_nobody_listed_is_not_run() -> None:
    assert gates.run(VIEW, {}, Phase.INPUTS) == ()


@pytest.mark.parametrize(
    ("name", "table", "said"),
    [
        ("secrets", {"alow": []}, "did you mean 'allow'"),
        ("secrets", {"allow": "x"}, "wrong type"),
        ("budget", {"files": True}, "wrong type"),
        ("budget", {"archive": "12 parsecs"}, "not a size"),
        ("budget", {"timeout": 0}, "no number of seconds"),
        ("unit", {"command": "pytest -q"}, "wrong type"),
        ("unit", {"command": ["true"], "phase": "later"}, "not one of"),
        ("command", {}, "'command' is missing"),
        ("seal", {"strict": True}, "there is no setting 'strict'"),
    ],
)
def test_wrong_settings_fail_early_whatever_the_phase(name: str, table: dict[str, Any], said: str) -> None:
    outcome = only({name: table})
    assert not outcome.passed
    assert said in outcome.result.messages[0]


def test_crash_is_failure(plug_in: Any) -> None:
    def crash(view: Any, settings: Any) -> GateResult:
        raise ZeroDivisionError("by zero")

    plug_in("own", gate(crash))
    outcome = only({"own": {}})
    assert outcome.result.messages == ("it crashed: ZeroDivisionError: by zero",)
    assert outcome.blockers[0].gate == "own"


def test_exit_of_a_plug_in_is_failure(plug_in: Any) -> None:
    def leave(view: Any, settings: Any) -> GateResult:
        raise SystemExit(0)

    plug_in("own", gate(leave))
    assert not only({"own": {}}).passed


@pytest.mark.parametrize("value", [None, True, "passed", SimpleNamespace(passed=True)])
def test_anything_but_a_result_is_failure(plug_in: Any, value: Any) -> None:
    plug_in("own", gate(lambda view, settings: value))
    assert not only({"own": {}}).passed


def test_plug_in_passes_and_is_described(plug_in: Any) -> None:
    plug_in("own", gate(lambda view, settings: GateResult(True)))
    assert only({"own": {}}).passed
    assert gates.names()[-1] == "own"
    assert gates.describe("own").origin == "other:own"


def test_plug_in_replaces_no_built_in_gate(plug_in: Any) -> None:
    plug_in("seal", gate(lambda view, settings: GateResult(True)))
    assert gates.find("seal", {}).__name__ == "bundlers.gates.builtin.seal"  # type: ignore[attr-defined]
    assert gates.find("seal", {"command": ["true"]}).__name__ == "bundlers.gates.builtin.seal"  # type: ignore[attr-defined]


@pytest.mark.parametrize("broken", [ImportError("gone"), SimpleNamespace(NAME="own")])
def test_broken_plug_in_fails_when_it_is_listed(plug_in: Any, broken: Any) -> None:
    plug_in("own", broken)
    assert not only({"own": {}}).passed
    assert "own" not in gates.known()


def test_late_gate_fails_and_its_thread_ends_at_its_next_read(plug_in: Any) -> None:
    ended = threading.Event()

    class Endless:
        def chunks(self, digest: Any) -> Any:
            while True:
                time.sleep(0.01)
                yield b""

    def forever(view: ReleaseView, settings: Any) -> GateResult:
        try:
            for _ in view.store.chunks("sha256:x"):  # type: ignore[arg-type]
                pass
        finally:
            ended.set()
        return GateResult(True)

    plug_in("own", gate(forever))
    view = ReleaseView("1", {}, {}, Endless(), "/")  # type: ignore[arg-type]
    began = time.monotonic()
    (outcome,) = gates.run(view, {"own": {"timeout": 0.2}}, Phase.INPUTS)
    assert "did not end within 0.2 s" in outcome.result.messages[0]
    assert time.monotonic() - began < 5
    assert ended.wait(5)


def test_gates_run_side_by_side_and_all_failures_are_told(plug_in: Any) -> None:
    meeting = threading.Barrier(2, timeout=10)

    def meet(view: Any, settings: Any) -> GateResult:
        meeting.wait()
        return GateResult(False, ("no",))

    plug_in("one", gate(meet))
    plug_in("two", gate(meet))
    outcomes = gates.run(VIEW, {"two": {}, "one": {}, "nosuch": {}}, Phase.INPUTS)
    assert [(o.name, o.result.messages) for o in outcomes if o.name != "nosuch"] == [("one", ("no",)), ("two", ("no",))]
    assert len(outcomes) == 3


def test_slow_gates_wait_for_a_free_slot_without_being_late() -> None:
    def nap(view: Any, settings: Any) -> GateResult:
        time.sleep(0.25)
        return GateResult(True)

    ready = [running.prepare(str(n), gate(nap), {"timeout": 1.2}) for n in range(6)]
    assert all(outcome.passed for outcome in running.run(VIEW, ready, Phase.INPUTS, slots=1))


def test_phase_decides_when() -> None:
    assert gates.run(VIEW, {"seal": {}}, Phase.INPUTS) == ()
    staged = {"smoke": {"command": ["true"], "phase": "staged"}}
    assert gates.run(VIEW, staged, Phase.INPUTS) == ()
    assert only(staged, Phase.STAGED).passed


def test_one_gate_alone() -> None:
    listed = {"ok": {"command": ["true"]}, "bad": {"command": ["false"]}}
    (outcome,) = gates.run(VIEW, listed, Phase.INPUTS, only="bad")
    assert (outcome.name, outcome.passed) == ("bad", False)


@pytest.mark.parametrize(("error", "code"), [(BaselineFailed("x"), 6), (ObjectDamaged("x"), 7), (BadInput("x"), 10)])
def test_error_that_says_more_keeps_its_exit_code(plug_in: Any, error: Exception, code: int) -> None:
    def fail(view: Any, settings: Any) -> GateResult:
        raise error

    plug_in("own", gate(fail))
    assert only({"own": {}}).exit_code == code


def test_claim_names_gate_and_settings() -> None:
    outcome = only({"unit": {"command": ["true"]}})
    claim = results.parse(outcome.claim().to_json())
    assert claim.result == "PASSED"
    assert claim.configuration[0]["name"] == "unit"
    other = only({"unit": {"command": ["true"], "timeout": 5}})
    assert other.claim().configuration != outcome.claim().configuration


def test_warnings_are_no_failure(plug_in: Any) -> None:
    plug_in("own", gate(lambda view, settings: GateResult(True, warnings=("look",))))
    outcome = only({"own": {}})
    assert (outcome.passed, outcome.claim().result, outcome.blockers) == (True, "WARNED", ())


def test_records_stay_short_and_are_text(plug_in: Any) -> None:
    many = tuple(f"file{n}: \udc80 bad\nline" for n in range(500))
    plug_in("own", gate(lambda view, settings: GateResult(False, many, tuple(f"file{n}" for n in range(500)))))
    outcome = only({"own": {}})
    assert len(outcome.result.messages) == 201
    assert outcome.result.messages[0] == "file0: \\udc80 bad line"
    assert outcome.blockers[7].files == ("file7",)


def test_failed_gate_without_words_has_a_blocker(plug_in: Any) -> None:
    plug_in("own", gate(lambda view, settings: GateResult(False)))
    assert only({"own": {}}).blockers[0].message == "it failed without saying why"


@pytest.mark.parametrize(
    ("text", "size"),
    [("200MB", 200_000_000), ("1.5 GiB", 3 << 29), ("7", 7), (12, 12), ("0B", 0), ("1kB", 1000), ("1KiB", 1024)],
)
def test_sizes(text: Any, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "MB", "-1", -1, True, None, 1.5, "1e9", "10mb", "1 000"])
def test_what_is_no_size(text: Any) -> None:
    with pytest.raises(BadInput):
        parse_size(text)


@dataclass(frozen=True)
class Inner:
    who: str
    until: int | None = None


@dataclass(frozen=True)
class Nested:
    limits: Mapping[str, Size] = field(default_factory=dict)
    rows: tuple[Inner, ...] = ()
    ratio: float = 1.0


def test_nested_settings() -> None:
    found = settings_of(Nested, {"limits": {"a": "1kB"}, "rows": [{"who": "x"}], "ratio": 2}, "g")
    assert found == Nested({"a": Size(1000)}, (Inner("x"),), 2.0)


@pytest.mark.parametrize(
    "table", [{"limits": {"a": []}}, {"limits": []}, {"rows": [{"whom": "x"}]}, {"rows": ["x"]}, {"ratio": "2"}]
)
def test_nested_settings_are_checked(table: Any) -> None:
    with pytest.raises(BadInput):
        settings_of(Nested, table, "g")


def test_deadline_stops_every_door() -> None:
    store = LimitedStore(
        SimpleNamespace(chunks=lambda d: iter([b""]), walk=lambda d: iter([1])), 1, iter([0, 2, 2, 2, 2]).__next__
    )  # type: ignore[arg-type]
    doors: list[Any] = [lambda: list(store.chunks("x")), lambda: list(store.walk("x")), lambda: store.read("x")]  # type: ignore[arg-type]
    for door in [*doors, lambda: store.open_blob("x")]:  # type: ignore[arg-type]
        with pytest.raises(TimeIsUp):
            door()
