"""No network for a program that we start: a network namespace of its own, where the system has them.

Promises: after `enter()` the process and all that it starts reach nothing but a loopback of their
own, which is up and empty; user and file rights stay as they are. Raises OSError where the system
does not let us (not Linux, namespaces forbidden): the caller then says so. Leaves to others: sockets
that are files (a path that the program may open is still open to it), and what root does with
devices. It runs between fork and exec, so it imports nothing and takes no lock.

    subprocess.Popen(argv, preexec_fn=seclusion.enter)
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from contextlib import suppress
from typing import Any

_NEWUSER, _NEWNET = 0x10000000, 0x40000000
_CAPBSET_DROP = 24
_SYS_ADMIN, _SYS_PTRACE = 21, 19
_INET, _DATAGRAM = 2, 2
_SET_FLAGS, _UP = 0x8914, 0x1
_libc: Any = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def supported() -> bool:
    """Whether this system has network namespaces at all; whether it lets us have one is seen by trying."""
    return _libc is not None


def enter() -> None:
    """Leave the network, for good. Raises OSError."""
    try:
        _unshare(_NEWNET)
    except PermissionError:
        _as_a_user()
    else:
        _give_up_the_way_back()
    with suppress(OSError):  # without its loopback the namespace is only emptier
        _loopback_up()


def _unshare(flags: int) -> None:
    if _libc.unshare(flags):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _as_a_user() -> None:
    """Without privileges: a user namespace in which this user is who he was."""
    user, group = os.geteuid(), os.getegid()
    _unshare(_NEWUSER | _NEWNET)
    for name, line in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
        file = os.open(f"/proc/self/{name}", os.O_WRONLY)
        try:
            os.write(file, line.encode())
        finally:
            os.close(file)


def _give_up_the_way_back() -> None:
    """Root could walk back into the namespace of another process; not without these two capabilities."""
    for capability in (_SYS_ADMIN, _SYS_PTRACE):
        if _libc.prctl(_CAPBSET_DROP, capability, 0, 0, 0):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))


def _loopback_up() -> None:
    handle = _libc.socket(_INET, _DATAGRAM, 0)
    if handle < 0:
        raise OSError(ctypes.get_errno(), "no socket")
    try:
        request = struct.pack("16sH22x", b"lo", _UP)
        if _libc.ioctl(handle, ctypes.c_ulong(_SET_FLAGS), request):
            raise OSError(ctypes.get_errno(), "the loopback stays down")
    finally:
        os.close(handle)
