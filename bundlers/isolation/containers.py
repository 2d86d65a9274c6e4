"""The packed forms that the isolation check opens: one row each in the table.

tar, zip (jar, wheel, apk, docx, appended to a program), ar (deb, static library), cpio (newc, odc),
rpm, and single packed files: gzip, bzip2, xz, lzma, zstd. tar, zip and the compressions are read by
the standard library and zstandard, the small ones here. Readers only read; a member is (name,
stream), the inside of a single packed file has no name, what is encrypted has no stream.
"""

from __future__ import annotations

import io
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import IO, cast

_ERRORS = (OSError, EOFError, ValueError, RuntimeError, NotImplementedError, struct.error, OverflowError, MemoryError)
_HEAD = 600
_MAX_NAME = 65536

Found = Iterator[tuple[str, "IO[bytes] | None"]]


class _ZstdFailed(Exception):
    """zstandard is imported where it is needed; this stands for its error."""


BROKEN = (*_ERRORS, zlib.error, lzma.LZMAError, tarfile.TarError, zipfile.BadZipFile, KeyError, _ZstdFailed)
"""What a reader raises for bytes that are not what they look like."""


def kind_of(blob: IO[bytes]) -> str:
    """The row of the table that this file looks like; empty for an ordinary file."""
    blob.seek(0)
    head = blob.read(_HEAD)
    for kind, (looks, _) in _KINDS.items():
        if looks(head):
            return kind
    return "zip" if _ends_as_zip(blob) else ""


def members(blob: IO[bytes], kind: str) -> Found:
    """Every file inside; a stream is good until the next step. Raises one of BROKEN."""
    return _KINDS[kind][1](blob)


def _ends_as_zip(blob: IO[bytes]) -> bool:
    """A zip may follow other bytes: a self-extracting program."""
    try:
        return zipfile.is_zipfile(blob)
    except _ERRORS:
        return False


def _is_tar(head: bytes) -> bool:
    if head[257:262] == b"ustar":
        return True
    field = head[148:156].strip(b" \0")  # before POSIX there was no magic, only the sum of the header
    if len(head) < 512 or not head[0] or not field or any(c not in b"01234567" for c in field):
        return False
    return sum(head[:148]) + 8 * 32 + sum(head[156:512]) == int(field, 8)


def _tar(blob: IO[bytes]) -> Found:
    with tarfile.open(fileobj=blob, mode="r:") as tar:
        for info in tar:
            if info.isreg():
                yield info.name, tar.extractfile(info)


def _zip(blob: IO[bytes]) -> Found:
    with zipfile.ZipFile(blob) as archive:
        for entry in archive.infolist():
            if entry.is_dir():
                continue
            if entry.flag_bits & 1:
                yield entry.filename, None
                continue
            with archive.open(entry) as stream:
                yield entry.filename, stream


def _gzip(blob: IO[bytes]) -> Found:
    import gzip

    yield "", cast("IO[bytes]", gzip.GzipFile(fileobj=blob, mode="rb"))


def _bzip2(blob: IO[bytes]) -> Found:
    import bz2

    yield "", bz2.BZ2File(blob)


def _xz(blob: IO[bytes]) -> Found:
    yield "", lzma.LZMAFile(blob)  # noqa: SIM115  the caller owns what is beneath


def _zstd(blob: IO[bytes]) -> Found:
    import zstandard

    engine = zstandard.ZstdDecompressor(max_window_size=128 << 20)
    try:
        stream = engine.stream_reader(blob, read_across_frames=True, closefd=False)
        yield "", cast("IO[bytes]", _Translated(stream, zstandard.ZstdError))
    except zstandard.ZstdError as exc:
        raise _ZstdFailed(str(exc)) from exc


class _Translated(io.RawIOBase):
    """Reads on, with a foreign library's error as ours."""

    def __init__(self, stream: IO[bytes], error: type[Exception]) -> None:
        self._stream, self._error = stream, error

    def read(self, size: int = -1) -> bytes:
        try:
            return self._stream.read(size)
        except self._error as exc:
            raise _ZstdFailed(str(exc)) from exc


class _Part(io.RawIOBase):
    """A part of a file; raises EOFError where the file ends too early."""

    def __init__(self, blob: IO[bytes], start: int, size: int) -> None:
        self._blob, self._at, self._left = blob, start, size

    def read(self, size: int = -1) -> bytes:
        count = self._left if size < 0 else min(size, self._left)
        if not count:
            return b""
        self._blob.seek(self._at)
        data = self._blob.read(count)
        if not data:
            raise EOFError("a member ends early")
        self._at += len(data)
        self._left -= len(data)
        return data


