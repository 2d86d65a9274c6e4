"""What a program sees of the file system: a root of its own, made of places, where the system has mounts.

Promises: after `enter` the process and all that it starts find nothing but the places, at their usual paths, and write
to nothing but those that are writable; after `confine`, which needs no mounts, they open nothing else. The folder of
the root is made by `prepared`, before the fork. Raises OSError where the system does not let us. Both run between fork
and exec, the first in a mount namespace of its own (`seclusion`), so they import nothing and take no lock.

    with prepared([Place("/usr"), Place("/src/out", writable=True)], cwd="/src/out") as view:
        runner.run(argv, cwd="/src/out", alone=True, view=view)
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from attest.core.values import dataclass

SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc", "/opt", "/nix", "/proc")
"""What every program is shown of the machine, read only: its tools and libraries, and its own processes."""
_DEVICES = tuple(f"/dev/{name}" for name in ("null", "zero", "full", "random", "urandom", "tty"))
_LINKS = tuple(f"/dev/{name}" for name in ("fd", "stdin", "stdout", "stderr"))
_WRITABLE = (*_DEVICES, "/proc")
"""They have rights of their own."""
_BIND, _REC, _DETACH = 0x1000, 0x4000, 2
_SETATTR, _HERE, _RECURSIVE, _READ_ONLY = 442, -100, 0x8000, 1
_PIVOT = {"x86_64": 155, "aarch64": 41, "riscv64": 41, "ppc64le": 203, "s390x": 217}
_CREATE, _ADD, _RESTRICT, _ASK_VERSION, _NO_NEW_PRIVILEGES = 444, 445, 446, 1, 38
_TRUNCATES, _KNOWS_DEVICES = 3, 5
"""Versions of Landlock: one that keeps files from being cut off, one that knows what devices are asked."""
_EVERY, _DEVICES_TOO = (1 << 15) - 1, (1 << 16) - 1
_READ = 0b1101
"""Run, read a file, list a folder."""
_OF_FILES = 0b111 | 1 << 14 | 1 << 15
_libc: Any = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


@dataclass(frozen=True, slots=True)
class Place:
    """A file or folder that is shown."""

    path: str
    writable: bool = False
    source: str = ""
    """What lies there instead; by default the place itself."""


@dataclass(frozen=True, slots=True)
class View:
    """A root that is ready to be entered."""

    root: bytes
    places: tuple[tuple[bytes, bytes, bool], ...]
    """Source, where it is mounted, whether writable; in this order."""
    cwd: bytes
    shown: tuple[str, ...]

    def shows(self, path: str) -> bool:
        """Whether a path is in one of the places."""
        return any(path == place or path.startswith(f"{place}/") for place in self.shown)


@contextmanager
def prepared(places: Sequence[Place], *, cwd: str) -> Iterator[View]:
    """A view of these places and of the system; its folder goes away in the end. Raises OSError."""
    with tempfile.TemporaryDirectory(prefix="casstore-view-", ignore_cleanup_errors=True) as root:
        rows: list[tuple[bytes, bytes, bool]] = []
        named = (*SYSTEM, *_DEVICES, *_LINKS)
        system = [Place(path, path in _WRITABLE) for path in named if os.path.lexists(path)]
        for place in (*system, *sorted(places, key=lambda place: place.path)):
            there = root + place.path
            if os.path.islink(place.path) and not place.source:
                os.makedirs(os.path.dirname(there), exist_ok=True)
                os.symlink(os.readlink(place.path), there)
                continue
            _mount_point(place.source or place.path, _lies_at(root, place.path, places))
            rows.append((os.fsencode(place.source or place.path), os.fsencode(there), place.writable))
        shown = tuple(place.path for place in (*system, *places))
        yield View(os.fsencode(root), tuple(rows), os.fsencode(cwd), shown)


def _lies_at(root: str, path: str, places: Sequence[Place]) -> str:
    """Where a place's mount point must be made: in the folder that is shown above it, where that is another one."""
    above = [one for one in places if one.source and path.startswith(f"{one.path}/")]
    if above:
        nearest = max(above, key=lambda one: len(one.path))
        return nearest.source + path[len(nearest.path) :]
    return root + path


def _mount_point(source: str, there: str) -> None:
    if os.path.lexists(there):
        return
    if os.path.isdir(source):
        os.makedirs(there, exist_ok=True)
        return
    os.makedirs(os.path.dirname(there), exist_ok=True)
    with open(there, "wb"):
        pass


def enter(view: View) -> None:
    """Leave the file system for the view, for good. Raises OSError."""
    pivot = _PIVOT.get(os.uname().machine)
    if _libc is None or pivot is None:
        raise OSError(0, "no mounts of its own on this system")
    _mount(view.root, view.root)
    for source, target, writable in view.places:
        _mount(source, target)
        if not writable:
            _read_only(target, _RECURSIVE)
    os.chdir(view.root)
    _check(_libc.syscall(pivot, b".", b"."))
    _check(_libc.umount2(b".", _DETACH))
    os.chdir(b"/")
    _read_only(b"/", 0)
    os.chdir(view.cwd)


def confine(view: View) -> None:
    """Where no mounts of its own are to be had: what is not in the view is there, and nothing of it can be opened.

    By Landlock, for good; what the program would have had at another place it has at its own. Raises OSError.
    Source: https://www.kernel.org/doc/html/latest/userspace-api/landlock.html
    """
    if _libc is None:
        raise OSError(0, "no Landlock on this system")
    version = _libc.syscall(_CREATE, None, ctypes.c_size_t(0), _ASK_VERSION)
    _check(0 if version >= _TRUNCATES else -1)
    every = _DEVICES_TOO if version >= _KNOWS_DEVICES else _EVERY
    rules = _libc.syscall(_CREATE, struct.pack("Q", every), ctypes.c_size_t(8), 0)
    _check(min(rules, 0))
    for source, _, writable in view.places:
        beneath = os.open(source, os.O_PATH | os.O_CLOEXEC)
        rights = every if writable else _READ
        if not os.path.isdir(source):
            rights &= _OF_FILES
        _check(_libc.syscall(_ADD, rules, 1, struct.pack("=Qi", rights, beneath), 0))
        os.close(beneath)
    _check(_libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0))
    _check(_libc.syscall(_RESTRICT, rules, 0))
    os.close(rules)


def _mount(source: bytes, target: bytes) -> None:
    _check(_libc.mount(source, target, None, _BIND | _REC, None))


def _read_only(target: bytes, flags: int) -> None:
    attributes = struct.pack("<QQQQ" if sys.byteorder == "little" else ">QQQQ", _READ_ONLY, 0, 0, 0)
    _check(_libc.syscall(_SETATTR, _HERE, target, flags, attributes, len(attributes)))


def _check(result: int) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
