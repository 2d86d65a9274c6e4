"""No network, and no processes but its own, for a program that we start: namespaces, where the system has them.

Promises: after `enter(network=False)` the process and all that it starts reach nothing but a loopback
of their own, which is up and empty. After `enter(alone=True)` they see and signal no process but their
own, and all of them end when the first one does, sessions of their own or not. User and file rights
stay as they are. Raises OSError where the system does not let us (not Linux, namespaces forbidden): the
caller then says so. Leaves to others: sockets that are files (a path that the program may open is
still open to it), and what root does with devices. It runs between fork and exec, so it imports
nothing and takes no lock.

    subprocess.Popen(argv, preexec_fn=lambda: seclusion.enter(network=False, alone=True))

`guard_memory()` is for ourselves: from then on no other process of this user can read this one's
memory or the environment that it was started with.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import sys
from contextlib import suppress
from typing import Any

from casstore.machine import views
from casstore.machine.views import View

_NEWUSER, _NEWNET, _NEWPID, _NEWNS = 0x10000000, 0x40000000, 0x20000000, 0x00020000
_SET_PDEATHSIG, _SET_DUMPABLE, _CAPBSET_DROP = 1, 4, 24
_SLAVES_ALL, _NO_SUID_DEV_EXEC = 0x84000, 0xE
_KILL, _SIGNALLED = 9, 128
_MODULE, _RAWIO, _PTRACE, _ADMIN, _PERFMON, _BPF, _RESTORE = 16, 17, 19, 21, 38, 39, 40
_WAYS_BACK = (_ADMIN, _PTRACE, _PERFMON, _BPF, _RESTORE, _MODULE, _RAWIO)
"""What reads the memory of others, enters their namespaces, or changes the kernel (linux/capability.h)."""
_INET, _DATAGRAM = 2, 2
_SET_FLAGS, _UP = 0x8914, 0x1
_libc: Any = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def supported() -> bool:
    """Whether this system has network namespaces at all; whether it lets us have one is seen by trying."""
    return _libc is not None


def guard_memory() -> None:
    """Nothing else of this user reads this process from now on; without effect where the system has no such thing."""
    if _libc is not None:
        _libc.prctl(_SET_DUMPABLE, 0, 0, 0, 0)


def enter(*, network: bool = False, alone: bool = False, view: View | None = None) -> None:
    """Leave the network (unless it is allowed), the other processes, and with them what is not in the view, for good.

    Raises OSError.
    """
    flags = (0 if network else _NEWNET) | (_NEWPID | _NEWNS if alone else 0)
    try:
        _unshare(flags)
        as_root = True
    except PermissionError:
        _as_a_user(flags)
        as_root = False
    if not network:
        with suppress(OSError):  # without its loopback the namespace is only emptier
            _loopback_up()
    if alone:
        _fork_into_it()
    if view is not None:
        views.enter(view)
    if as_root:
        _give_up_the_way_back()


def _fork_into_it() -> None:
    """Returns in the program-to-be, whose parent is the first process of the new namespace; both wait and see.

    They are copies of whoever holds keys: nobody may read them.
    """
    guard_memory()
    if first := os.fork():
        _wait_and_end_as(first)
    _libc.prctl(_SET_PDEATHSIG, _KILL, 0, 0, 0)
    with suppress(OSError):  # then it sees the numbers of others, and reaches none
        _own_proc()
    if program := os.fork():
        _wait_and_end_as(program)


def _wait_and_end_as(child: int) -> None:
    """Hold nothing open, bury what is left behind, end as the child did: the kernel then kills the rest."""
    os.closerange(3, 1 << 20)
    while True:
        pid, status = os.wait()
        if pid == child:
            code = os.waitstatus_to_exitcode(status)
            os._exit(code if code >= 0 else _SIGNALLED - code)


def _own_proc() -> None:
    for arguments in ((b"none", b"/", None, _SLAVES_ALL), (b"proc", b"/proc", b"proc", _NO_SUID_DEV_EXEC)):
        if _libc.mount(*arguments, None):
            raise OSError(ctypes.get_errno(), "no /proc of its own")


def _unshare(flags: int) -> None:
    if _libc.unshare(flags):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _as_a_user(flags: int) -> None:
    """Without privileges: a user namespace in which this user is who he was."""
    user, group = os.geteuid(), os.getegid()
    _libc.prctl(_SET_DUMPABLE, 1, 0, 0, 0)  # else the files below are root's; `_fork_into_it` closes it again
    _unshare(_NEWUSER | flags)
    for name, line in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
        file = os.open(f"/proc/self/{name}", os.O_WRONLY)
        try:
            os.write(file, line.encode())
        finally:
            os.close(file)


def _give_up_the_way_back() -> None:
    """Root could walk back into the namespace of another process, or read its memory: not without these."""
    for capability in _WAYS_BACK:
        if _libc.prctl(_CAPBSET_DROP, capability, 0, 0, 0) and (number := ctypes.get_errno()) != errno.EINVAL:
            raise OSError(number, os.strerror(number))  # EINVAL: an older kernel that does not know it


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
