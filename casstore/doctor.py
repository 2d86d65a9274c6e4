"""Is this set-up well? One row per check.

Promises: a check that cannot be made is a row, never an exception; nothing is changed, but for a
few objects under `probe/` that prove that the storage creates exclusively and are removed again.
Leaves to others: the bytes of packs (`fsck`), signatures (`casstore ledger verify`).

    report = examine(config_path=None, cwd=".", open_store=..., replay=..., key_files=(), now=clock.now())
    report.exit_code        # 0 well, 2 warnings only, 1 something failed
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from attest.core import times
from attest.core.values import dataclass
from attest.errors import CasstoreError
from attest.trust.endings import endings
from casstore import config

if TYPE_CHECKING:
    from attest.trust.trust_roots import TrustRoot
    from attest.trust.witnesses import Witness
    from casstore.ledger.states.state import LedgerState
    from casstore.store.store import Store

OK, WARN, FAIL = "ok", "warn", "fail"
IMPORT_NAMES = ("attest", "casstore", "bundlers", "cli")
_WITNESS_IS_LATE = timedelta(days=2)
"""So long a seal may be without a witness's line: it runs daily."""
_WITNESS = "is its schedule still on? (casstore help witnesses)"
_EARLIEST = 1_700_000_000
"""A clock that shows less has not been set: this program is younger."""
_SKEW = timedelta(minutes=10)
_DISTRIBUTION = "casstore"
_EXTRAS = {
    "keyless": "sigstore",
    "s3": "obstore",
    "gcs": "gcsfs",
    "azure": "adlfs",
    "hsm": "pkcs11",
    "cel": "celpy",
    "sbom": "cyclonedx",
}
"""Extra -> the import name that tells whether it is installed."""


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
    look: Callable[[str, str], tuple[str, bool] | None] | None = None,
    newest_line: Callable[[Witness], tuple[int, datetime] | None] | None = None,
) -> DoctorReport:
    """Run every check; one that cannot be made is a failed row, never an exception.

    `look` tells what consumers are shown of a channel at a destination, `newest_line` what a witness signed last.
    """
    rows = [_python(), *_libraries(), *_import_names(), *_walls(), _clock(now), _configuration(config_path, cwd)]
    try:
        store = open_store()
    except CasstoreError as exc:
        rows.append(Row("store", FAIL, exc.message, exc.hint))
    else:
        rows += [*_store(store), *_ledger(replay, now)]
        if look is not None:
            rows += _destinations(replay, look)
        if newest_line is not None:
            rows += _witnesses(replay, newest_line, now)
    rows += [_key_file(path) for path in key_files]
    return DoctorReport(tuple(rows))


def _destinations(
    replay: Callable[[], LedgerState], look: Callable[[str, str], tuple[str, bool] | None]
) -> Iterator[Row]:
    """What consumers are told now, wherever something was published."""
    try:
        published = replay().publications
    except CasstoreError:
        return  # the ledger's own row tells it
    for name, channel in sorted({(name, row.channel) for name, rows in published.items() for row in rows}):
        seen = look(name, channel)
        if seen is not None:
            hint = "" if seen[1] else f"casstore publish {channel} --to {name}"
            yield Row(f"destination {name}, {channel}", OK if seen[1] else WARN, seen[0], hint)


def _witnesses(
    replay: Callable[[], LedgerState], newest_line: Callable[[Witness], tuple[int, datetime] | None], now: datetime
) -> Iterator[Row]:
    """What the trust root's witnesses signed last, and whether one key holds both roles that they watch."""
    try:
        state = replay()
    except CasstoreError:
        return  # the ledger's own row tells it
    root, sealed = state.trust_root, state.sealed
    if root is None or root.witnesses is None:
        return
    both = sorted(set(root.holders("ledger")) & set(root.holders("publisher")))
    if both:
        yield Row(
            "witnesses",
            WARN,
            f"{', '.join(both)} may seal and publish: the witnesses alone stand between one key and consumers",
            "give the roles ledger and publisher to keys on two machines (casstore help witnesses)",
        )
    for one in root.witnesses.keys:
        seen = newest_line(one)
        if seen is None:
            yield Row(f"witness {one.name}", WARN, "no line of it lies where publish looks", _WITNESS)
            continue
        size, at = seen
        told = f"signed {size} entries at {times.format(at)}"
        late = sealed is not None and size <= sealed.number and now - max(at, sealed.time) > _WITNESS_IS_LATE
        if late:
            yield Row(f"witness {one.name}", WARN, f"{told}, and no seal since", _WITNESS)
        else:
            yield Row(f"witness {one.name}", OK, told)


