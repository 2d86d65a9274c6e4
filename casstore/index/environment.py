"""Opens, shares, grows and replaces the LMDB environment of an index folder.

An index folder holds generations: `g-<hex>/` is one LMDB environment, `current` names the
one in use, so that a doubtful one is replaced by one rename while others still read the old.
Before an environment is opened it is examined; when it was changed behind our back, or the
last user died, a child process walks it first. One process opens an environment once
(LMDB's rule), so handles share it; it is never carried over a fork.

    environment = Environment.open("/store/index", Options())
    with environment.read() as txn: ...
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import lmdb

from attest.core.values import dataclass
from casstore.errors import StorageUnavailable
from casstore.index import lmdb_file, mark, probe
from casstore.index.mark import Mark
from casstore.index.rows import TABLES, IndexDoubt
from casstore.machine import locks

T = TypeVar("T")

_MAP_SIZE = 1 << 36
_MODE = 0o666
"""Less the umask: whoever shares the store by a group uses the index too."""
_SMALLER_MAP = 1 << 30
_DOUBT = (
    lmdb.CorruptedError,
    lmdb.PageNotFoundError,
    lmdb.InvalidError,
    lmdb.VersionMismatchError,
    lmdb.PanicError,
    lmdb.BadDbiError,
    lmdb.BadTxnError,
    lmdb.IncompatibleError,
    lmdb.CursorFullError,
    lmdb.PageFullError,
)


@dataclass(frozen=True, slots=True)
class Options:
    """How LMDB writes: without `sync` a power cut may spoil the file, without `metasync` lose the last commit."""

    map_size: int = _MAP_SIZE
    sync: bool = True
    metasync: bool = False


_open: dict[tuple[str, int], Environment] = {}
_open_lock = threading.Lock()


class Environment:
    """One LMDB environment in this process; see the module. Use `open`, then `close` once each."""

    def __init__(self, folder: str, generation: str, options: Options) -> None:
        self.folder = folder
        self.path = os.path.join(folder, generation)
        self.users = 1
        self.fresh: str | None = None
        """Why it began empty, when it did."""
        self._pid = os.getpid()
        self._gate = threading.Condition()
        self._active = 0
        self._growing = False
        self._mark = Mark(self.path)
        self._env, self.tables = _open_lmdb(self.path, options)

    @staticmethod
    def open(folder: str, options: Options) -> Environment:
        """The environment of an index folder; a new empty one where there is none, or a doubtful one."""
        os.makedirs(folder, exist_ok=True)
        key = (os.path.realpath(folder), os.getpid())
        with _open_lock:
            shared = _open.get(key)
            if shared is not None and shared.is_current():
                shared.users += 1
                return shared
            with _locked(folder):
                environment = _open_current(folder, options)
            _open[key] = environment
            return environment

    def is_current(self) -> bool:
        """Whether this generation is still the folder's one."""
        return _current(self.folder) == os.path.basename(self.path) and os.path.isdir(self.path)

    def close(self) -> None:
        """Give it back; the last user of this process closes it."""
        with _open_lock:
            self.users -= 1
            if self.users or self._pid != os.getpid():
                return
            if _open.get(key := (os.path.realpath(self.folder), self._pid)) is self:
                del _open[key]
            self._env.close()
            self._mark.close()

    def replace(self) -> None:
        """Forget everything: point the folder at a new, empty generation (others keep reading the old)."""
        if self._pid != os.getpid():
            return  # after a fork it is the parent's
        with _locked(self.folder):
            if self.is_current():
                _new_generation(self.folder)

    def compact(self, changed: Callable[[Any, dict[bytes, Any]], None]) -> None:
        """Point the folder at a copy in which all rows lie one after the other; `changed(txn, tables)` is told last.

        No process can write meanwhile; what one writes into the old generation later only lags.
        """
        with _locked(self.folder), self._writing() as held:
            if self.is_current():
                _new_generation(self.folder, lambda path: self._copy(held, path, changed))
            held.abort()

    def _copy(self, source: Any, path: str, changed: Callable[[Any, dict[bytes, Any]], None]) -> None:
        env, tables = _open_lmdb(path, Options(map_size=self._env.info()["map_size"], sync=False))
        with env.begin(write=True) as txn:
            for name, table in tables.items():
                rows = iter(source.cursor(self.tables[name]))
                txn.cursor(table).putmulti(rows, dupdata=False, overwrite=False, append=True)
            changed(txn, tables)
        env.sync(True)
        env.close()
        Mark(path).close()

    @contextlib.contextmanager
    def read(self) -> Iterator[Any]:
        """A read transaction. Raises IndexDoubt."""
        self._enter()
        try:
            with _doubting():
                try:
                    txn = self._env.begin(buffers=False)
                except lmdb.MapResizedError:  # another process made the map larger
                    self._resize(0, mine=1)
                    txn = self._env.begin(buffers=False)
                with txn:
                    yield txn
        finally:
            self._leave()

    def write(self, change: Callable[[Any], T]) -> T:
        """Run `change(txn)` in one transaction, again with a larger map when it did not fit."""
        while True:
            try:
                with self._writing() as txn:
                    result = change(txn)
                self._mark.note()
                return result
            except lmdb.MapFullError:
                self._resize(self._env.info()["map_size"] * 2)
            except lmdb.MapResizedError:
                self._resize(0)
            except lmdb.Error as exc:
                raise _unwritable(self.path, exc) from exc

    @contextlib.contextmanager
    def _writing(self) -> Iterator[Any]:
        self._enter()
        try:
            with _doubting(), self._env.begin(write=True) as txn:
                yield txn
        finally:
            self._leave()

    def _enter(self) -> None:
        if self._pid != os.getpid():
            raise IndexDoubt("an LMDB environment cannot be used after a fork")
        with self._gate:
            while self._growing:
                self._gate.wait()
            self._active += 1

    def _leave(self) -> None:
        with self._gate:
            self._active -= 1
            if not self._active:
                self._gate.notify_all()

    def _resize(self, size: int, *, mine: int = 0) -> None:
        """A larger map, when no transaction of this process is open (LMDB's rule)."""
        with self._gate:
            self._growing = True
            try:
                while self._active > mine:
                    self._gate.wait()
                self._env.set_mapsize(size)
            finally:
                self._growing = False
                self._gate.notify_all()


