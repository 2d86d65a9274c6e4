"""Opens a file or folder by a path in which nothing may be a link, also not a folder that was swapped for one just now.

By openat2 (Linux 5.6) with one call; elsewhere step by step below descriptors, which costs a call a folder. The path is
absolute and has been resolved once (`os.path.realpath`). Leaves to others: what was opened.

    fd = open_unlinked(b"/home/ci/build/lib/a.so", os.O_RDONLY)      # or OSError: ELOOP, ENOTDIR at a link
"""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from functools import cache

_OPENAT2 = 437
_AT_CWD = -100
_NO_LINKS = 0x04
"""RESOLVE_NO_SYMLINKS: at no place of the path."""
_FOLDER = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class _How(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


def open_unlinked(path: bytes, flags: int) -> int:
    """A descriptor for an existing file. Raises OSError: ELOOP or ENOTDIR where a link is in the path."""
    flags |= os.O_NOFOLLOW | os.O_CLOEXEC
    call = _openat2()
    if call is None:
        return _step_by_step(path, flags)
    how = _How(flags, 0, _NO_LINKS)
    fd: int
    while (fd := call(_OPENAT2, _AT_CWD, path, ctypes.byref(how), ctypes.sizeof(how))) < 0:
        if (number := ctypes.get_errno()) != errno.EINTR:
            raise OSError(number, os.strerror(number), path)
    return fd


@cache
def _openat2() -> ctypes._FuncPointer | None:
    """The system's call; None where there is none, or something keeps us from it."""
    if not sys.platform.startswith("linux"):
        return None
    call = ctypes.CDLL(None, use_errno=True).syscall
    call.argtypes = (ctypes.c_long, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_size_t)
    call.restype = ctypes.c_long
    how = _How(_FOLDER, 0, _NO_LINKS)
    fd = call(_OPENAT2, _AT_CWD, b"/", ctypes.byref(how), ctypes.sizeof(how))
    if fd < 0:
        return None
    os.close(fd)
    return call


def _step_by_step(path: bytes, flags: int) -> int:
    *folders, name = [part for part in path.split(b"/") if part] or [b"."]
    at = os.open(b"/", _FOLDER)
    try:
        for folder in folders:
            below = _below(folder, _FOLDER, at, path)
            os.close(at)
            at = below
        return _below(name, flags, at, path)
    finally:
        os.close(at)


def _below(name: bytes, flags: int, folder: int, path: bytes) -> int:
    try:
        return os.open(name, flags, dir_fd=folder)
    except OSError as exc:
        raise OSError(exc.errno, exc.strerror, path) from exc
