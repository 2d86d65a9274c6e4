"""Tell others of a move by their own commands (`[notify.NAME]` of casstore.toml, docs/formats/move-notice.md).

Promises: it is told after the move is in the ledger, and whatever becomes of it the move is kept; each command is
tried again, with a wait that doubles, until it ends well; what was not told is in the result. Leaves to others: how
a program is run (`machine.runner`).

    notices = tell(config.notify, report, store=store.store_id, ledger="main", now=now, folder=config.folder)
    [notice.name for notice in notices if not notice.told]
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from attest import canonical
from attest.core import times
from attest.core.values import dataclass
from attest.errors import CasstoreError
from casstore.machine import runner
from casstore.promotion.reports import MoveReport

if TYPE_CHECKING:
    from casstore.config import Notify

FORMAT = "casstore-move/1"
_FIRST_WAIT = 1.0
_WORDS = 200


@dataclass(frozen=True, slots=True)
class Notice:
    """What became of one command."""

    name: str
    told: bool
    tries: int
    why: str = ""
    """Why it was not told, at the last try."""

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {"name": self.name, "told": self.told, "tries": self.tries, "why": self.why or None}


def message(report: MoveReport, *, store: str, ledger: str, by: str, reason: str, now: datetime) -> bytes:
    """What a command reads: one line of canonical JSON."""
    value = {
        "format": FORMAT,
        "store": store,
        "ledger": ledger,
        "action": report.action,
        "channel": report.channel,
        "version": report.version,
        "release": report.release,
        "fromVersion": report.from_version or None,
        "fromRelease": report.from_release,
        "share": report.share,
        "takenBack": report.taken_back or None,
        "pinned": report.pinned,
        "entry": report.number,
        "entryDigest": report.entry,
        "statement": report.statement,
        "by": by,
        "reason": reason,
        "time": times.format(now),
    }
    return canonical.dumps(value) + b"\n"


def tell(
    commands: Mapping[str, Notify],
    report: MoveReport,
    said: bytes,
    *,
    folder: str,
    wait: Callable[[float], None] = time.sleep,
) -> tuple[Notice, ...]:
    """Run each command that asked for this channel; one that fails stops no other. Raises nothing of theirs."""
    if not report.moved:
        return ()
    wanted = {name: table for name, table in commands.items() if not table.channels or report.channel in table.channels}
    return tuple(_tell(name, table, said, folder, wait) for name, table in wanted.items())


def _tell(name: str, table: Notify, said: bytes, folder: str, wait: Callable[[float], None]) -> Notice:
    why = ""
    for number in range(1, table.tries + 1):
        try:
            why = _run(table, said, folder)
        except CasstoreError as exc:  # no such program: another try finds none either
            return Notice(name, False, number, exc.message)
        if not why:
            return Notice(name, True, number)
        if number < table.tries:
            wait(_FIRST_WAIT * 2 ** (number - 1))
    return Notice(name, False, table.tries, why)


def _run(table: Notify, said: bytes, folder: str) -> str:
    """Why it failed; empty when it ended well."""
    done = runner.run(table.command, cwd=folder, timeout=table.timeout, network=table.network, alone=True, given=said)
    if done.ok:
        return ""
    why = "timed out" if done.timed_out else f"exit code {done.exit_code}"
    if done.network is runner.NetworkUse.NONE:
        why += ", without network: network = true allows it"
    words = " ".join(done.stderr.decode("utf-8", "replace").split())[:_WORDS]
    return f"{why}: {words}" if words else why
