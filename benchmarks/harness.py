"""Times whole processes in alternating rounds (A B A B ...), by the kernel's own accounting.

rounds = alternate({"casstore": [...], "cp -a": [...]}, rounds=3, before=fresh)
print(table(rounds, against="casstore"))
"""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timing:
    """One run: seconds of wall and of CPU (all children), peak memory in MiB."""

    wall: float
    cpu: float
    peak: float


def run(command: str, *, cwd: str, env: Mapping[str, str] | None = None) -> Timing:
    """A shell command, run once; raises RuntimeError when it fails."""
    began = time.perf_counter()
    process = subprocess.Popen(
        ["bash", "-c", f"set -euo pipefail; {command}"],
        cwd=cwd,
        env={**os.environ, **(env or {})},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    assert process.stderr is not None
    told = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"exit code {process.returncode}: {command}\n{told[-800:].decode(errors='replace')}")
    return Timing(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def alternate(
    commands: Mapping[str, Callable[[], Timing]], *, rounds: int, before: Callable[[], None] = lambda: None
) -> dict[str, list[Timing]]:
    """Each command once per round, in turn; `before` runs before each, untimed."""
    found: dict[str, list[Timing]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            before()
            found[name].append(command())
    return found


def table(found: Mapping[str, Sequence[Timing]], *, against: str) -> str:
    """Markdown rows: medians, spread, and how many times the first one's wall and CPU each takes."""
    base = found[against]
    lines = ["| what | wall s (min - max) | CPU s | peak MiB | wall ratio | CPU ratio |", "|---|---|---|---|---|---|"]
    for name, timings in found.items():
        walls, cpus = [t.wall for t in timings], [t.cpu for t in timings]
        wall_ratio = statistics.median(t.wall / b.wall for t, b in zip(timings, base, strict=True))
        cpu_ratio = statistics.median(t.cpu / b.cpu for t, b in zip(timings, base, strict=True))
        lines.append(
            f"| {name} | {statistics.median(walls):.2f} ({min(walls):.2f} - {max(walls):.2f})"
            f" | {statistics.median(cpus):.2f} | {max(t.peak for t in timings):.0f}"
            f" | {wall_ratio:.2f} | {cpu_ratio:.2f} |"
        )
    return "\n".join(lines)


def machine() -> str:
    """One line on where this ran."""
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    python = sys.version.split()[0]
    return f"{os.cpu_count()} cores {platform.machine()}, Linux {platform.release()}, Python {python}, load {load}"


def version(command: Sequence[str]) -> str:
    """The first line of a tool's own version, or nothing where it is not installed."""
    try:
        told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return ""
    return told.strip().splitlines()[0]
