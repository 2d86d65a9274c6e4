"""Where tests write what no test cuts the power of: a file system in memory, as most of their time was fsync of a disk.

What is about disks asks for one: `on_disk`.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
from pathlib import Path

_SHARED = Path("/dev/shm")
_FREE = 6 << 30
"""Bytes that must be free, of it and of the machine's memory."""


def folder() -> Path | None:
    """A new one of this process; those of processes that are no more go. None where there is too little memory."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        for left in _SHARED.glob("casstore-tests-*-*"):
            if not Path("/proc", left.name.split("-")[2]).exists():
                shutil.rmtree(left, ignore_errors=True)
        free = re.search(r"MemAvailable:\s+(\d+) kB", Path("/proc/meminfo").read_text())
        if free and int(free[1]) << 10 >= _FREE and shutil.disk_usage(_SHARED).free >= _FREE:
            return Path(tempfile.mkdtemp(prefix=f"casstore-tests-{os.getpid()}-", dir=_SHARED))
    return None