def _python() -> Row:
    return Row("python", OK, f"{'.'.join(map(str, sys.version_info[:3]))} on {sys.platform}")


def _libraries() -> Iterator[Row]:
    """What the installed distribution says it needs, against what is there."""
    from importlib import metadata, util

    try:
        needs = metadata.requires(_DISTRIBUTION) or []
        version = metadata.version(_DISTRIBUTION)
    except metadata.PackageNotFoundError:
        yield Row("libraries", WARN, "casstore runs from a folder, it is not installed", "casstore help installing")
        return
    missing = [name for need in needs if "extra ==" not in need and (name := _absent(need))]
    extras = sorted(extra for extra, module in _EXTRAS.items() if util.find_spec(module))
    if missing:
        yield Row("libraries", FAIL, f"not installed: {', '.join(sorted(missing))}", "casstore help installing")
    else:
        yield Row("libraries", OK, f"casstore {version}; extras: {', '.join(extras) or 'none'}")


def _absent(need: str) -> str:
    """The name of a required distribution that is not installed, else nothing."""
    from importlib import metadata

    name = re.split(r"[^A-Za-z0-9._-]", need, maxsplit=1)[0]
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return name
    return ""


def _import_names() -> Iterator[Row]:
    """`attest` and `cli` are generic names: another distribution may own them too (docs/adr/0001)."""
    from importlib.metadata import packages_distributions

    owners = packages_distributions()
    shared = {name: sorted(set(owners.get(name, []))) for name in IMPORT_NAMES}
    for name, found in shared.items():
        if len(found) > 1:
            yield Row(
                "import names",
                WARN,
                f"the import name {name} belongs to {' and '.join(found)}",
                "install casstore in an environment of its own",
            )
    if all(len(found) < 2 for found in shared.values()):
        yield Row("import names", OK, f"{', '.join(IMPORT_NAMES)} are casstore's alone")


def _walls() -> Iterator[Row]:
    from casstore.hostile.walls import walls

    for wall in walls():
        yield Row(wall.what, OK if wall.whole else WARN, wall.told, wall.hint)


def _clock(now: datetime) -> Row:
    if now.timestamp() < _EARLIEST:
        return Row("clock", FAIL, f"it shows {times.format(now)}", "set the clock: signatures and expiry depend on it")
    return Row("clock", OK, times.format(now))


def _configuration(path: str | None, cwd: str) -> Row:
    if path is None and config.find_config(cwd) is None:
        return Row("configuration", WARN, "no casstore.toml here or above", "casstore init --yes writes a first one")
    try:
        found = config.load(path, cwd)
    except CasstoreError as exc:
        return Row("configuration", FAIL, exc.message, exc.hint)
    return Row("configuration", OK, f"{found.path}: {len(found.components)} components, {len(found.products)} products")


def _store(store: Store) -> Iterator[Row]:
    try:
        packs = sum(1 for _ in store.packs.names())
        yield Row("store", OK, f"{store.url}: {packs} packs" + (", read only" if store.read_only else ""))
        yield _index(store)
        yield _exclusive(store)
        yield from _records(store)
        yield from _open_to_others(store)
    except CasstoreError as exc:
        yield Row("store", FAIL, exc.message, exc.hint)


def _index(store: Store) -> Row:
    catalog = store.catalog
    count = catalog.ask(lambda index: index.count())
    if catalog.damaged:
        return Row("index", FAIL, f"{len(catalog.damaged)} packs cannot be read: objects are missing", "casstore fsck")
    if lost := catalog.lost():
        return Row("index", FAIL, f"{len(lost)} packs that were there are gone", "casstore fsck names their objects")
    if catalog.healed:
        return Row("index", WARN, f"it was made anew: {catalog.healed[-1]}", "is the disk well? casstore fsck")
    return Row("index", OK, f"{count} objects, {catalog.folder}")


def _exclusive(store: Store) -> Row:
    """A storage is proven, not believed: a server that overwrites loses ledger entries."""
    from casstore.storage.probe import FEW_PAIRS, probe

    try:
        report = probe(store.storage, pairs=FEW_PAIRS)
    except CasstoreError as exc:
        return Row("storage", WARN, f"could not be proven: {exc.message}", exc.hint)
    if store.storage.read_only:
        return Row("storage", OK, "read only: nothing can be overwritten from here")
    if report.problem:
        return Row("storage", FAIL, report.problem, "use a folder, or a server that honours If-None-Match")
    return Row("storage", OK, f"one winner in each of {report.rounds} races of {report.writers}")


