"""Walks a doubtful index in a process of its own, so that only that process can be killed by it.

`survives(folder)` starts the walk and judges by the exit code; `walk(folder)` is what runs
there: every row of every table is read and its check value compared.
"""

from __future__ import annotations

import os
import signal
import sys
import time

_CODE = "import sys; sys.path[:] = sys.argv[2:]; from casstore.index import probe; sys.exit(probe.walk(sys.argv[1]))"
GOOD = 0
BAD = 3


def survives(folder: str, *, seconds: float) -> bool:
    """Whether a child process can read the whole index in `folder` and finds nothing wrong."""
    if not sys.executable:
        return False
    argv = [sys.executable, "-I", "-c", _CODE, folder, *sys.path]
    quiet = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in (0, 1, 2)]
    try:
        pid = os.posix_spawn(sys.executable, argv, os.environ, file_actions=quiet)
    except OSError:
        return False
    return _wait(pid, time.monotonic() + seconds) == GOOD


def _wait(pid: int, deadline: float) -> int:
    pause = 0.002
    try:
        while time.monotonic() < deadline:
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                return os.waitstatus_to_exitcode(status)
            time.sleep(pause)
            pause = min(pause * 1.5, 0.05)
    except BaseException:
        _kill(pid)
        raise
    _kill(pid)
    return BAD


def _kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def walk(folder: str) -> int:
    """GOOD or BAD; LMDB may also end this process."""
    import lmdb

    from casstore.index.rows import TABLES, IndexDoubt, unseal

    try:
        environment = lmdb.open(folder, readonly=True, max_dbs=len(TABLES), max_spare_txns=0, create=False)
        with environment.begin() as txn:
            for table in TABLES:
                database = environment.open_db(table, txn, create=False)
                expected = txn.stat(database)["entries"]
                seen = 0
                for key, value in txn.cursor(database):
                    unseal(key, value)
                    seen += 1
                if seen != expected:
                    return BAD
    except (lmdb.Error, IndexDoubt, OSError):
        return BAD
    return GOOD
