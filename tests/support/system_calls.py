"""Runs a command under strace: first to see which calls change a folder, then with one of them made to fail.

The n-th call of a name is counted for each process and thread on its own, as strace does it, so one
fault may strike in several workers of a put; each strike is counted.

    calls = changing_calls(argv, folder)
    for fault in faults_of(calls):
        struck = strike(argv, fault)            # Struck(code, out, err, strikes)
"""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import pytest

NAMES = (
    "openat,open,creat,write,pwrite64,writev,pwritev,fsync,fdatasync,rename,renameat,renameat2,link,linkat,mkdir,"
    "mkdirat,ftruncate,truncate,fallocate,msync,unlink,unlinkat,rmdir,symlink,symlinkat,fchmod,fchmodat,chmod,utimensat"
)
_LINE = re.compile(r"^(\d+) +(\w+)\((.*)$")
KILLED = -9
DEEP = os.environ.get("CASSTORE_PROFILE") == "deep"
"""All faults, and not only a sample of them."""
SEED = int(os.environ.get("CASSTORE_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
"""What the samples are drawn by; told beside every failure."""


@dataclass(frozen=True, slots=True)
class Call:
    """One kind of changing call: the `number`-th of this name in its process or thread."""

    name: str
    number: int
    about: str


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens at a call: `error=EIO`, `error=ENOSPC` or `signal=KILL`; `stays` = at all later ones too."""

    call: Call
    how: str
    stays: bool = False

    def __str__(self) -> str:
        return (
            f"{self.how} at {self.call.name} no. {self.call.number}{' and all later' * self.stays}: {self.call.about}"
        )


@dataclass(frozen=True, slots=True)
class Struck:
    """How a run under a fault ended; `strikes` = how often the fault really struck."""

    code: int
    out: str
    err: str
    strikes: int

    @property
    def is_told(self) -> bool:
        """Whether an error is one of ours; a program whose own modules cannot be read may say it as it likes."""
        return "unexpected" not in self.err or "ImportError" in self.err


def tell(text: str) -> None:
    """A line that stands beside a failure, and with `pytest -s` always."""
    sys.stdout.write(f"{text}\n")


def need_strace() -> None:
    """Skips the test where there is no strace, or where it may trace nobody."""
    if shutil.which("strace") is None:
        pytest.skip("no strace is installed: apt-get install strace")
    if subprocess.run(["strace", "-qq", "-o", os.devnull, "true"], capture_output=True).returncode:
        pytest.skip("strace may not trace a process on this machine")


def changing_calls(argv: Sequence[str], folder: str, **options: object) -> list[Call]:
    """The calls of a whole run that change something below `folder`, one for each name and number."""
    lines = trace(argv, **options)
    counts: dict[tuple[str, str], int] = {}
    found: dict[tuple[str, int], Call] = {}
    for line in lines:
        if (match := _LINE.match(line)) is None or "resumed>" in line:
            continue
        process, name, rest = match.groups()
        number = counts[process, name] = counts.get((process, name), 0) + 1
        if folder in rest and not (name.startswith("open") and "O_CREAT" not in rest):
            found.setdefault((name, number), Call(name, number, rest.replace(folder, "")[:90]))
    return list(found.values())


def trace(argv: Sequence[str], names: str = NAMES, **options: object) -> list[str]:
    """The lines of a run that ends well; file descriptors are followed by `<path>`."""
    done, lines = _traced(argv, ["-e", f"trace={names}"], **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return lines


def strike(argv: Sequence[str], fault: Fault, **options: object) -> Struck:
    """Run with this fault."""
    when = f"{fault.call.number}{'+' * fault.stays}"
    done, lines = _traced(
        argv, ["-e", f"trace={fault.call.name}", "-e", f"inject={fault.call.name}:{fault.how}:when={when}"], **options
    )
    strikes = sum("(INJECTED)" in line or "killed by SIGKILL" in line for line in lines)
    return Struck(done.returncode, done.stdout, done.stderr, strikes)


def faults_of(calls: Iterable[Call]) -> list[Fault]:
    """Every fault at every call; a full disk stays full."""
    return [
        Fault(call, how, stays)
        for call in calls
        for how, stays in (("error=EIO", False), ("error=ENOSPC", True), ("signal=KILL", False))
    ]


def _traced(
    argv: Sequence[str], how: Sequence[str], *, cwd: str | None = None, env: Mapping[str, str] | None = None
) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("COV_")}
    # unbuffered: what is said is written when it is said, and never tried again on a null device that is full, too
    ours = {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "0", "PYTHONUNBUFFERED": "1"}
    environment = {**clean, **ours, **(env or {})}
    with tempfile.TemporaryDirectory(prefix="trace-") as place:
        trace = os.path.join(place, "trace")
        fast = [] if "signal=" in how[-1] else ["--seccomp-bpf"]  # with it strace 6.1 sends no signal
        command = ["strace", "-f", "-qq", "-y", *fast, "-s", "40", "-o", trace, *how, *argv]
        done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=120)
        with open(trace, errors="replace") as file:
            return done, file.read().splitlines()