def _records(store: Store) -> Iterator[Row]:
    """What is no pack, read anew from the storage: the index remembers entries that may be spoilt there."""
    from casstore.fsck.records import check_records

    for damage in check_records(store).damaged:
        yield Row("records", FAIL, f"{damage.record}: {damage.what}", "casstore fsck --repair --from STORE")


def _open_to_others(store: Store) -> Iterator[Row]:
    """Who may write to a store's folder can cut, hide and remove; nobody but its owner need."""
    root = store.storage.local_path
    if root is None or os.name != "posix":
        return
    for name in ("", "casstore.json", "packs", "ledgers", "pins", *_subfolders(root, "ledgers")):
        path = os.path.join(root, name).rstrip("/")
        try:
            mode = os.lstat(path).st_mode
        except OSError:
            continue
        who = [told for bits, told in ((0o020, "its group"), (0o002, "everybody")) if mode & bits]
        if who and not os.path.islink(path):
            told = f"{path}: {' and '.join(who)} may write (mode {mode & 0o777:04o}), so remove and hide what is kept"
            yield Row("store folder", WARN, told, f"chmod -R go-w {root}, unless these people are meant to put")
            return
    yield Row("store folder", OK, "its owner alone may write")


def _subfolders(root: str, name: str) -> list[str]:
    try:
        return [f"{name}/{entry}" for entry in sorted(os.listdir(os.path.join(root, name)))]
    except OSError:
        return []


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
    if state.begun is not None:
        told = f"this machine began at the seal of entry {state.begun} and has folded nothing before it"
        yield Row("ledger", OK, f"{told}: casstore ledger verify folds it all")
    if state.floor is not None and now + _SKEW < state.floor:
        signed = times.format(state.floor)
        yield Row("clock", WARN, f"behind the ledger, where somebody signed at {signed}", "set the clock")
    if (sealed := _sealed(state, now)) is not None:
        yield sealed
    root = state.trust_root
    if root is None:
        yield Row("trust root", WARN, "there is none yet", "casstore keys ceremony draft --help")
    elif now >= root.expires:
        yield Row("trust root", FAIL, f"version {root.version} expired {times.format(root.expires)}", _ROTATE)
    elif soon := endings(root, now):
        yield from (Row("trust root", WARN, ending.told, _ROTATE) for ending in soon)
    else:
        yield Row("trust root", OK, f"version {root.version}, valid until {times.format(root.expires)}")
    if root is not None:
        yield from _policies(root, now)
        yield from _shared_keys(root, now)


def _sealed(state: LedgerState, now: datetime) -> Row | None:
    """A seal is due daily: it bounds the times that signers claim. A ledger that never had one publishes nothing."""
    if state.floor is None:
        return None
    if state.is_long(now):
        told = f"nothing was sealed since {times.format(state.floor)}, {state.provisional} entries are provisional"
        return Row("seal", WARN, told, "casstore ledger checkpoint --key URI, daily (publishing does it too)")
    return Row("seal", OK, f"sealed {times.format(state.floor)}, {state.provisional} entries since")


def _policies(root: TrustRoot, now: datetime) -> Iterator[Row]:
    """A channel that asks for more approvals than there are approvers denies for ever."""
    approvers = len({one.identity for one in root.identities if "approver" in root.roles_of(one.identity, now)})
    for name, policy in sorted(root.channels.items()):
        for act, count in (("promotion", policy.approvals), ("rollback", policy.rollback_approvals)):
            if count > approvers:
                told = f"{name}: a {act} needs {count} approvals and there are {approvers} approvers now"
                yield Row("policy", WARN, told, _ROTATE)


def _shared_keys(root: TrustRoot, now: datetime) -> Iterator[Row]:
    """Who holds the ledger's key and publishes can withhold a revocation from everybody at once."""
    if len({one.identity for one in root.identities}) < _TEAM:
        return  # one person holds everything
    for one in root.identities:
        if {"ledger", "publisher"} <= root.roles_of(one.identity, now):
            told = f"{one.name} holds the roles ledger and publisher: who gets that key can withhold what was revoked"
            yield Row("keys", WARN, told, f"two keys on two machines; {_ROTATE}")


_TEAM = 2
_ROTATE = "the owners sign the next version: casstore keys ceremony draft"


def _key_file(path: str) -> Row:
    try:
        mode = os.stat(path).st_mode
    except OSError as exc:
        return Row("key file", FAIL, f"{path}: {exc.strerror}")
    if os.name == "posix" and mode & 0o077:
        return Row("key file", WARN, f"{path} can be read by others (mode {mode & 0o777:04o})", f"chmod 600 {path}")
    return Row("key file", OK, path)
