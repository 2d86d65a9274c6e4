"""The one way to run another program: builds, gates, hooks.

Promises: an argument list, never a shell; a checked working folder; an environment built from an
allowlist; no standard input but what is `given`; its own process group, killed whole at its end, on time-out and on
Ctrl-C; of too much output the beginning and the end are kept and all of it is counted; time, CPU
and memory measured; without `network`, none, where the system lets us (`seclusion`), and what came
of it is in the result; with `alone`, no process but its own, and none that outlives it, likewise. Leaves
to others: what an exit code means. Where nothing is to be had, a program that starts a session of its
own leaves the group and is not followed; the result says so.

    result = run(["make", "-C", "core"], cwd="src", timeout=600, network=False)
    result.exit_code, result.stdout, result.network
"""

from __future__ import annotations

import atexit
import contextlib
import enum
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field
from functools import partial
from typing import IO, Any

from attest.core.values import dataclass
from attest.errors import BadInput
from casstore.errors import NoSuchObject
from casstore.machine import seclusion, views
from casstore.machine.views import View

ENVIRONMENT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ", "SOURCE_DATE_EPOCH")
"""What a program sees of our environment unless more is allowed by name."""

MAX_OUTPUT = 1024 * 1024
TIMEOUT = 3600.0
_READ = 65536
_LAST_WORDS = 2.0
"""Seconds that a pipe may stay open after the program's end: something else must hold it."""
_RSS_UNIT = 1 if sys.platform == "darwin" else 1024


class NetworkUse(enum.StrEnum):
    """What of the network a program could reach."""

    NONE = "none"
    """Nothing but a loopback of its own."""
    ALLOWED = "allowed"
    """All that this machine reaches."""
    UNENFORCED = "unenforced"
    """The same, though it was not to: this system lets us take nothing away."""


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
    """Whether output was left out; a line in its middle says how much."""
    output_bytes: tuple[int, int] = (0, 0)
    """How much it wrote to standard output and standard error."""
    network: NetworkUse = NetworkUse.ALLOWED
    alone: bool = False
    """Whether it saw no process but its own, and none of them outlived it."""
    secluded: bool = False
    """Whether it saw nothing of the file system but its view."""

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
            "network": str(self.network),
            "alone": self.alone,
        }


@dataclass
class _Output:
    """Reads one pipe to its end; keeps the first and the last half of what it may keep."""

    limit: int
    head: bytearray = field(default_factory=bytearray)
    tail: bytearray = field(default_factory=bytearray)
    count: int = 0
    given_up: bool = False

    def drain(self, pipe: IO[bytes]) -> None:
        """The only owner of the pipe: nobody else closes it while a read may wait on its number."""
        half = self.limit // 2
        with pipe:
            while not self.given_up and (piece := os.read(pipe.fileno(), _READ)):
                room = self.limit - half - len(self.head)
                self.head += piece[:room]
                self.tail += piece[room:]
                del self.tail[: max(0, len(self.tail) - half)]
                self.count += len(piece)

    @property
    def dropped(self) -> int:
        return self.count - len(self.head) - len(self.tail)

    @property
    def kept(self) -> bytes:
        note = b"\n[%d bytes left out]\n" % self.dropped if self.dropped else b""
        return bytes(self.head + note + self.tail)


def run(
    argv: Sequence[str],
    *,
    cwd: str,
    env_allow: Sequence[str] = ENVIRONMENT,
    env: Mapping[str, str] | None = None,
    timeout: float = TIMEOUT,
    max_output: int = MAX_OUTPUT,
    max_memory: int | None = None,
    network: bool = True,
    alone: bool = False,
    view: View | None = None,
    given: bytes = b"",
) -> CommandResult:
    """Run a program to its end. Raises BadInput for a bad call, NoSuchObject for a missing program.

    `env` adds variables; `timeout` is in seconds, `max_output` in bytes for each of the two outputs;
    `max_memory` limits the address space of each process, in bytes; with `network=False` it reaches
    no other machine, with `alone` no other process, with `view` and `alone` no other file, where the system can
    do that; `given` is its standard input. A non-zero exit code is a result, not an error.
    """
    _check(argv, cwd, timeout)
    variables = {name: os.environ[name] for name in env_allow if name in os.environ} | dict(env or {})
    began = time.monotonic()
    with _input(given) as source:
        asked = _Asked(network, alone, view)
        process, reached, was_alone, secluded = _start(list(argv), cwd, variables, _limit(max_memory), asked, source)
    outputs, usage, timed_out = _wait(process, timeout, max_output)
    return CommandResult(
        tuple(argv),
        process.returncode if process.returncode >= 0 else 128 - process.returncode,
        outputs[0].kept,
        outputs[1].kept,
        time.monotonic() - began,
        usage.ru_utime + usage.ru_stime,
        usage.ru_maxrss * _RSS_UNIT,
        timed_out,
        any(output.dropped for output in outputs),
        (outputs[0].count, outputs[1].count),
        reached,
        was_alone,
        secluded,
    )


@dataclass(frozen=True, slots=True)
class _Asked:
    network: bool
    alone: bool
    view: View | None


_Preparation = Callable[[], None] | None