def _open_current(folder: str, options: Options) -> Environment:
    generation = _current(folder)
    reason = "there was no index" if generation is None else _distrust(os.path.join(folder, generation))
    if generation is not None and reason is None:
        try:
            return _started(Environment(folder, generation, options), None)
        except IndexDoubt as exc:
            reason = str(exc)
        except OSError as exc:
            reason = f"the index folder cannot be used: {exc.strerror}"
        except lmdb.Error as exc:
            if "already open" in str(exc):  # by the process that we were forked from
                return _private(options)
            reason = f"LMDB: {exc}"
    return _started(Environment(folder, _new_generation(folder), options), reason)


def _started(environment: Environment, fresh: str | None) -> Environment:
    environment.fresh = fresh
    environment._mark.note()
    return environment


def _private(options: Options) -> Environment:
    import tempfile

    folder = tempfile.mkdtemp(prefix="casstore-index-")
    return Environment(folder, _new_generation(folder), options)


def _distrust(path: str) -> str | None:
    """Why the generation at `path` must not be opened, or None."""
    data = os.path.join(path, "data.mdb")
    fault = lmdb_file.examine(data)
    if fault is not None:
        return f"the index file {fault}"
    verdict = Mark.judge(path)
    if verdict == mark.HARMED:
        return "the index file was changed by somebody else"
    if verdict == mark.SAME or probe.survives(path, seconds=30 + os.path.getsize(data) / 5_000_000):
        return None
    return "the index was damaged"


def _open_lmdb(path: str, chosen: Options) -> tuple[Any, dict[bytes, Any]]:
    options: dict[str, Any] = {"max_dbs": len(TABLES), "max_readers": 1024, "readahead": False, "mode": _MODE}
    options |= {"sync": chosen.sync, "metasync": chosen.metasync}
    with _doubting():
        try:
            env = lmdb.open(path, map_size=chosen.map_size, **options)
        except (lmdb.MemoryError, MemoryError, OverflowError):
            env = _open_smaller(path, options)
        env.reader_check()
        try:
            with env.begin(write=True) as txn:
                return env, {name: env.open_db(name, txn) for name in TABLES}
        except lmdb.DiskError as exc:
            raise _unwritable(path, exc) from exc


def _open_smaller(path: str, options: dict[str, Any]) -> Any:
    try:
        return lmdb.open(path, map_size=_SMALLER_MAP, **options)
    except (lmdb.MemoryError, MemoryError, OverflowError) as exc:
        raise StorageUnavailable(
            f"{path}: the index needs {_SMALLER_MAP >> 20} MiB of address space, more than this process may take",
            hint="raise its limit (ulimit -v)",
        ) from exc


def _unwritable(path: str, exc: Exception) -> StorageUnavailable:
    """The disk refuses: nothing is acknowledged, though the packs may be durable and found later."""
    return StorageUnavailable(f"{path}: the index cannot be written: {exc}", hint="mend the disk and run it again")


def _new_generation(folder: str, fill: Callable[[str], None] = lambda _: None) -> str:
    """A generation, empty unless filled, made the current one by a rename; the one before is removed."""
    before = _current(folder)
    name = f"g-{os.urandom(8).hex()}"
    os.mkdir(os.path.join(folder, name))
    fill(os.path.join(folder, name))
    pointer = os.path.join(folder, f".current-{os.urandom(4).hex()}")
    with open(pointer, "w", encoding="ascii") as file:
        file.write(name)
    os.replace(pointer, os.path.join(folder, "current"))
    if before is not None:
        import shutil

        shutil.rmtree(os.path.join(folder, before), ignore_errors=True)
    return name


def _current(folder: str) -> str | None:
    try:
        with open(os.path.join(folder, "current"), encoding="ascii") as file:
            name = file.read(40)
    except (OSError, UnicodeDecodeError):
        return None
    return name if name.startswith("g-") and name[2:].isalnum() else None


@contextlib.contextmanager
def _locked(folder: str) -> Iterator[None]:
    fd = os.open(os.path.join(folder, "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _MODE)
    try:
        with contextlib.suppress(OSError):  # a file system without locks: the rename still keeps it whole
            locks.take(fd)
        yield
    finally:
        os.close(fd)


@contextlib.contextmanager
def _doubting() -> Iterator[None]:
    try:
        yield
    except _DOUBT as exc:
        raise IndexDoubt(f"LMDB: {exc}") from exc
