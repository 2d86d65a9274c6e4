"""The one way to run another program: builds, gates, hooks.

Promises: an argument list, never a shell; a checked working folder; an environment built from an
allowlist; no standard input; its own process group, killed whole on time-out, on too much output
and on Ctrl-C; output kept up to a limit and counted beyond it; time, CPU and memory measured.

    result = run(["make", "-C", "core"], cwd="src", timeout=600)
    result.exit_code, result.stdout
"""

from __future__ import annotations

import atexit
import contextlib
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, Any

from attest.errors import BadInput
from casstore.errors import NoSuchObject

ENVIRONMENT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ", "SOURCE_DATE_EPOCH")
"""What a program sees of our environment unless more is allowed by name."""

MAX_OUTPUT = 1024 * 1024
TIMEOUT = 3600.0
_READ = 65536
_RSS_UNIT = 1 if sys.platform == "darwin" else 1024


@dataclass(frozen=True, slots=True)
class CommandResult:
    """How a program ended."""

    argv: tuple[str, ...]
    exit_code: int
    """As a shell says it: negative signal numbers become 128 + signal."""
    stdout: bytes
    stderr: bytes
    seconds: float
    cpu_seconds: float
    max_rss: int
    """Peak memory of the largest process, bytes."""
    timed_out: bool = False
    truncated: bool = False

    @property
    def ok(self) -> bool:
        """Whether it ended well, in time."""
        return self.exit_code == 0 and not self.timed_out

    def to_json(self) -> dict[str, Any]:
        """For provenance and reports; output is left out."""
        return {
            "argv": list(self.argv),
            "exitCode": self.exit_code,
            "seconds": round(self.seconds, 3),
            "cpuSeconds": round(self.cpu_seconds, 3),
            "maxRssBytes": self.max_rss,
            "timedOut": self.timed_out,
        }


@dataclass
class _Output:
    limit: int
    data: bytearray = field(default_factory=bytearray)
    dropped: int = 0

    def drain(self, pipe: IO[bytes]) -> None:
        while piece := os.read(pipe.fileno(), _READ):
            room = self.limit - len(self.data)
            self.data += piece[:room]
            self.dropped += max(0, len(piece) - room)


def run(
    argv: Sequence[str],
    *,
    cwd: str,
    env_allow: Sequence[str] = ENVIRONMENT,
    env: Mapping[str, str] | None = None,
    timeout: float = TIMEOUT,
    max_output: int = MAX_OUTPUT,
    max_memory: int | None = None,
) -> CommandResult:
    """Run a program to its end. Raises BadInput for a bad call, NoSuchObject for a missing program.

    `env` adds variables; `max_memory` limits the address space in bytes. A non-zero exit code is
    a result, not an error.
    """
    _check(argv, cwd)
    variables = {name: os.environ[name] for name in env_allow if name in os.environ}
    began = time.monotonic()
    try:
        process = subprocess.Popen(  # noqa: S603 - an argument list, checked above
            list(argv),
            cwd=cwd,
            env={**variables, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            preexec_fn=_limit(max_memory) if max_memory else None,
        )
    except FileNotFoundError as exc:
        raise NoSuchObject(f"{argv[0]}: no such program", hint="install it, or name it by its full path") from exc
    except PermissionError as exc:
        raise BadInput(f"{argv[0]}: cannot be run: {exc.strerror}") from exc
    outputs, usage, timed_out = _wait(process, timeout, max_output)
    return CommandResult(
        tuple(argv),
        process.returncode if process.returncode >= 0 else 128 - process.returncode,
        bytes(outputs[0].data),
        bytes(outputs[1].data),
        time.monotonic() - began,
        usage.ru_utime + usage.ru_stime,
        usage.ru_maxrss * _RSS_UNIT,
        timed_out,
        any(output.dropped for output in outputs),
    )


def _check(argv: Sequence[str], cwd: str) -> None:
    if (
        isinstance(argv, str | bytes)
        or not argv
        or not all(isinstance(word, str) and "\0" not in word for word in argv)
    ):
        raise BadInput("a command is a list of words, not one text", hint='write ["make", "-C", "core"]')
    if not os.path.isdir(cwd):
        raise BadInput(f"{cwd}: the working folder of {argv[0]} is no folder")


def _limit(max_memory: int) -> Any:
    def apply() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (max_memory, max_memory))

    return apply


def _wait(
    process: subprocess.Popen[bytes], timeout: float, limit: int
) -> tuple[tuple[_Output, _Output], resource.struct_rusage, bool]:
    assert process.stdout is not None and process.stderr is not None  # noqa: S101 - PIPE was asked for
    outputs = (_Output(limit), _Output(limit))
    pipes = (process.stdout, process.stderr)
    threads = [threading.Thread(target=o.drain, args=(p,), daemon=True) for o, p in zip(outputs, pipes, strict=True)]
    reaper = _Reaper(process)
    for thread in (*threads, reaper):
        thread.start()
    _running.add(process.pid)
    try:
        reaper.join(timeout)
        timed_out = reaper.is_alive()
    finally:
        _kill_group(process.pid)
        _running.discard(process.pid)
        reaper.join()
        for thread in threads:
            thread.join(5)
        for pipe in pipes:
            pipe.close()
    return outputs, reaper.usage, timed_out


class _Reaper(threading.Thread):
    """Waits for one program with wait4, which alone tells its own CPU time and peak memory."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        super().__init__(daemon=True)
        self._process = process
        self.usage = resource.getrusage(resource.RUSAGE_SELF)

    def run(self) -> None:
        _, status, self.usage = os.wait4(self._process.pid, 0)
        self._process.returncode = os.waitstatus_to_exitcode(status)


_running: set[int] = set()
"""Groups of programs that threads wait for; such a thread may never come to its own end."""


@atexit.register
def _kill_all() -> None:
    for pid in tuple(_running):
        _kill_group(pid)


def _kill_group(pid: int) -> None:
    """Kill what is left of the process group: a program must not outlive its step."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
