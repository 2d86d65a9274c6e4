"""Writes one pack into a temporary file: small blobs into blocks, larger ones into pieces of their own.

What is hashed is the very buffer that is written. Nothing can be found in the file before
`finish` has written table and footer; giving it its name and making it durable is left to
`casstore.objects.packs`.

    writer = PackWriter(temporary_path, level=1, nonce=os.urandom(16))
    writer.add(raw_digest, data, Kind.BLOB)
    sealed = writer.finish()                     # SealedPack(path, name, size, ...)
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Sequence
from typing import NamedTuple

from attest.errors import FormatError
from casstore.machine import locks
from casstore.objects import codec
from casstore.objects.pack_format import (
    ALIGN,
    BLOCK,
    FRAME,
    NO_CHECK,
    OBJECT,
    PIECE,
    SOLO,
    SUBJECT,
    Footer,
    PackTable,
    Place,
    header_bytes,
    seal_of,
)


class SealedPack(NamedTuple):
    """A complete pack under a temporary name; `name` is its seal (32 bytes)."""

    path: str
    name: bytes
    size: int
    objects: int


class PackWriter:
    """One pack file that grows; one thread at a time."""

    def __init__(self, path: str, *, level: int, nonce: bytes) -> None:
        self.path = path
        self._packer = codec.Packer(level)
        self._header = header_bytes(nonce)
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o444)
        self._end = 0
        self._pieces: list[bytes] = []
        self._rows: list[bytes] = []
        self._subjects: list[tuple[bytes, bytes]] = []
        self._block = memoryview(bytearray(BLOCK + SOLO))
        self._block_size = 0
        self._waiting: list[tuple[bytes, int, int, int]] = []
        try:
            with contextlib.suppress(OSError):  # held while it grows, so that nobody sweeps it away
                locks.take(self._fd, wait=False)
            self._write(self._header)
        except BaseException:
            self.abandon()
            raise

    @property
    def size(self) -> int:
        """Bytes written so far, the open block not counted."""
        return self._end

    @property
    def objects(self) -> int:
        """How many objects it holds."""
        return len(self._rows) + len(self._waiting)

    def add(self, raw: bytes, data: bytes | memoryview, kind: int, subjects: Sequence[bytes] = ()) -> None:
        """A blob that is in memory, copied; `raw` is its digest, which the caller has made from these bytes."""
        size = len(data)
        if subjects:
            self._subjects.extend((subject, raw) for subject in subjects)
        if size > SOLO:
            run = self.begin_run(kind)
            for start in range(0, size, FRAME):
                run.write(memoryview(data)[start : start + FRAME])
            run.commit(raw)
            return
        start = self._block_size
        end = self._block_size = start + size
        self._waiting.append((raw, kind, start, size))
        self._block[start:end] = data
        if end >= BLOCK:
            self._flush_block()

    def begin_run(self, kind: int) -> Run:
        """A large blob, to be written frame by frame."""
        self._flush_block()
        return Run(self, kind)

    def absorb(self, table: PackTable, read: Callable[[int, int], bytes]) -> dict[bytes, Place]:
        """All of another pack as it is stored, nothing compressed anew; where its objects lie here.

        `read(offset, size)` gives its stored bytes. No object of it may be here already.
        """
        self._flush_block()
        first = len(self._pieces)
        begins = {piece for _, _, piece, _, length in table.iter_objects() if length > SOLO}
        for number, piece in enumerate(table.iter_pieces()):
            self._align(number in begins and piece.codec == codec.RAW)
            stored = read(piece.offset, piece.stored)
            if len(stored) != piece.stored:
                raise FormatError(f"pack: cut at byte {piece.offset + len(stored)}")
            self._pieces.append(PIECE.pack(self._end, piece.stored, piece.raw, piece.codec, piece.check))
            self._write(stored)
        places: dict[bytes, Place] = {}
        for raw, kind, at, inner, length in table.iter_objects():
            place = places[raw] = Place(kind, first + at if length else 0, inner, length)
            self._rows.append(OBJECT.pack(raw, *place))
        self._subjects.extend(table.iter_subjects())
        return places

    def pieces_of(self, numbers: range) -> bytes:
        """The rows of these pieces, which are written."""
        return b"".join(self._pieces[numbers.start : numbers.stop])

    def read(self, offset: int, size: int) -> bytes:
        """Of what is written."""
        return os.pread(self._fd, size, offset)

    def finish(self) -> SealedPack:
        """Write table and footer, close the file. The bytes are not yet durable."""
        self._flush_block()
        table = self._table()
        footer = Footer(self._end, len(self._pieces), len(self._rows), len(self._subjects), NO_CHECK)
        seal = seal_of(self._header, table, footer)
        footer = Footer(footer.table_offset, footer.pieces, footer.objects, footer.subjects, seal)
        self._write(table)
        self._write(footer.to_bytes())
        os.close(self._fd)
        self._fd = -1
        return SealedPack(self.path, seal, self._end, len(self._rows))

    def abandon(self) -> None:
        """Close and remove the file; harmless after `finish` has been followed by a rename."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        with contextlib.suppress(OSError):
            os.unlink(self.path)

    def _table(self) -> bytes:
        self._rows.sort()
        numbers = {row[:32]: number for number, row in enumerate(self._rows)} if self._subjects else {}
        subjects = sorted({SUBJECT.pack(subject, numbers[raw]) for subject, raw in self._subjects})
        self._subjects = self._subjects[: len(subjects)]
        return b"".join(self._pieces) + b"".join(self._rows) + b"".join(subjects)

    def _flush_block(self) -> None:
        if not self._waiting:
            return
        number = 0
        if self._block_size:
            number = self._append(*self._packer.pack(self._block[: self._block_size]), self._block_size)
        rows, pack = self._rows, OBJECT.pack
        for raw, kind, inner, size in self._waiting:
            rows.append(pack(raw, kind, number if size else 0, inner if size else 0, size))
        self._waiting.clear()
        self._block_size = 0

    def _append(self, how: int, stored: bytes | memoryview, raw_size: int, *, align: bool = False) -> int:
        """Write one piece; its number."""
        self._align(align)
        check = NO_CHECK if how == codec.RAW else hashlib.sha256(stored).digest()
        self._pieces.append(PIECE.pack(self._end, len(stored), raw_size, how, check))
        self._write(stored)
        return len(self._pieces) - 1

    def _align(self, wanted: bool) -> None:
        if wanted and self._end % ALIGN:
            self._write(bytes(ALIGN - self._end % ALIGN))

    def _write(self, data: bytes | memoryview) -> None:
        size = len(data)
        done = os.write(self._fd, data)
        while done < size:
            done += os.write(self._fd, memoryview(data)[done:])
        self._end += size


class Run:
    """A large blob being written; its frames stay in the pack only after `commit`."""

    def __init__(self, writer: PackWriter, kind: int) -> None:
        self._writer = writer
        self._kind = kind
        self._start = writer._end
        self._first = len(writer._pieces)
        self._length = 0
        self._raw = False

    def write(self, frame: bytes | memoryview) -> None:
        """FRAME bytes, fewer only in the last call."""
        writer = self._writer
        how, stored = (codec.RAW, frame) if self._raw else writer._packer.pack(frame)
        if self._length == 0 and how == codec.RAW:
            self._raw = True  # the first frame decides: what does not shrink there seldom does later
        writer._append(how, stored, len(frame), align=how == codec.RAW and self._length == 0)
        self._length += len(frame)

    def commit(self, raw: bytes) -> None:
        """The blob is complete and has this digest."""
        self._writer._rows.append(OBJECT.pack(raw, self._kind, self._first, 0, self._length))

    def rollback(self) -> None:
        """Take the frames back: the blob proved to be known, or changed while it was read."""
        writer = self._writer
        os.ftruncate(writer._fd, self._start)
        os.lseek(writer._fd, self._start, os.SEEK_SET)
        del writer._pieces[self._first :]
        writer._end = self._start
