"""What a cell of this machine keeps out, by trying it from inside: `casstore doctor` asks.

ask("tries", ...)      # [version of Landlock, or 0; what went through]
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable, Mapping
from typing import IO, Any

from casstore.hostile import landlock
from casstore.hostile.scratch import Scratch

_VERSION = landlock.version()
_libc = ctypes.CDLL(None) if os.name == "posix" else None
_INET, _STREAM = 2, 1


def _open() -> None:
    os.close(os.open(sys.executable, os.O_RDONLY))


def _reach() -> None:
    if _libc is None or (number := _libc.socket(_INET, _STREAM, 0)) < 0:
        raise OSError
    os.close(number)


def _start() -> None:
    if not os.fork():
        os._exit(0)
    os.wait()


_TRIES: Mapping[str, Callable[[], None]] = {"open files": _open, "open sockets": _reach, "start processes": _start}


def tries(_: IO[bytes], __: Any, ___: Scratch, ____: Callable[[Any], None]) -> list[Any]:
    """Nothing asked; the version of Landlock, and the tries that were not refused."""
    return [_VERSION, [name for name, attempt in _TRIES.items() if _went_through(attempt)]]


def _went_through(attempt: Callable[[], None]) -> bool:
    try:
        attempt()
    except (OSError, AttributeError):
        return False
    return True


PARSERS = {"tries": tries}
