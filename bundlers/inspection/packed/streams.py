"""Single packed streams (gzip, bzip2, xz, lzma, zstd): unpacked as they are read, and where they end.

Several streams of one kind after each other are one content, as their tools unpack them, with what may
lie between (zeros). What a zstd frame that is to be skipped holds is a content of its own. Where the
last one ends is noted, so that what follows it is looked at too.

    stream = Unpacked(blob, "gzip"); stream.read(); stream.end
"""

from __future__ import annotations

import bz2
import io
import lzma
import struct
import zlib
from collections.abc import Callable
from typing import IO, Any, cast

PIECE = 256 * 1024
MAGIC = {
    "gzip": b"\x1f\x8b\x08",
    "bzip2": b"BZh",
    "xz": b"\xfd7zXZ\0",
    "lzma": b"\x5d\0\0",
    "zstd": b"\x28\xb5\x2f\xfd",
}
_MADE: dict[str, Callable[[], Any]] = {
    "gzip": lambda: zlib.decompressobj(31),
    "deflate": lambda: zlib.decompressobj(-15),
    "bzip2": bz2.BZ2Decompressor,
    "xz": lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=256 << 20),
    "lzma": lambda: lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=256 << 20),
}
_SKIPPED = range(0x184D2A50, 0x184D2A60)
_WINDOW = 128 << 20
_SHORT = 128
"""Such a header holds nothing that is worth to be looked at."""


class ZstdFailed(Exception):
    """zstandard is imported where it is needed; this stands for its error."""


class Unpacked(io.RawIOBase):
    """The content of all streams of one kind that follow each other from where the blob stands."""

    def __init__(self, blob: IO[bytes], kind: str) -> None:
        self._blob, self._kind = blob, kind
        self._start = self.end = blob.tell()
        """Behind the last stream that was read to its end."""
        self.gaps: list[tuple[int, int]] = []
        """What headers of gzip say, where it is much: no part of the content."""
        self._open: _One | None = self._begin(self.end)

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes, at most a piece. Raises what the library does, EOFError for a cut stream."""
        while self._open is not None:
            if data := self._open.read(PIECE if size < 0 else min(size, PIECE)):
                return data
            self.end = self._open.end
            self._open = self._next()
        return b""

    def _next(self) -> _One | None:
        at = self.end
        self._blob.seek(at)
        head = self._blob.read(512)
        gap = len(head) - len(head.lstrip(b"\0")) if self._kind in ("gzip", "xz") else 0
        again = MAGIC.get(self._kind, b"")
        found = bool(again) and self._kind != "lzma" and head[gap:].startswith(again)
        return self._begin(at + gap) if found else None

    def _begin(self, start: int) -> Any:
        if self._kind == "gzip" and (end := header_end(self._blob, start)) - start > _SHORT:
            self.gaps.append((start + 10, end))
        return _one(self._blob, self._kind, start)


class _One:
    """One stream."""

    def __init__(self, blob: IO[bytes], start: int, engine: Any) -> None:
        self._blob, self.end, self._engine, self._waiting = blob, start, engine, b""

    def read(self, size: int) -> bytes:
        """Some bytes; none at its end."""
        while not self._engine.eof:
            if not self._waiting and getattr(self._engine, "needs_input", True):
                self._blob.seek(self.end)
                self._waiting = self._blob.read(PIECE)
                self.end += len(self._waiting)
                if not self._waiting:
                    raise EOFError("it ends early")
            data = bytes(self._engine.decompress(self._waiting, size))
            self._waiting = getattr(self._engine, "unconsumed_tail", b"")
            if self._engine.eof:
                self.end -= len(self._engine.unused_data)
            if data:
                return data
        return b""


class _Zstd:
    """One frame; its end follows from the sizes of its blocks."""

    def __init__(self, blob: IO[bytes], start: int) -> None:
        import zstandard

        self.end = frame_end(blob, start)
        blob.seek(start)
        engine = zstandard.ZstdDecompressor(max_window_size=_WINDOW)
        self._error = zstandard.ZstdError
        self._blob, self._at = blob, start
        self._stream = engine.stream_reader(
            cast("IO[bytes]", _Between(blob, start, self.end)), read_across_frames=False, closefd=False
        )

    def read(self, size: int) -> bytes:
        """Some bytes; none at its end."""
        try:
            return bytes(self._stream.read(size))
        except self._error as exc:
            raise ZstdFailed(str(exc)) from exc


class _Between(io.RawIOBase):
    def __init__(self, blob: IO[bytes], at: int, end: int) -> None:
        self._blob, self._at, self._end = blob, at, end

    def read(self, size: int = -1) -> bytes:
        left = self._end - self._at
        self._blob.seek(self._at)
        data = self._blob.read(left if size < 0 else min(size, left))
        self._at += len(data)
        return data


def _one(blob: IO[bytes], kind: str, start: int) -> Any:
    return _Zstd(blob, start) if kind == "zstd" else _One(blob, start, _MADE[kind]())


def header_end(blob: IO[bytes], start: int) -> int:
    """Where the header of a gzip stream ends (RFC 1952, 2.3); what has no end ends with the file."""
    blob.seek(start)
    head = blob.read(12)
    flags = head[3] if len(head) == 12 else 0
    at = start + 10
    if flags & 4:
        at += 2 + int.from_bytes(head[10:12], "little")
    for flag in (8, 16):
        if flags & flag:
            at = _text_end(blob, at)
    return at + (2 if flags & 2 else 0)


def _text_end(blob: IO[bytes], at: int) -> int:
    blob.seek(at)
    while piece := blob.read(PIECE):
        if (found := piece.find(b"\0")) >= 0:
            return at + found + 1
        at += len(piece)
    return at


def frame_end(blob: IO[bytes], start: int) -> int:
    """Where a zstd frame ends (RFC 8878, 3.1.1). Raises ZstdFailed, EOFError."""
    import zstandard

    blob.seek(start)
    head = blob.read(18)
    try:
        at = start + zstandard.frame_header_size(head)
        checked = zstandard.get_frame_parameters(head).has_checksum
    except zstandard.ZstdError as exc:
        raise ZstdFailed(str(exc)) from exc
    while True:
        blob.seek(at)
        block = blob.read(3)
        if len(block) != 3:
            raise EOFError("it ends early")
        said = int.from_bytes(block, "little")
        at += 3 + (1 if said >> 1 & 3 == 1 else said >> 3)
        if said & 1:
            return at + 4 * checked


def skipped_end(blob: IO[bytes], start: int) -> int | None:
    """Where a zstd frame that is to be skipped ends; None where there is none."""
    blob.seek(start)
    head = blob.read(8)
    if len(head) != 8:
        return None
    magic, size = struct.unpack("<2I", head)
    return start + 8 + int(size) if magic in _SKIPPED else None
