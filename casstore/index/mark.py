"""How an index's data file looked when it was last closed, so that what happened to it since is noticed.

Mark.judge("/store/index/g-0a")         # SAME, DOUBTFUL or HARMED
mark = Mark("/store/index/g-0a")        # while it is in use
mark.note(); mark.close()
"""

from __future__ import annotations

import contextlib
import os
from zlib import adler32

from casstore.machine import locks

SAME, DOUBTFUL, HARMED = "same", "doubtful", "harmed"
_LOOK = 80
_SUMMED = 16 * 1024 * 1024
"""Files up to this size are summed up: some 8 ms."""


class Mark:
    """Remembers how the data file looked after our last commit, and whether someone died while using it.

    Of a file that is not large it keeps a sum too, from a clean end to the next beginning: a bit
    that flips on the disk changes no time, and LMDB would believe it.
    """

    def __init__(self, path: str) -> None:
        self._data = os.path.join(path, "data.mdb")
        self._file = os.open(os.path.join(path, "mark"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        self._lock(shared=True)
        self._before = os.pread(self._file, 200, 0)

    @staticmethod
    def judge(path: str) -> str:
        """SAME as at the last clean end, or in use; DOUBTFUL: walk it first; HARMED: bytes are not what was written."""
        data = os.path.join(path, "data.mdb")
        try:
            fd = os.open(os.path.join(path, "mark"), os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return DOUBTFUL
        try:
            mark = os.pread(fd, 200, 0)
            clean, summed = mark[:_LOOK].rstrip().endswith(b"clean"), mark[_LOOK:]
            if clean and summed:
                return SAME if summed == _sum(data) else HARMED
            if mark == _look(data, clean=True):
                return SAME
            locks.take(fd, wait=False)
            return DOUBTFUL
        except BlockingIOError:
            return SAME  # others have it open right now and live
        except OSError:
            return DOUBTFUL  # a file system without locks does not say whether they do
        finally:
            os.close(fd)

    def note(self) -> None:
        """Write down how the file looks while it is in use."""
        with contextlib.suppress(OSError):
            os.pwrite(self._file, _look(self._data, clean=False), 0)

    def close(self) -> None:
        """Closed cleanly, when no other process has it open."""
        with contextlib.suppress(OSError):
            if self._lock(wait=False):
                look = _look(self._data, clean=True)
                unchanged = self._before[:_LOOK] == look and len(self._before) > _LOOK
                mark = self._before if unchanged else look + _sum(self._data)
                os.pwrite(self._file, mark, 0)
                os.ftruncate(self._file, len(mark))
        os.close(self._file)

    def _lock(self, *, shared: bool = False, wait: bool = True) -> bool:
        try:
            locks.take(self._file, shared=shared, wait=wait)
        except OSError:
            return False
        return True


def _look(path: str, *, clean: bool) -> bytes:
    stat = os.stat(path)
    look = f"{stat.st_ino:020} {stat.st_size:020} {stat.st_mtime_ns:020} {'clean' if clean else 'in use'}"
    return look.ljust(_LOOK).encode()


def _sum(path: str) -> bytes:
    """Adler-32 of the whole file, in text; nothing for a large one, where it would take too long."""
    value = 1
    with open(path, "rb", buffering=0) as file:
        if os.fstat(file.fileno()).st_size > _SUMMED:
            return b""
        while data := file.read(1 << 20):
            value = adler32(data, value)
    return b"%08x" % value
