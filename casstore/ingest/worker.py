"""One worker: reads files, hashes them, keeps what the store has not, in packs of its own.

Equal files have equal sizes, and all files of one size go to one worker; so a worker that
remembers what it has packed stores nothing twice, and no lock is needed.

    worker = Worker(root, level, packs, known)
    answer = worker.take([[folder, names, signatures]])
    done = worker.finish()
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from casstore.ingest.files import Grown, changing, look, read_large, read_small, size_of
from casstore.objects.kinds import Kind
from casstore.objects.pack_format import FRAME
from casstore.objects.pack_writer import PackWriter, SealedPack
from casstore.objects.packs import LARGE, Packs, wrapped
from casstore.storage.base import os_error

PACK_LIMIT = 1024 * 1024 * 1024
PACK_OBJECTS = 200_000
"""A pack that has grown beyond these is finished and the next one begun: its table is kept in memory until then."""
_TRIES = 3

Batch = Sequence[Sequence[Any]]
"""Parts [folder path, names, joined signatures] of one or more folders."""


class Answer(NamedTuple):
    """What became of a batch: joined raw digests in its order; files that differed from their signature."""

    digests: bytes
    changed: list[tuple[int, bytes, int]]
    new_bytes: int


class Done(NamedTuple):
    """The end of a worker: the large packs that it made durable, the others, which are whole, and how much was new."""

    packs: list[bytes]
    sealed: list[SealedPack]
    new_files: int
    new_bytes: int
    stored_bytes: int


class Worker:
    """See the module; one thread or process each."""

    def __init__(
        self,
        root: bytes,
        level: int,
        packs: Packs,
        known: Callable[[bytes], object],
        large: frozenset[int] = frozenset(),
    ) -> None:
        self._root = root
        self._level = level
        self._packs = packs
        self._known = known
        self._mine: set[bytes] = set()
        self._large = set(large)
        self._writer: PackWriter | None = None
        self._buffer = memoryview(bytearray(FRAME + 1))
        self._names: list[bytes] = []
        self._sealed: list[SealedPack] = []
        self._new_files = self._new_bytes = self._stored = 0

    def take(self, batch: Batch) -> Answer:
        """Read, hash and store. Raises UnsupportedInput with the path, StorageUnavailable."""
        before = self._new_bytes
        found: list[bytes] = []
        changed: list[tuple[int, bytes, int]] = []
        for folder, names, signs in batch:
            prefix = self._root + b"/" + folder + b"/" if folder else self._root + b"/"
            for number, name in enumerate(names):
                sign = signs[number * 32 : number * 32 + 32]
                raw, now, mode = self._file(prefix + name, sign)
                if mode is not None:
                    changed.append((len(found), now, mode))
                found.append(raw)
        return Answer(b"".join(found), changed, self._new_bytes - before)

    def finish(self) -> Done:
        """End the last pack."""
        self._end_pack()
        return Done(self._names, self._sealed, self._new_files, self._new_bytes, self._stored)

    def abandon(self) -> None:
        """Drop what is not durable."""
        for sealed in self._sealed:
            with contextlib.suppress(OSError):
                os.unlink(sealed.path)
        if self._writer is not None:
            self._writer.abandon()
            self._writer = None

    def _file(self, path: bytes, sign: bytes) -> tuple[bytes, bytes, int | None]:
        if size_of(sign) > FRAME:
            return self._large_file(path, sign)
        buffer = self._buffer
        try:
            size, now, mode = read_small(path, sign, buffer)
        except Grown as grown:
            raw, now, newest = self._large_file(path, grown.sign)
            return raw, now, grown.mode if newest is None else newest
        data = buffer[:size]
        raw = hashlib.sha256(data).digest()
        if raw not in self._mine and not self._known(raw):
            self._keep(raw, data)
        return raw, now, mode

    def _keep(self, raw: bytes, data: memoryview) -> None:
        try:
            self._pack().add(raw, data, Kind.BLOB)
        except OSError as exc:  # `wrapped`, without its cost
            raise os_error(exc, self._place(), writing=True) from exc
        self._mine.add(raw)
        self._count(len(data))

    def _large_file(self, path: bytes, sign: bytes) -> tuple[bytes, bytes, int | None]:
        mode: int | None = None
        for _ in range(_TRIES):
            raw, same = self._large_once(path, sign)
            if same:
                return raw, sign, mode
            sign, mode = look(path)
        raise changing(path)

    def _large_once(self, path: bytes, sign: bytes) -> tuple[bytes, bool]:
        size, frame = size_of(sign), self._buffer[:FRAME]
        if size in self._large:  # likely known: hash before anything is written
            raw, same = read_large(path, sign, _nothing, frame)
            if not same or self._has(raw):
                return raw, same
        with wrapped(self._place()):
            run = self._pack().begin_run(Kind.BLOB)
        raw, same = read_large(path, sign, self._writing(run.write), frame)
        with wrapped(self._place()):
            if not same or self._has(raw):
                run.rollback()
                return raw, same
            run.commit(raw)
        self._mine.add(raw)
        self._large.add(size)
        self._count(size)
        return raw, True

    def _writing(self, write: Callable[[memoryview], None]) -> Callable[[memoryview], None]:
        """Errors of the store's disk are told apart from those of the file that is read."""
        where = self._place()

        def guarded(part: memoryview) -> None:
            with wrapped(where):
                write(part)

        return guarded

    def _has(self, raw: bytes) -> bool:
        return raw in self._mine or bool(self._known(raw))

    def _count(self, size: int) -> None:
        self._new_files += 1
        self._new_bytes += size

    def _place(self) -> str:
        return self._writer.path if self._writer is not None else "the store"

    def _pack(self) -> PackWriter:
        if self._writer is not None and (self._writer.size > PACK_LIMIT or self._writer.objects >= PACK_OBJECTS):
            self._end_pack()
        if self._writer is None:
            path = self._packs.new_path()
            with wrapped(path):
                self._writer = PackWriter(path, level=self._level, nonce=os.urandom(16))
        return self._writer

    def _end_pack(self) -> None:
        writer, self._writer = self._writer, None
        if writer is None:
            return
        if not writer.objects:
            writer.abandon()
            return
        try:
            with wrapped(writer.path):
                sealed = writer.finish()
        except BaseException:
            writer.abandon()
            raise
        self._stored += sealed.size
        if sealed.size < LARGE:
            self._sealed.append(sealed)
            return
        self._packs.adopt(sealed)
        self._names.append(sealed.name)


def _nothing(_part: memoryview) -> None:
    pass


__all__ = ["PACK_LIMIT", "Answer", "Batch", "Done", "Worker"]
