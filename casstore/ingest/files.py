"""Reads files of a workspace so that what is hashed is what was there: unchanged, regular, no hang.

stat = Stat.of(os.lstat(path))
data, stat, mode = read_small(path, stat)
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat as modes
import struct
from collections.abc import Callable

from casstore.errors import StorageUnavailable, UnsupportedInput
from casstore.objects.pack_format import FRAME
from casstore.objects.tree import show

SIGNATURE = struct.Struct(">QqqQ")
"""size, mtime_ns, ctime_ns, inode: a file is unchanged while these are."""

_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_TRIES = 3


class _Changed(Exception):
    pass


def signature(stat: os.stat_result) -> bytes:
    """32 bytes that change when the file does."""
    return SIGNATURE.pack(stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino & 0xFFFFFFFFFFFFFFFF)


def size_of(sign: bytes) -> int:
    """The size in a signature."""
    return int.from_bytes(sign[:8], "big")


def read_small(path: bytes, sign: bytes) -> tuple[bytes, bytes, int | None]:
    """(bytes, signature, mode where the file differs from `sign`) of a file of at most a frame.

    Raises UnsupportedInput when it keeps changing, is no regular file or cannot be read.
    """
    mode: int | None = None
    for _ in range(_TRIES):
        fd = _open(path)
        try:
            size = size_of(sign)
            data = os.read(fd, size + 1)
            while len(data) < size and (more := os.read(fd, size + 1 - len(data))):
                data += more
            after = os.fstat(fd)
        except OSError as exc:
            raise _unreadable(path, exc) from exc
        finally:
            os.close(fd)
        found = signature(after)
        if found == sign and len(data) == size:
            return data, sign, mode
        _check_regular(path, after.st_mode)
        sign, mode = found, after.st_mode
        if after.st_size > FRAME:
            raise Grown(sign, mode)
    raise changing(path)


class Grown(Exception):
    """A small file has become a large one since it was listed."""

    def __init__(self, sign: bytes, mode: int) -> None:
        super().__init__()
        self.sign = sign
        self.mode = mode


def read_large(path: bytes, sign: bytes, frame: Callable[[memoryview], None], buffer: bytearray) -> tuple[bytes, bool]:
    """(raw digest, whether the file is what `sign` says) of a file given to `frame` piece by piece."""
    hasher = hashlib.sha256()
    total = 0
    fd = _open(path)
    try:
        while size := _fill(fd, buffer):
            part = memoryview(buffer)[:size]
            hasher.update(part)
            frame(part)
            total += size
        after = os.fstat(fd)
    except OSError as exc:
        raise _unreadable(path, exc) from exc
    finally:
        os.close(fd)
    _check_regular(path, after.st_mode)
    return hasher.digest(), signature(after) == sign and total == size_of(sign)


def look(path: bytes) -> tuple[bytes, int]:
    """(signature, mode) of a regular file, now."""
    try:
        found = os.lstat(path)
    except OSError as exc:
        raise _unreadable(path, exc) from exc
    _check_regular(path, found.st_mode)
    return signature(found), found.st_mode


def changing(path: bytes) -> UnsupportedInput:
    """The refusal of a file that did not stand still."""
    return UnsupportedInput(f"{show(path)}: changes while it is read", hint="put it when nobody writes to it")


def _fill(fd: int, buffer: bytearray) -> int:
    """Read until the buffer is full or the file ends."""
    view, done = memoryview(buffer), 0
    while done < len(buffer) and (size := os.readv(fd, [view[done:]])):
        done += size
    return done


def _open(path: bytes) -> int:
    try:
        return os.open(path, _FLAGS)
    except OSError as exc:
        raise _unreadable(path, exc) from exc


def _check_regular(path: bytes, mode: int) -> None:
    if not modes.S_ISREG(mode):
        raise UnsupportedInput(f"{show(path)}: is {kind_of(mode)}, not a regular file")


def kind_of(mode: int) -> str:
    """What a file is, for people."""
    names = {
        modes.S_IFIFO: "a FIFO",
        modes.S_IFSOCK: "a socket",
        modes.S_IFCHR: "a character device",
        modes.S_IFBLK: "a block device",
        modes.S_IFLNK: "a link",
        modes.S_IFDIR: "a folder",
    }
    return names.get(modes.S_IFMT(mode), "something unknown")


def _unreadable(path: bytes, exc: OSError) -> UnsupportedInput | StorageUnavailable:
    if exc.errno in (errno.EIO, errno.ESTALE, errno.EMFILE, errno.ENFILE):
        return StorageUnavailable(f"{show(path)}: cannot be read: {exc.strerror}")
    if exc.errno == errno.ENOENT:
        return UnsupportedInput(f"{show(path)}: went away while the folder was read")
    if exc.errno in (errno.ELOOP, errno.ENXIO):
        return UnsupportedInput(f"{show(path)}: is no regular file any more")
    return UnsupportedInput(f"{show(path)}: cannot be read: {exc.strerror}", hint="make it readable or exclude it")
