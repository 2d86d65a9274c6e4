"""Update one product by the consumer's own settings: install, its commands, its health check, and back where it fails.

Promises: nothing is run but what the consumer's settings name; a version that was switched to is marked until its
check ended well, so that whoever is killed between is checked by the next run; a version whose check failed leaves
force at once, for the version before if that is whole and was not revoked, else for none, and is not tried again
until the channel moves or it is asked for. Leaves to others: verification and the switch (`install`).

    done = Update("core", plan, trust=trust, at=now).run()
    done.outcome, done.version
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from attest.core import times
from attest.core.values import dataclass
from attest.errors import CasstoreError, VerificationError
from bundlers.consuming.service import TrustSettings, Verified
from bundlers.errors import Unhealthy
from bundlers.installing import counting, keeping, shares
from bundlers.installing import install as installing
from bundlers.installing.installed import UNHEALTHY, UNPROVEN, InstalledFolder
from bundlers.installing.receipts import Receipt
from casstore.machine import runner
from casstore.machine.progress import Progress
from casstore.network.network import NetworkGuard

UPDATED, UNCHANGED, WOULD, RETURNED, HELD, STOPPED, FAILED = (
    "updated",
    "unchanged",
    "would update",
    "returned",
    "held back",
    "stopped",
    "failed",
)
_WORDS = 200
_ENVIRONMENT = (*runner.ENVIRONMENT, "USER", "LOGNAME", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS")


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be in one folder, and what is run around it."""

    source: str
    product: str
    channel: str
    into: str
    platform: str | None = None
    link_bin: str | None = None
    keep: int | None = None
    fresh: int | None = None
    """Seconds."""
    share: str = shares.DRAWN
    after: tuple[str, ...] = ()
    check: tuple[str, ...] = ()
    stop: tuple[str, ...] = ()
    after_timeout: float = 300.0
    check_timeout: float = 30.0
    check_tries: int = 3


@dataclass(frozen=True, slots=True)
class Updated:
    """What became of one product."""

    name: str
    outcome: str
    version: str = ""
    """What is in force now, or would be."""
    before: str = ""
    why: str = ""
    hint: str = ""
    exit_code: int = 0
    pruned: tuple[str, ...] = ()
    share: str = ""
    """Which of a channel's two releases that is, and why."""

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "name": self.name,
            "outcome": self.outcome,
            "version": self.version or None,
            "before": self.before or None,
            "why": self.why or None,
            "hint": self.hint or None,
            "exitCode": self.exit_code,
            "pruned": list(self.pruned),
            "share": self.share or None,
        }


