"""The facts of this machine that figures depend on, as far as the system tells them; no name and no address of it.

here(cores=2).cpu        # "AMD EPYC 7763 64-Core Processor"
"""

from __future__ import annotations

import os
import platform
import re
from contextlib import suppress

from attest.statements.predicates.baseline import Machine

_CPU = re.compile(r"^(?:model name|Model|cpu model|uarch)\s*:\s*(.+)$", re.MULTILINE)
_INFO = "/proc/cpuinfo"
_GOVERNOR = "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"
_LONGEST = 1 << 16


def here() -> Machine:
    """This machine."""
    return Machine(
        cpu=_cpu(),
        architecture=platform.machine(),
        system=f"{platform.system()} {platform.release()}",
        cores=_cores(),
        memory=_memory(),
        governor=_read(_GOVERNOR).strip(),
    )


def _cpu() -> str:
    found = _CPU.search(_read(_INFO))
    return " ".join(found[1].split()) if found else platform.processor()


def _cores() -> int:
    """Those that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _memory() -> int:
    with suppress(OSError, ValueError, AttributeError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return 0


def _read(path: str) -> str:
    with suppress(OSError), open(path, encoding="utf-8", errors="replace") as file:
        return file.read(_LONGEST)
    return ""
