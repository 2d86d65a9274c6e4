"""Advisory locks on open files, and what is said where the system has none.

A store is kept on POSIX systems; verifying and installing need no lock and work anywhere, so this
module loads there too.

    locks.take(fd, wait=False)      # BlockingIOError when another holds it
"""

from __future__ import annotations

import os

from attest.errors import CasstoreError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


class NoLocks(CasstoreError):
    """This system has no file locks."""


def take(fd: int, *, shared: bool = False, wait: bool = True) -> None:
    """Lock an open file until it is closed. Raises OSError (held by another, or none to be had), NoLocks."""
    if fcntl is None:
        raise NoLocks(
            f"a store cannot be kept on {os.name}: it has no file locks",
            hint="verify and install work here; put and release on Linux or macOS",
        )
    fcntl.flock(fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB))