def _part(blob: IO[bytes], start: int, size: int) -> IO[bytes]:
    return cast("IO[bytes]", _Part(blob, start, size))


def _exactly(blob: IO[bytes], size: int) -> bytes:
    data = blob.read(size)
    if len(data) != size:
        raise EOFError("it ends early")
    return data


def _ar(blob: IO[bytes]) -> Found:
    """ar(5): 60-byte headers, BSD (`#1/len`) and GNU (`/offset` into `//`) long names."""
    at, long_names = 8, b""
    while True:
        blob.seek(at)
        head = blob.read(60)
        if not head.strip(b"\n"):
            return
        if len(head) != 60 or head[58:] != b"`\n":
            raise ValueError("a header of ar is broken")
        name, size, start = head[:16].rstrip(), int(head[48:58]), at + 60
        if size < 0:
            raise ValueError("a negative size")
        at = start + size + size % 2
        if name == b"//":
            long_names = _exactly(blob, min(size, 64 << 20))
            continue
        if name.startswith(b"#1/"):
            length = min(int(name[3:]), size, _MAX_NAME)
            name, start, size = _exactly(blob, length).rstrip(b"\0"), start + length, size - length
        elif name[:1] == b"/" and name[1:].isdigit():
            name = long_names[int(name[1:]) :].partition(b"\n")[0]
        yield (name.rstrip(b"/") or b"/").decode("utf-8", "replace"), _part(blob, start, size)


def _cpio(blob: IO[bytes]) -> Found:
    """cpio(5): newc with and without checksum, and the old portable (odc) form."""
    at = blob.tell()
    while True:
        blob.seek(at)
        magic = _exactly(blob, 6)
        if magic == b"070707":
            head = _exactly(blob, 70)
            mode, name_size, size = int(head[12:18], 8), int(head[53:59], 8), int(head[59:70], 8)
            start, pad = at + 76 + name_size, 1
        elif magic in (b"070701", b"070702"):
            fields = [int(_exactly(blob, 8), 16) for _ in range(13)]
            mode, size, name_size = fields[1], fields[6], fields[11]
            start, pad = at + _up(110 + name_size, 4), 4
        else:
            raise ValueError("a header of cpio is broken")
        if not 0 < name_size <= _MAX_NAME or size < 0:
            raise ValueError("a name or size of cpio is broken")
        name = _exactly(blob, name_size).rstrip(b"\0").decode("utf-8", "replace")
        if name == "TRAILER!!!":
            return
        if mode & 0o170000 == 0o100000 and size:
            yield name, _part(blob, start, size)
        at = start + _up(size, pad)


def _up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple


def _rpm(blob: IO[bytes]) -> Found:
    """rpm: a lead of 96 bytes, two headers (the first padded to 8), then a packed cpio."""
    at = 96
    for padded in (True, False):
        blob.seek(at)
        head = _exactly(blob, 16)
        if head[:3] != b"\x8e\xad\xe8":
            raise ValueError("a header of rpm is broken")
        entries, data = struct.unpack(">II", head[8:])
        at += 16 + 16 * entries + data
        at = _up(at, 8) if padded else at
    blob.seek(0, io.SEEK_END)
    yield "payload", _part(blob, at, max(0, blob.tell() - at))


_KINDS: dict[str, tuple[Callable[[bytes], bool], Callable[[IO[bytes]], Found]]] = {
    "gzip": (lambda head: head.startswith(b"\x1f\x8b\x08"), _gzip),
    "bzip2": (lambda head: head.startswith(b"BZh") and head[4:10] in (b"1AY&SY", b"\x17rE8P\x90"), _bzip2),
    "xz": (lambda head: head.startswith(b"\xfd7zXZ\0"), _xz),
    "lzma": (lambda head: head.startswith(b"\x5d\0\0") and head[5:13] in (b"\xff" * 8, head[5:9] + b"\0" * 4), _xz),
    "zstd": (lambda head: head.startswith(b"\x28\xb5\x2f\xfd"), _zstd),
    "ar": (lambda head: head.startswith(b"!<arch>\n"), _ar),
    "rpm": (lambda head: head.startswith(b"\xed\xab\xee\xdb"), _rpm),
    "cpio": (lambda head: head.startswith((b"070701", b"070702", b"070707")), _cpio),
    "zip": (lambda head: head.startswith((b"PK\3\4", b"PK\5\6")), _zip),
    "tar": (_is_tar, _tar),
}
"""Kind -> (what the first bytes look like, reader)."""
