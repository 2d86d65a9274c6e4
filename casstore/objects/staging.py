"""What one handle has packed and not yet put into the store: one pack that grows, on this machine's disk.

While something is gathered, packs that are made are taken over into the growing one, piece by piece as they are
stored, and their objects are found here. `settle` gives it its name, durable, and only then counts anything of it.
A pack that is large already goes its own way at once. Killed before, nothing is left but a temporary file.

    staging.add([writer.finish()])          # settles by itself unless `gathering`
    staging.find(raw)                       # -> (name to read by, rows of its pieces, place), or None
    staging.settle()
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from casstore.errors import StorageUnavailable
from casstore.objects.pack_format import FRAME, PackTable, Place
from casstore.objects.pack_reader import read_table
from casstore.objects.packs import LARGE, Packs, wrapped

if TYPE_CHECKING:
    from casstore.objects.pack_writer import PackWriter, SealedPack

_MOST_BYTES = 256 * 1024 * 1024
_MOST_OBJECTS = 200_000
"""A growing pack is settled beyond these, whatever is gathered: its table is in memory."""


class Staging:
    """May be shared between threads; what one gathers holds back all."""

    def __init__(self, packs: Packs, learn: Callable[[Sequence[bytes]], None]) -> None:
        self._packs = packs
        self._learn = learn
        self._lock = threading.RLock()
        self._scopes = 0
        self._writer: PackWriter | None = None
        self._tag = b""
        self._places: dict[bytes, Place] = {}
        self._about: dict[bytes, list[bytes]] = {}
        self._made: list[bytes] = []
        self._broken = False
        """Something that others count on could not be kept."""

    @contextlib.contextmanager
    def gathering(self) -> Iterator[None]:
        """What is put meanwhile is durable at the end, at the latest; nothing of the last pack stays after an error."""
        with self._lock:
            self._scopes += 1
        try:
            yield
        except BaseException:
            self._leave(self.drop)
            raise
        self._leave(self.settle)

    @property
    def idle(self) -> bool:
        """Whether nothing waits."""
        return not self._places

    @property
    def held_back(self) -> bool:
        """Whether what is added waits for somebody's end."""
        return self._scopes > 0

    def add(self, sealed: Sequence[SealedPack]) -> None:
        """Packs that are complete under temporary names. Raises StorageUnavailable; then nothing of them stays."""
        with self._lock:
            try:
                if len(sealed) == 1 and not self._scopes and self._writer is None:
                    self._adopt(sealed[0])
                    return
                for one in sealed:
                    self._absorb(one)
                if not self._scopes:
                    self.settle()
            except BaseException:
                self._broken = self._scopes > 0
                self.drop()
                raise
            finally:
                for one in sealed:
                    with contextlib.suppress(OSError):
                        os.unlink(one.path)

    def settle(self) -> None:
        """All that was added becomes durable and counts."""
        with self._lock:
            if self._broken:
                self.drop()
                raise StorageUnavailable("what was gathered could not be kept, nothing of it counts: run it again")
            writer, self._writer = self._writer, None
            if writer is None:
                return
            try:
                with wrapped(writer.path):
                    sealed = writer.finish()
                self._adopt(sealed)
            except BaseException:
                writer.abandon()
                raise
            finally:
                self._places, self._about = {}, {}

    def drop(self) -> None:
        """Nothing of what waits shall be kept."""
        with self._lock:
            writer, self._writer = self._writer, None
            self._places, self._about = {}, {}
            if writer is not None:
                writer.abandon()

    def take_made(self) -> list[bytes]:
        """The packs that became durable since the last call."""
        with self._lock:
            made, self._made = self._made, []
        return made

    def digests(self) -> list[bytes]:
        """All that waits here."""
        with self._lock:
            return list(self._places)

    def has(self, raw: bytes) -> bool:
        """Whether the object waits here."""
        return raw in self._places

    def find(self, raw: bytes) -> tuple[bytes, bytes, Place] | None:
        """(name to `read` by, rows of its pieces, place among them)."""
        with self._lock:
            place, writer = self._places.get(raw), self._writer
            if place is None or writer is None:
                return None
            count = 1 if place.inner else -(-place.length // FRAME)
            rows = writer.pieces_of(range(place.piece, place.piece + count))
            name = self._tag + place.piece.to_bytes(16, "big")
            return name, rows, place._replace(piece=0)

    def about(self, subject: bytes) -> list[bytes]:
        """Attestations about a subject that wait here."""
        with self._lock:
            return list(self._about.get(subject, ()))

    def read(self, name: bytes, offset: int, size: int) -> bytes | None:
        """Stored bytes of what `find` named; None for other names."""
        with self._lock:
            if self._writer is None or name[:16] != self._tag:
                return None
            return self._writer.read(offset, size)

    def _leave(self, end: Callable[[], None]) -> None:
        with self._lock:
            self._scopes -= 1
            if self._scopes:
                return
            try:
                end()
            finally:
                self._broken = False

    def _adopt(self, sealed: SealedPack) -> None:
        self._packs.adopt(sealed)
        self._learn([sealed.name])
        self._made.append(sealed.name)

    def _absorb(self, sealed: SealedPack) -> None:
        if sealed.size >= LARGE:
            self._adopt(sealed)
            return
        with wrapped(sealed.path), open(sealed.path, "rb") as file:
            fd = file.fileno()
            table = read_table(lambda at, length: os.pread(fd, length, at), sealed.size, sealed.name)
            if any(raw in self._places for raw, *_ in table.iter_objects()):
                self.settle()  # no pack holds an object twice
            self._grow(table, lambda at, length: os.pread(fd, length, at))

    def _grow(self, table: PackTable, read: Callable[[int, int], bytes]) -> None:
        if self._writer is None:
            path = self._packs.new_path()
            with wrapped(path):
                from casstore.objects.pack_writer import PackWriter  # whoever only reads needs none

                self._writer = PackWriter(path, level=0, nonce=os.urandom(16))
            self._tag = os.urandom(16)
        with wrapped(self._writer.path):
            self._places |= self._writer.absorb(table, read)
        for subject, raw in table.iter_subjects():
            self._about.setdefault(subject, []).append(raw)
        if self._writer.size > _MOST_BYTES or self._writer.objects > _MOST_OBJECTS:
            self.settle()
