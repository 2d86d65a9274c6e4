"""Reads files of a workspace so that what is hashed is what was there: unchanged, regular, behind no link, no hang.

sign, mode = look(path)
size, sign, mode = read_small(path, sign, buffer)
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat as modes
import struct
from collections.abc import Callable

from casstore.errors import StorageUnavailable, UnsupportedInput
from casstore.machine.unlinked import open_unlinked
from casstore.objects.tree import show

SIGNATURE = struct.Struct(">QqqQ")
"""size, mtime_ns, ctime_ns, inode: a file is unchanged while these are."""

_PACK = SIGNATURE.pack
_INODE = 0xFFFFFFFFFFFFFFFF
_FLAGS = os.O_RDONLY | os.O_NONBLOCK
_TRIES = 3


def signature(stat: os.stat_result) -> bytes:
    """32 bytes that change when the file does."""
    return _PACK(stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino & _INODE)


def size_of(sign: bytes) -> int:
    """The size in a signature."""
    return int.from_bytes(sign[:8], "big")


def read_small(path: bytes, sign: bytes, into: memoryview) -> tuple[int, bytes, int | None]:
    """(size, signature, mode where the file differs from `sign`) of a file that is read into this buffer.

    The buffer is larger than the file. Raises Grown when it is not any more; UnsupportedInput
    when the file keeps changing, is no regular file or cannot be read.
    """
    mode: int | None = None
    for _ in range(_TRIES):
        size = int.from_bytes(sign[:8], "big")
        fd = _open(path)
        try:
            done = os.readv(fd, (into[: size + 1],))
            while done < size and (more := os.readv(fd, (into[done : size + 1],))):
                done += more
            after = os.fstat(fd)
        except OSError as exc:
            raise _unreadable(path, exc) from exc
        finally:
            os.close(fd)
        found = _PACK(after.st_size, after.st_mtime_ns, after.st_ctime_ns, after.st_ino & _INODE)
        if found == sign and done == size:
            return size, sign, mode
        _check_regular(path, after.st_mode)
        sign, mode = found, after.st_mode
        if after.st_size >= len(into):
            raise Grown(sign, mode)
    raise changing(path)


class Grown(Exception):
    """A small file has become larger than the buffer since it was listed."""

    def __init__(self, sign: bytes, mode: int) -> None:
        super().__init__()
        self.sign = sign
        self.mode = mode


def read_large(path: bytes, sign: bytes, frame: Callable[[memoryview], None], buffer: memoryview) -> tuple[bytes, bool]:
    """(raw digest, whether the file is what `sign` says) of a file given to `frame` piece by piece."""
    hasher = hashlib.sha256()
    total = 0
    fd = _open(path)
    try:
        while size := _fill(fd, buffer):
            part = buffer[:size]
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


def _fill(fd: int, buffer: memoryview) -> int:
    """Read until the buffer is full or the file ends."""
    done = 0
    while done < len(buffer) and (size := os.readv(fd, (buffer[done:],))):
        done += size
    return done


def _open(path: bytes) -> int:
    try:
        return open_unlinked(path, _FLAGS)
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
    if exc.errno in (errno.ELOOP, errno.ENOTDIR, errno.ENXIO):
        return UnsupportedInput(
            f"{show(path)}: is no regular file any more, or a folder above it became a link while it was read"
        )
    return UnsupportedInput(f"{show(path)}: cannot be read: {exc.strerror}", hint="make it readable or exclude it")