@dataclass
class Update:
    """One product, one run."""

    name: str
    plan: Plan
    trust: TrustSettings
    at: datetime
    network: NetworkGuard | None = None
    offline: bool = False
    dry_run: bool = False
    again: bool = False
    """Try a version again whose check failed."""
    progress: Progress | None = None

    def __post_init__(self) -> None:
        self._folder = InstalledFolder(self.plan.into)

    def run(self) -> Updated:
        """Raises nothing of casstore's: what fails is in the result."""
        try:
            return self._run()
        except CasstoreError as exc:
            outcome = HELD if isinstance(exc, Unhealthy) else FAILED
            return Updated(self.name, outcome, self._in_force(), "", exc.message, exc.hint, exc.exit_code)

    def _run(self) -> Updated:
        plan, before = self.plan, self._in_force()
        report = installing.install(
            plan.source,
            plan.product,
            channel=plan.channel,
            into=plan.into,
            trust=self.trust,
            at=self.at,
            network=self.network,
            offline=self.offline,
            progress=self.progress,
            platform=plan.platform,
            link_bin=plan.link_bin,
            keep=plan.keep if self.dry_run else None,
            dry_run=self.dry_run,
            accept=self._accept,
            unproven=bool(plan.check or plan.after),
            share=plan.share,
        )
        name, version = report.receipt.name, report.receipt.version
        if self.dry_run:
            outcome, pruned = WOULD if report.changed else UNCHANGED, report.pruned
            return Updated(self.name, outcome, version, before, pruned=pruned, share=report.share)
        if self._folder.marked(name, UNPROVEN) is not None and (why := self._prove(report.receipt)):
            return self._back(report.receipt, why)
        self._folder.unmark(name, UNPROVEN, UNHEALTHY)
        pruned = ()
        if plan.keep is not None:
            with self._folder.locked():
                pruned = keeping.prune(self._folder, plan.keep)
        outcome = UPDATED if report.changed else UNCHANGED
        return Updated(self.name, outcome, version, before, pruned=pruned, share=report.share)

    def _accept(self, found: Verified, receipt: Receipt) -> None:
        """Before anything changes: is it new enough, and no version whose check failed? Raises what is wrong."""
        newest = min(found.as_of, found.channel.newest)
        if self.plan.fresh is not None and self.at - newest > timedelta(seconds=self.plan.fresh):
            raise VerificationError(
                f"{self.plan.source}: the newest that it proves is of {times.format(newest)},"
                f" older than {self.plan.fresh} seconds, which is all that fresh allows",
                hint="ask the publisher why nothing newer is there",
            )
        why = self._folder.marked(receipt.name, UNHEALTHY)
        if why is not None and not self.again:
            raise Unhealthy(
                f"{receipt.version} failed its health check before and is not tried again: {why}",
                hint="wait until the channel moves, or give --again",
            )

    def _prove(self, receipt: Receipt) -> str:
        """Run what belongs to a version in force; why it does not work, empty where it does."""
        if self.plan.after and (why := self._command(self.plan.after, self.plan.after_timeout, receipt)):
            return f"after: {why}"
        why = ""
        for number in range(self.plan.check_tries if self.plan.check else 0):
            if number:
                time.sleep(min(30.0, 2.0 ** (number - 1)))
            if not (why := self._command(self.plan.check, self.plan.check_timeout, receipt)):
                return ""
        return f"check: {why}" if why else ""

    def _command(self, argv: tuple[str, ...], timeout: float, receipt: Receipt) -> str:
        about = {
            "CASSTORE_PRODUCT": receipt.product,
            "CASSTORE_VERSION": receipt.version,
            "CASSTORE_CHANNEL": receipt.channel,
            "CASSTORE_FOLDER": self._folder.folder,
        }
        try:
            done = runner.run(argv, cwd=self._folder.folder, env_allow=_ENVIRONMENT, env=about, timeout=timeout)
        except CasstoreError as exc:
            return exc.message
        if done.ok:
            return ""
        words = " ".join((done.stderr or done.stdout).decode("utf-8", "replace").split())[:_WORDS]
        why = "timed out" if done.timed_out else f"exit code {done.exit_code}"
        return f"{why}: {words}" if words else why

    def _back(self, failed: Receipt, why: str) -> Updated:
        """Out of force with it: for the version before, or for none."""
        folder = self._folder
        with folder.locked():
            folder.mark(failed.name, UNHEALTHY, f"{times.format(self.at)}: {why}")
            before, reason = self._good_before()
            if folder.current() == failed.name:
                if before is None:
                    folder.unpoint("current")
                else:
                    folder.switch(before.name)
        hint = "the next version of the channel is tried when it is there; this one with --again"
        told = f"{failed.version} failed: {why}"
        if before is None:
            stopped = self._command(self.plan.stop, self.plan.after_timeout, failed) if self.plan.stop else ""
            told += f"; nothing is in force: {reason}" + (f"; stop: {stopped}" if stopped else "")
            return Updated(self.name, STOPPED, "", failed.version, told, hint, Unhealthy.exit_code)
        if still := self._prove(before):
            told += f"; {before.version} is in force again, and fails too: {still}"
        return Updated(self.name, RETURNED, before.version, failed.version, told, hint, Unhealthy.exit_code)

    def _good_before(self) -> tuple[Receipt | None, str]:
        """The version before, if it may be used; else why not."""
        folder = self._folder
        current = folder.current()
        named = folder.receipt(current).previous if current else None
        name = folder.previous() if named else None
        if name is None:
            return None, "there is no version before" if named is None else f"{named} is not there any more"
        receipt = folder.receipt(name)
        if why := counting.why_not(folder, name, self.at):
            return None, f"the version before, {receipt.version}, was revoked: {why}"
        try:
            installing.check_files(folder, name)
        except CasstoreError as exc:
            return None, f"the version before, {receipt.version}, is not whole: {exc.message}"
        return receipt, ""

    def _in_force(self) -> str:
        try:
            name = self._folder.current() if os.path.isdir(self._folder.folder) else None
            return self._folder.receipt(name).version if name else ""
        except CasstoreError:
            return ""


def with_absolute(plan: Plan, absolute: Callable[[str], str]) -> Plan:
    """Paths of a plan from the folder of the file that says them."""
    link_bin = absolute(plan.link_bin) if plan.link_bin else None
    return replace(plan, source=absolute(plan.source), into=absolute(plan.into), link_bin=link_bin)
