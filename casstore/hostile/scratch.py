"""Where a parser lays what it unpacked: in memory, or when it is large in one file that has no name.

What is unpacked first is needed longest, so the file is a stack: a part ends where the `with` of it ends. A cell is
given the open file, for it may open none.

    with scratch.part() as out:
        out.write(piece)
        out.reader().read()
"""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any, cast

_IN_MEMORY = 16 << 20
_BUFFER = 256 * 1024


class Scratch:
    """Parts of one file; used by one thread."""

    def __init__(self, fd: int | None = None) -> None:
        self._fd, self._top = fd, 0
        self._own: IO[bytes] | None = None

    @contextmanager
    def part(self) -> Iterator[Part]:
        """A new part behind those that are still in use."""
        start = self._top
        try:
            yield Part(self)
        finally:
            self._top = start

    def take(self, data: bytes) -> int:
        """Append to the part that was begun last; where it lies. Raises OSError beyond the budget."""
        if self._fd is None:
            self._own = tempfile.TemporaryFile(prefix="casstore-scratch-")  # noqa: SIM115  it ends with its owner
            self._fd = self._own.fileno()
        start, view = self._top, memoryview(data)
        while view:
            count = os.pwrite(self._fd, view, self._top)
            self._top, view = self._top + count, view[count:]
        return start

    def read(self, size: int, at: int) -> bytes:
        """Bytes of a part."""
        return b"" if self._fd is None else os.pread(self._fd, size, at)


class Part:
    """Written once from front to back, then read here and there."""

    def __init__(self, scratch: Scratch) -> None:
        self._scratch, self._memory = scratch, io.BytesIO()
        self._start: int | None = None
        self.size = 0

    def write(self, data: bytes) -> None:
        """Append."""
        self.size += len(data)
        if self._start is not None:
            self._scratch.take(data)
        elif self.size <= _IN_MEMORY:
            self._memory.write(data)
        else:
            self._start = self._scratch.take(self._memory.getvalue())
            self._scratch.take(data)
            self._memory = io.BytesIO()

    def reader(self) -> IO[bytes]:
        """All of it, seekable, from its begin."""
        if self._start is None:
            self._memory.seek(0)
            return self._memory
        return cast("IO[bytes]", io.BufferedReader(_Reader(self._scratch, self._start, self.size), _BUFFER))


class _Reader(io.RawIOBase):
    def __init__(self, scratch: Scratch, start: int, size: int) -> None:
        self._scratch, self._start, self._size, self._at = scratch, start, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = max(0, offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence])
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        count = max(0, min(len(buffer), self._size - self._at))
        data = self._scratch.read(count, self._start + self._at)
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)
