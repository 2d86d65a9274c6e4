"""What all tests share: hypothesis profiles, and loud, counted skips.

CASSTORE_REQUIRE_ALL=1 (CI) turns a skip of a `server` or `foreign` test into a failure: there the
tools are installed, so a skip would hide a missing proof.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest

from casstore.store.store import Store
from tests.support import in_memory

if "XDG_STATE_HOME" not in os.environ:  # how far ledgers were seen, which a person keeps for ever
    os.environ["XDG_STATE_HOME"] = tempfile.mkdtemp(prefix="casstore-tests-")
    atexit.register(shutil.rmtree, os.environ["XDG_STATE_HOME"], ignore_errors=True)

if "PYTEST_DEBUG_TEMPROOT" not in os.environ and (memory := in_memory.folder()) is not None:
    os.environ["PYTEST_DEBUG_TEMPROOT"] = str(memory)  # the workers of this run get it too
    atexit.register(shutil.rmtree, memory, ignore_errors=True)

hypothesis.settings.register_profile("quick", max_examples=20, deadline=None)
hypothesis.settings.register_profile("ci", max_examples=30, deadline=None, derandomize=True)
hypothesis.settings.register_profile("deep", max_examples=2000, deadline=None)
hypothesis.settings.load_profile(os.environ.get("CASSTORE_PROFILE", "ci" if os.environ.get("CI") else "quick"))

REQUIRE_ALL = os.environ.get("CASSTORE_REQUIRE_ALL") == "1"
TOOLS = ("server", "foreign")
UNREACHED = os.environ.get("CASSTORE_UNREACHED", "").split()
"""Tools that CI could not install for want of a network: their skips stay skips, told and counted."""


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):  # type: ignore[no-untyped-def]
    """A skipped test of a tool that must be there fails."""
    outcome = yield
    report = outcome.get_result()
    if REQUIRE_ALL and report.skipped and any(item.get_closest_marker(name) for name in TOOLS):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        if any(tool in str(reason) for tool in (*UNREACHED, "deep profile:")):
            return
        report.outcome = "failed"
        report.longrepr = f"must not be skipped here: {reason}"


@pytest.hookimpl(hookwrapper=True)
def pytest_make_collect_report(collector):  # type: ignore[no-untyped-def]
    """A file skipped as a whole, for a library that is not there, fails too."""
    outcome = yield
    report = outcome.get_result()
    if REQUIRE_ALL and report.skipped and isinstance(collector, pytest.Module):
        report.outcome = "failed"
        report.longrepr = f"must not be skipped here: {report.longrepr}"


def pytest_terminal_summary(terminalreporter):  # type: ignore[no-untyped-def]
    """What was skipped, and why, where nobody can overlook it."""
    skipped = terminalreporter.stats.get("skipped", [])
    if skipped:
        terminalreporter.write_line(f"SKIPPED {len(skipped)}: what they prove was NOT proven on this machine:")
        for reason in sorted({str(r.longrepr[2]) for r in skipped if isinstance(r.longrepr, tuple)}):
            terminalreporter.write_line(f"  {reason}")


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_sessionfinish(session):  # type: ignore[no-untyped-def]
    """The very last line: the counts."""
    yield
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or hasattr(session.config, "workerinput"):
        return
    counts = {name: len(reporter.stats.get(name, [])) for name in ("passed", "failed", "error", "skipped")}
    failed = counts["failed"] + counts["error"]
    reporter.ensure_newline()
    reporter.write_line(f"{counts['passed']} passed, {failed} failed, {counts['skipped']} skipped")


@pytest.fixture(autouse=True)
def _stores_are_closed(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No store that a test opened is left open for those that follow: descriptors are few. But `KEEPS_STORES`."""
    if getattr(request.module, "KEEPS_STORES", False):
        yield
        return
    opened: list[Store] = []
    real = Store.__init__

    def remembered(self: Store, *args: Any, **options: Any) -> None:
        real(self, *args, **options)
        opened.append(self)

    monkeypatch.setattr(Store, "__init__", remembered)
    yield
    for store in opened:
        store.close()
