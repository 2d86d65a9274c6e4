"""Writes the files of one region, each verified before its first byte (a large one: before it counts).

writer = RegionWriter(packs.read, spot, top_fd, masked=False)
failed = writer.write(region)      # (folder, row) positions that must be done otherwise
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from operator import itemgetter
from typing import Any

from attest.errors import FormatError
from casstore.errors import NoSuchObject
from casstore.machine.modes import set_mode
from casstore.objects.pack_format import FRAME, piece_at
from casstore.objects.pack_reader import decode_piece
from casstore.objects.packs import wrapped
from casstore.objects.tree import show

Read = Callable[[bytes, int, int], bytes]
Find = Callable[[bytes], tuple[bytes, bytes, int, int, int] | None]
"""Raw digest -> the pack's name, its pieces, the object's first piece, where in it, its length."""
Failed = list[tuple[int, int]]
CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
_ORDER = itemgetter(0, 1, 2)

_FOR_ALL = 0o004


class RegionWriter:
    """See the module; one thread or process each. Paths are opened relative to `top`, a folder's descriptor."""

    def __init__(self, read: Read, find: Find, top: int, *, masked: bool) -> None:
        self._read = read
        self._find = find
        self._top = top
        self._masked = masked

    def write(self, region: Sequence[Any]) -> Failed:
        """Positions of the files whose bytes could not be found and verified; nothing of them stays."""
        failed: Failed = []
        work = []
        for folder, (prefix, rows) in enumerate(region):
            for row, (name, mode, size, raw) in enumerate(rows):
                spot = self._find(raw)
                if spot is None or spot[4] != size:
                    failed.append((folder, row))
                    continue
                pack, pieces, piece, inner, _ = spot
                work.append((pack, piece, inner, pieces, size, prefix + name, mode & 0o777, raw, (folder, row)))
        work.sort(key=_ORDER)
        self._write_all(work, failed)
        return failed

    def _write_all(self, work: list[tuple[Any, ...]], failed: Failed) -> None:
        sha256, write = hashlib.sha256, self._write_file
        before: tuple[bytes, int] | None = None
        block: memoryview | None = None
        for pack, piece, inner, pieces, size, path, mode, raw, position in work:
            if size > FRAME:
                if not self._write_large(pack, pieces, piece, size, path, mode, raw):
                    failed.append(position)
                continue
            if size and (pack, piece) != before:
                before, block = (pack, piece), self._load(pack, pieces, piece)
            part: Any = b"" if not size else None if block is None else block[inner : inner + size]
            if part is None or sha256(part).digest() != raw:
                failed.append(position)
                continue
            write(path, mode, part, size)

    def _load(self, pack: bytes, pieces: bytes, number: int) -> memoryview | None:
        try:
            piece = piece_at(pieces, number)
            stored = self._read(pack, piece.offset, piece.stored)
            return memoryview(decode_piece(piece, stored, unchecked=True))  # what comes out is hashed here
        except (FormatError, NoSuchObject):
            return None

    def _write_file(self, path: bytes, mode: int, part: memoryview, size: int) -> None:
        try:
            fd = os.open(path, CREATE, mode, dir_fd=self._top)
            try:
                if size and (done := os.write(fd, part)) != size:
                    write_all(fd, part[done:])
                if self._masked or not mode & _FOR_ALL:
                    set_mode(fd, mode)
            finally:
                os.close(fd)
        except OSError:
            with wrapped(show(path)):
                raise

    def _write_large(
        self, pack: bytes, pieces: bytes, first: int, size: int, path: bytes, mode: int, raw: bytes
    ) -> bool:
        with wrapped(show(path)):
            fd = os.open(path, CREATE, mode, dir_fd=self._top)
            try:
                good = self._copy(fd, pack, pieces, range(first, first - -size // FRAME)) == raw
                if self._masked or not mode & _FOR_ALL:
                    set_mode(fd, mode)
            finally:
                os.close(fd)
            if not good:
                os.unlink(path, dir_fd=self._top)
        return good

    def _copy(self, fd: int, pack: bytes, pieces: bytes, run: range) -> bytes:
        """The raw digest of what was written."""
        hasher = hashlib.sha256()
        for number in run:
            data = self._load(pack, pieces, number)
            if data is None:
                return b""
            hasher.update(data)
            write_all(fd, data)
        return hasher.digest()


def write_all(fd: int, view: memoryview) -> None:
    """All of it."""
    while view:
        view = view[os.write(fd, view) :]


def write_chunks(path: bytes, top: int, mode: int, chunks: Iterator[bytes]) -> None:
    """The slow way, for a file that a `RegionWriter` could not verify; `chunks` verify themselves."""
    with wrapped(show(path)):
        fd = os.open(path, CREATE, mode, dir_fd=top)
        try:
            for chunk in chunks:
                write_all(fd, memoryview(chunk))
            set_mode(fd, mode)
        finally:
            os.close(fd)
