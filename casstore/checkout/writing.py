"""Writes the files of one job, each verified before its first byte (a large one: before it counts).

failed = write_job(packs.read, b"/out/.tmp", job, masked=False)      # positions that must be done otherwise
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterator

from attest.errors import FormatError
from casstore.checkout.plan import Job
from casstore.errors import NoSuchObject
from casstore.objects.pack_format import PIECE, Piece
from casstore.objects.pack_reader import decode_piece
from casstore.objects.tree import show
from casstore.packs import wrapped

Read = Callable[[bytes, int, int], bytes]
CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW


def write_job(read: Read, top: bytes, job: Job, *, masked: bool) -> list[int]:
    """Positions of the items whose bytes could not be verified; nothing of them stays."""
    pieces = [Piece(*row) for row in PIECE.iter_unpack(job.pieces)]
    if len(pieces) > 1:
        return [] if _write_run(read, top, job, pieces, masked=masked) else [0]
    data = b""
    if pieces:
        try:
            data = decode_piece(pieces[0], read(job.pack, pieces[0].offset, pieces[0].stored))
        except (FormatError, NoSuchObject):
            return list(range(len(job.items)))
    return _write_items(top, job, data, masked=masked)


def _write_items(top: bytes, job: Job, data: bytes, *, masked: bool) -> list[int]:
    failed = []
    view, sha256 = memoryview(data), hashlib.sha256
    path = top
    try:
        for number, (name, mode, inner, length, raw) in enumerate(job.items):
            part = view[inner : inner + length]
            if sha256(part).digest() != raw:
                failed.append(number)
                continue
            path = top + b"/" + name
            fd = os.open(path, CREATE, mode)
            try:
                if length and os.write(fd, part) != length:
                    os.lseek(fd, 0, os.SEEK_SET)
                    write_all(fd, part)
                if masked:
                    os.fchmod(fd, mode)
            finally:
                os.close(fd)
    except OSError:
        with wrapped(show(path)):
            raise
    return failed


def _write_run(read: Read, top: bytes, job: Job, pieces: list[Piece], *, masked: bool) -> bool:
    item = job.items[0]
    path = top + b"/" + item.path
    with wrapped(show(path)):
        fd = os.open(path, CREATE, item.mode)
        try:
            good = _copy(read, fd, job, pieces) == item.raw
            if masked:
                os.fchmod(fd, item.mode)
        finally:
            os.close(fd)
        if not good:
            os.unlink(path)
    return good


def _copy(read: Read, fd: int, job: Job, pieces: list[Piece]) -> bytes:
    """The raw digest of what was written."""
    hasher = hashlib.sha256()
    with contextlib.suppress(FormatError, NoSuchObject):
        for piece in pieces:
            data = decode_piece(piece, read(job.pack, piece.offset, piece.stored))
            hasher.update(data)
            write_all(fd, memoryview(data))
        return hasher.digest()
    return b""


def write_all(fd: int, view: memoryview) -> None:
    """All of it."""
    while view:
        view = view[os.write(fd, view) :]


def write_chunks(path: bytes, mode: int, chunks: Iterator[bytes]) -> None:
    """The slow way, for an item that `write_job` could not verify; `chunks` verify themselves."""
    with wrapped(show(path)):
        fd = os.open(path, CREATE, mode)
        try:
            for chunk in chunks:
                write_all(fd, memoryview(chunk))
            os.fchmod(fd, mode)
        finally:
            os.close(fd)
