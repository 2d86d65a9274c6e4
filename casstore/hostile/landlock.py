"""No file is opened, no port bound or reached: Landlock, on any machine whose Linux has it.

landlock.close()       # for good; False where the kernel does not have it

Source: https://www.kernel.org/doc/html/latest/userspace-api/landlock.html
"""

from __future__ import annotations

import ctypes
import struct
import sys

_CREATE, _RESTRICT = 444, 446
_ASK_VERSION = 1
_NO_NEW_PRIVILEGES = 38
_FILES = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1, 5: (1 << 16) - 1}
"""Version -> every right over files that it knows."""
_PORTS, _OUTSIDE = 0b11, 0b11
"""Bind and connect (version 4); abstract sockets and signals of others (version 6)."""


def version() -> int:
    """Of the kernel's; 0 where it has none."""
    if sys.platform != "linux":
        return 0
    found: int = ctypes.CDLL(None, use_errno=True).syscall(_CREATE, None, ctypes.c_size_t(0), _ASK_VERSION)
    return max(found, 0)


def close() -> bool:
    """Nothing is opened from now on, for good; whether the kernel took it."""
    known = version()
    if not known:
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    rights = [_FILES[min(known, max(_FILES))]]
    rights += [_PORTS] if known >= 4 else []
    rights += [_OUTSIDE] if known >= 6 else []
    asked = struct.pack(f"{len(rights)}Q", *rights)
    rules = libc.syscall(_CREATE, asked, ctypes.c_size_t(len(asked)), 0)
    if rules < 0:
        return False
    taken: int = libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) or libc.syscall(_RESTRICT, rules, 0)
    return taken == 0