def _start(
    argv: list[str],
    cwd: str,
    variables: Mapping[str, str],
    limit: _Preparation,
    asked: _Asked,
    source: int,
) -> tuple[subprocess.Popen[bytes], NetworkUse, bool, bool]:
    reached = NetworkUse.ALLOWED if asked.network else NetworkUse.NONE
    open_ = reached if asked.network else NetworkUse.UNENFORCED
    for way in _ways(asked) if seclusion.supported() else ():
        with contextlib.suppress(subprocess.SubprocessError):  # it failed before the program began
            started = _popen(argv, cwd, variables, _both(way.enter, limit), source)
            return started, reached if way.apart else open_, way.alone, way.secluded
    return _popen(argv, cwd, variables, limit, source), open_, False, False


@dataclass(frozen=True, slots=True)
class _Way:
    """What a program is kept from, and how."""

    enter: Callable[[], None]
    apart: bool = True
    """From the network, where it may not reach it."""
    alone: bool = False
    secluded: bool = False


def _ways(asked: _Asked) -> Iterator[_Way]:
    """What is tried, the most first."""
    view = asked.view if asked.alone else None
    away = partial(seclusion.enter, network=asked.network)
    confine = partial(views.confine, view) if view is not None else None
    if view is not None:
        yield _Way(partial(away, alone=True, view=view), alone=True, secluded=True)
        yield _Way(_both(partial(away, alone=True), confine), alone=True, secluded=True)
    if asked.alone:
        yield _Way(partial(away, alone=True), alone=True)
    if not asked.network:
        if confine is not None:
            yield _Way(_both(away, confine), secluded=True)
        yield _Way(away)
    if confine is not None:
        yield _Way(confine, apart=False, secluded=True)


@contextlib.contextmanager
def _input(given: bytes) -> Iterator[int]:
    """A file, not a pipe: nobody has to wait until a program has read."""
    if not given:
        yield subprocess.DEVNULL
        return
    with tempfile.TemporaryFile(prefix="casstore-input-") as file:
        file.write(given)
        file.seek(0)
        yield file.fileno()


def _popen(
    argv: list[str], cwd: str, variables: Mapping[str, str], prepare: _Preparation, source: int
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(  # noqa: S603 - an argument list, checked by `run`
            argv,
            cwd=cwd,
            env=variables,
            stdin=source,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            preexec_fn=prepare,
        )
    except FileNotFoundError as exc:
        raise NoSuchObject(f"{argv[0]}: no such program", hint="install it, or name it by its full path") from exc
    except OSError as exc:
        raise BadInput(f"{argv[0]}: cannot be run: {exc.strerror}", hint="is it a program of this machine?") from exc


def _both(first: Callable[[], None], second: _Preparation) -> Callable[[], None]:
    def apply() -> None:
        first()
        if second:
            second()

    return apply


def _check(argv: Sequence[str], cwd: str, timeout: float) -> None:
    if (
        isinstance(argv, str | bytes)
        or not argv
        or not all(isinstance(word, str) and "\0" not in word for word in argv)
    ):
        raise BadInput("a command is a list of words, not one text", hint='write ["make", "-C", "core"]')
    if not os.path.isdir(cwd):
        raise BadInput(f"{cwd}: the working folder of {argv[0]} is no folder")
    if not timeout > 0:
        raise BadInput(f"{argv[0]}: a time limit of {timeout:g} s leaves no time to run")


def _limit(max_memory: int | None) -> _Preparation:
    if not max_memory:
        return None
    import resource

    def apply() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (max_memory, max_memory))

    return apply


def _wait(process: subprocess.Popen[bytes], timeout: float, limit: int) -> tuple[tuple[_Output, _Output], Any, bool]:
    assert process.stdout is not None and process.stderr is not None  # noqa: S101 - PIPE was asked for
    reaper = _Reaper(process)
    _running.add(reaper)
    outputs = (_Output(limit), _Output(limit))
    pipes = (process.stdout, process.stderr)
    threads = [threading.Thread(target=o.drain, args=(p,), daemon=True) for o, p in zip(outputs, pipes, strict=True)]
    try:
        for thread in (*threads, reaper):
            thread.start()
        reaper.join(min(timeout, threading.TIMEOUT_MAX))
        timed_out = reaper.is_alive()
    finally:
        reaper.kill()
        if reaper.is_alive():
            reaper.join()
        _running.discard(reaper)
    until = time.monotonic() + _LAST_WORDS
    for thread, output in zip(threads, outputs, strict=True):
        thread.join(max(0.0, until - time.monotonic()))
        output.given_up = True
    return outputs, reaper.usage, timed_out


class _Reaper(threading.Thread):
    """Waits for one program with wait4, which alone tells its own CPU time and peak memory.

    The group is killed before its leader is reaped: until then nobody else can have its number.
    """

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        super().__init__(daemon=True)
        self._process = process
        self._gone = False
        self._lock = threading.Lock()
        self.usage: Any = None

    def run(self) -> None:
        """Wait, kill what the program left behind, reap."""
        if hasattr(os, "waitid"):
            os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)
            with self._lock:
                _kill_group(self._process.pid)
                self._reap()
        else:  # macOS before Python 3.13
            self._reap()
            _kill_group(self._process.pid)

    def kill(self) -> None:
        """Kill the whole group, unless it is gone."""
        with self._lock:
            if not self._gone:
                _kill_group(self._process.pid)

    def _reap(self) -> None:
        _, status, self.usage = os.wait4(self._process.pid, 0)
        self._gone = True
        self._process.returncode = os.waitstatus_to_exitcode(status)


_running: set[_Reaper] = set()
"""Programs that threads wait for; such a thread may never come to its own end."""


@atexit.register
def _kill_all() -> None:
    for reaper in tuple(_running):
        reaper.kill()


def _kill_group(pid: int) -> None:
    """A program must not outlive its step, nor may what it started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
