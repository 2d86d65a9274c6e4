"""Worker processes: fresh interpreters that take messages and answer, and end when we do.

Not forks: nothing of this process's LMDB environments, threads or locks comes along, and
it is the same on every platform. A message is four bytes of length, then msgpack. What a
worker does is left to the module whose `main` it runs.

    process = WorkerProcess("casstore.ingest.process", setup)
    send(process.input, batch); answer = receive(process.output)
    process.end(kill=False)
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgpack

import attest.errors
import casstore.errors
from attest.errors import CasstoreError
from casstore.errors import StorageUnavailable

_CODE = "import sys; sys.path[:] = sys.argv[1:]; from %s import main; sys.exit(main())"


_SECRET = re.compile(r"(?i)KEY|PASSW|PASSPHRASE|SECRET|TOKEN|CREDENTIAL")


def without_secrets() -> dict[str, str]:
    """Our environment for a worker, but for variables that by their names hold a secret: it needs none."""
    return {name: value for name, value in os.environ.items() if not _SECRET.search(name)}


class Ended:
    """The other side has closed its end."""


ENDED: Final = Ended()


class WorkerProcess:
    """One started interpreter and our ends of its pipes. Raises OSError when none can be started."""

    def __init__(
        self, module: str, setup: Any, *, environment: Mapping[str, str] | None = None, files: Sequence[int] = ()
    ) -> None:
        """`environment` is ours without secrets, or what is given; `files` become its files 3, 4 and so on."""
        if not sys.executable:
            raise OSError("there is no interpreter to start")
        theirs_in, self.input = os.pipe()
        self.output, theirs_out = os.pipe()
        actions = [
            (os.POSIX_SPAWN_DUP2, theirs_in, 0),
            (os.POSIX_SPAWN_DUP2, theirs_out, 1),
            (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
            *((os.POSIX_SPAWN_DUP2, file, number) for number, file in enumerate(files, 3)),
        ]
        variables = without_secrets() if environment is None else environment
        argv = [sys.executable, "-I", "-c", _CODE % module, *sys.path]
        try:
            self.pid = os.posix_spawn(sys.executable, argv, variables, file_actions=actions)
        except BaseException:
            os.close(self.input)
            os.close(self.output)
            raise
        finally:
            os.close(theirs_in)
            os.close(theirs_out)
        self._ended, self._code = False, 0
        with contextlib.suppress(BrokenPipeError):
            send(self.input, setup)

    def end(self, *, kill: bool) -> int:
        """Wait for its end, once: its exit code, or less than 0 for a signal; `output` is left to who reads it."""
        if self._ended:
            return self._code
        self._ended = True
        if kill:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
        os.close(self.input)
        with contextlib.suppress(ChildProcessError):
            self._code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self._code


def send(fd: int, value: Any) -> None:
    """Write one message. Raises BrokenPipeError when the other side is gone."""
    body = msgpack.packb(value)
    view = memoryview(len(body).to_bytes(4, "big") + body)
    while view:
        view = view[os.write(fd, view) :]


def receive(fd: int) -> Any:
    """Read one message; ENDED when there is none any more."""
    head = _exactly(fd, 4)
    if head is None:
        return ENDED
    body = _exactly(fd, int.from_bytes(head, "big"))
    return ENDED if body is None else msgpack.unpackb(body)


def begin() -> Any:
    """Called first in a worker: its set-up, or ENDED. An interrupt is the parent's business."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return receive(0)


def serve(prepare: Callable[[Any], Callable[[Any], Any]]) -> int:
    """In a worker of a `team`: made ready by its set-up, it answers each task; the exit code."""
    setup = begin()
    if isinstance(setup, Ended):
        return 0
    try:
        answer = prepare(setup)
        while not isinstance(task := receive(0), Ended):
            send(1, ["done", answer(task)])
    except BaseException as exc:
        tell_error(exc)
        return 1
    return 0


def tell_error(exc: BaseException) -> None:
    """Called in a worker: what went wrong, as a message ["error", class, message, hint]."""
    with contextlib.suppress(BrokenPipeError):
        if isinstance(exc, CasstoreError):
            send(1, ["error", type(exc).__name__, exc.message, exc.hint])
        else:
            send(1, ["error", "", f"{type(exc).__name__}: {exc}", ""])


def error_of(name: str, message: str, hint: str) -> CasstoreError:
    """The error that a worker has told."""
    kind = getattr(casstore.errors, name, None) or getattr(attest.errors, name, None)
    if isinstance(kind, type) and issubclass(kind, CasstoreError):
        return kind(message, hint=hint)
    return StorageUnavailable(f"a worker failed: {message}", hint="please report this")


def ended_early() -> CasstoreError:
    """The error for a worker that is gone without a word."""
    return StorageUnavailable("a worker process was ended from outside", hint="run it again")


def processors() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _exactly(fd: int, size: int) -> bytes | None:
    parts = []
    while size:
        part = os.read(fd, size)
        if not part:
            return None
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
