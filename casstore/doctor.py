"""Is this set-up well? One row per check; nothing is changed.

report = examine(config_path=None, cwd=".", open_store=lambda: Store.open(url), now=clock.now())
report.exit_code        # 0 well, 2 warnings only, 1 something failed
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from attest import times
from attest.errors import CasstoreError
from casstore import config

if TYPE_CHECKING:
    from casstore.ledger.state import LedgerState
    from casstore.store import Store

OK, WARN, FAIL = "ok", "warn", "fail"
IMPORT_NAMES = ("attest", "casstore", "bundlers", "cli")
SOON = timedelta(days=30)
_EARLIEST = 1_700_000_000
"""A clock that shows less has not been set: this program is younger."""


@dataclass(frozen=True, slots=True)
class Row:
    """One check."""

    check: str
    status: str
    message: str
    hint: str = ""

    def to_json(self) -> dict[str, str]:
        """For `--json`."""
        return {"check": self.check, "status": self.status, "message": self.message, "hint": self.hint}


@dataclass(frozen=True, slots=True)
class DoctorReport:
    """All checks."""

    rows: tuple[Row, ...]

    @property
    def exit_code(self) -> int:
        """1 when something failed, 2 for warnings only, else 0."""
        found = {row.status for row in self.rows}
        return 1 if FAIL in found else 2 if WARN in found else 0

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {"rows": [row.to_json() for row in self.rows], "exitCode": self.exit_code}


def examine(
    *,
    config_path: str | None,
    cwd: str,
    open_store: Callable[[], Store],
    replay: Callable[[], LedgerState],
    key_files: tuple[str, ...],
    now: datetime,
) -> DoctorReport:
    """Run every check; one that cannot be made is a failed row, never an exception."""
    rows = [_python(), *_import_names(), _clock(now), _configuration(config_path, cwd)]
    store = _store(open_store)
    rows.append(store)
    if store.status == OK:
        rows += _ledger(replay, now)
    rows += [_key_file(path) for path in key_files]
    return DoctorReport(tuple(rows))


def _python() -> Row:
    return Row("python", OK, f"{'.'.join(map(str, sys.version_info[:3]))} on {sys.platform}")


def _import_names() -> Iterator[Row]:
    """`attest` and `cli` are generic names: another distribution may own them too (docs/adr/0001)."""
    from importlib.metadata import packages_distributions

    owners = packages_distributions()
    for name in IMPORT_NAMES:
        found = sorted(set(owners.get(name, [])))
        if len(found) > 1:
            yield Row(
                "import names",
                WARN,
                f"the import name {name} belongs to {' and '.join(found)}",
                "install casstore in an environment of its own",
            )


def _clock(now: datetime) -> Row:
    if now.timestamp() < _EARLIEST:
        return Row("clock", FAIL, f"it shows {times.format(now)}", "set the clock: signatures and expiry depend on it")
    return Row("clock", OK, times.format(now))


def _configuration(path: str | None, cwd: str) -> Row:
    if path is None and config.find_config(cwd) is None:
        return Row(
            "configuration", WARN, "no casstore.toml here or above", "docs/formats/config.md shows how to write one"
        )
    try:
        found = config.load(path, cwd)
    except CasstoreError as exc:
        return Row("configuration", FAIL, exc.message, exc.hint)
    return Row("configuration", OK, f"{found.path}: {len(found.components)} components, {len(found.products)} products")


def _store(open_store: Callable[[], Store]) -> Row:
    try:
        store = open_store()
        packs = sum(1 for _ in store.packs.names())
    except CasstoreError as exc:
        return Row("store", FAIL, exc.message, exc.hint)
    return Row("store", OK, f"{store.url}: {packs} packs" + (", read only" if store.read_only else ""))


def _ledger(replay: Callable[[], LedgerState], now: datetime) -> Iterator[Row]:
    try:
        state = replay()
    except CasstoreError as exc:
        yield Row("ledger", FAIL, exc.message, exc.hint)
        return
    if state.void:
        yield Row("ledger", WARN, f"{len(state.void)} of {state.count} entries are void", "casstore ledger verify")
    else:
        yield Row("ledger", OK, f"{state.count} entries, none void")
    root = state.trust_root
    if root is None:
        yield Row("trust root", WARN, "there is none yet", "casstore keys ceremony draft --help")
    elif now >= root.expires:
        yield Row("trust root", FAIL, f"version {root.version} expired {times.format(root.expires)}", _ROTATE)
    elif now + SOON >= root.expires:
        yield Row("trust root", WARN, f"version {root.version} expires {times.format(root.expires)}", _ROTATE)
    else:
        yield Row("trust root", OK, f"version {root.version}, valid until {times.format(root.expires)}")


_ROTATE = "the owners sign the next version: casstore keys ceremony draft"


def _key_file(path: str) -> Row:
    try:
        mode = os.stat(path).st_mode
    except OSError as exc:
        return Row("key file", FAIL, f"{path}: {exc.strerror}")
    if os.name == "posix" and mode & 0o077:
        return Row("key file", WARN, f"{path} can be read by others (mode {mode & 0o777:04o})", f"chmod 600 {path}")
    return Row("key file", OK, path)
