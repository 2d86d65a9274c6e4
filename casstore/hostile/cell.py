"""A cell: the process in which parsers of foreign bytes run, started by `door`.

It is a fresh interpreter: nothing of its parent's memory came along. It imports its parsers, shuts itself in, then
answers one question after the other. File 3 has the foreign bytes, file 4 is its scratch; it opens no other.
"""

from __future__ import annotations

import hashlib
import io
import os
import resource
import signal
from contextlib import suppress
from importlib import import_module
from typing import IO, Any

from attest.errors import CasstoreError
from casstore.hostile import landlock, seccomp
from casstore.hostile.scratch import Scratch
from casstore.machine.workers import Ended, begin, receive, send, tell_error

FOREIGN, SCRATCH = 3, 4
_LAST = 16
"""No file has a higher number."""
_GRACE = 5
_PAGE = resource.getpagesize()
_CODECS = ("cp437", "latin-1", "utf-16", "utf-8-sig", "idna")
"""What the standard library looks up when it meets certain bytes: later it could not be loaded."""


def main() -> int:
    """Read the set-up, then questions; answer each with parts and an end."""
    setup = begin()
    if isinstance(setup, Ended):
        return 0
    try:
        parsers = import_module(setup["parsers"]).PARSERS
        foreign, scratch = open(FOREIGN, "rb", closefd=False), Scratch(SCRATCH)  # noqa: SIM115  kept
        send(1, ["ready", shut_in(setup["memory"], setup["disk"])])
        while not isinstance(question := receive(0), Ended):
            *asked, small = question
            foreign.seek(0)
            _answer(parsers, foreign if small is None else io.BytesIO(small), scratch, *asked)
    except BaseException as exc:
        tell_error(exc)
        return 1
    return 0


def _answer(parsers: Any, foreign: IO[bytes], scratch: Scratch, name: str, seconds: int, asked: Any) -> None:
    signal.setitimer(signal.ITIMER_REAL, seconds + _GRACE)  # should the parent be gone
    try:
        value = parsers[name](foreign, asked, scratch, lambda part: send(1, ["part", part]))
        send(1, ["done", value])
    except MemoryError:
        send(1, ["over", "memory"])
    except CasstoreError as exc:
        tell_error(exc)
    except Exception as exc:
        send(1, ["over", f"{type(exc).__name__}: {exc}"[:200]])
    signal.setitimer(signal.ITIMER_REAL, 0)


def shut_in(memory: int, disk: int) -> list[str]:
    """Nothing is opened, reached or started from now on: by limits, and by what of the kernel's is returned."""
    hashlib.sha256(b"the library looks for its settings once").digest()
    for codec in _CODECS:
        "".encode(codec)
    os.closerange(SCRATCH + 1, 1 << 16)
    with suppress(OSError):
        os.chdir("/")
    for kind, most in (
        (resource.RLIMIT_AS, _size() + memory),
        (resource.RLIMIT_FSIZE, disk),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, _LAST),
        (resource.RLIMIT_NPROC, 0),
    ):
        with suppress(OSError, ValueError):  # one that this system does not let us lower
            resource.setrlimit(kind, (most, most))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    held = {"landlock": landlock.close(), "seccomp": seccomp.close()}
    return [name for name, took in held.items() if took]


def _size() -> int:
    """Bytes of address space that this process has by itself."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[0]) * _PAGE
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 2
