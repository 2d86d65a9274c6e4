"""The packed forms that the isolation check opens: one row each in the table.

tar, zip (jar, wheel, apk, docx, appended to a program), ar (deb, static library), cpio (newc, odc),
rpm, and single packed files: gzip, bzip2, xz, lzma, zstd. tar, zip and the compressions are read by
the standard library and zstandard, the small ones here. Readers only read; a member is (name,
stream), the inside of a single packed file has no name, what is encrypted has no stream.
"""

from __future__ import annotations

import copy
import io
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import IO, Any, cast

from attest.errors import FormatError
from bundlers.inspection.packed.carving import Covered
from bundlers.inspection.packed.streams import Unpacked, ZstdFailed, skipped_end

_ERRORS = (
    OSError,
    EOFError,
    ValueError,
    RuntimeError,
    NotImplementedError,
    struct.error,
    OverflowError,
    MemoryError,
    LookupError,
)
_HEAD = 600
_MAX_NAME = 65536
_BUFFER = 64 * 1024
_ANY_LENGTH = 1 << 62
_METHODS = {zipfile.ZIP_DEFLATED: "deflate", zipfile.ZIP_BZIP2: "bzip2"}
"""Of zip: those whose streams say where they end."""

Found = Iterator[tuple[str, "IO[bytes] | None"]]
Reader = Callable[["IO[bytes]", Covered], Found]


BROKEN = (*_ERRORS, zlib.error, lzma.LZMAError, tarfile.TarError, zipfile.BadZipFile, ZstdFailed)
"""What a reader raises for bytes that are not what they look like."""


def cannot_open(exc: BaseException) -> FormatError:
    """The error for one packed file that somebody named."""
    return FormatError(f"cannot be unpacked: {type(exc).__name__}: {exc}"[:300], hint="unpack it and name the folder")


def kind_of(blob: IO[bytes]) -> str:
    """The row of the table that this file looks like; empty for an ordinary file."""
    blob.seek(0)
    head = blob.read(_HEAD)
    for kind, (looks, _) in _KINDS.items():
        if looks(head):
            return kind
    return "zip" if _ends_as_zip(blob) else ""


def members(blob: IO[bytes], kind: str, covered: Covered | None = None) -> Found:
    """Every file inside; a stream is good until the next step. Raises one of BROKEN.

    `covered` is told which parts of the blob the form accounts for, as they are read.
    """
    return _READERS[kind](blob, Covered() if covered is None else covered)


def hidden(blob: IO[bytes], offset: int, kind: str) -> IO[bytes] | None:
    """What may begin at an offset, as a file of its own; None where it is chance."""
    blob.seek(offset)
    head = blob.read(_HEAD)
    if kind == "tar" and not (len(head) >= 512 and _sum_holds(head)):
        return None
    return cast("IO[bytes]", io.BufferedReader(_Window(blob, offset), _BUFFER))


def _ends_as_zip(blob: IO[bytes]) -> bool:
    """A zip may follow other bytes: a self-extracting program."""
    try:
        return zipfile.is_zipfile(blob)
    except _ERRORS:
        return False


def _is_lzma(head: bytes) -> bool:
    return head.startswith(b"\x5d\0\0") and head[5:13] in (b"\xff" * 8, head[5:9] + b"\0" * 4)


def _is_tar(head: bytes) -> bool:
    if head[257:262] == b"ustar":
        return True
    return len(head) >= 512 and bool(head[0]) and _sum_holds(head)  # before POSIX there was no magic, only the sum


def _sum_holds(head: bytes) -> bool:
    field = head[148:156].strip(b" \0")
    if not field or any(c not in b"01234567" for c in field):
        return False
    return sum(head[:148]) + 8 * 32 + sum(head[156:512]) == int(field, 8)


def _tar(blob: IO[bytes], covered: Covered) -> Found:
    """What stands beside the members is not covered: what headers say (pax), what a sparse file's map leaves out."""
    with tarfile.open(fileobj=blob, mode="r:") as tar:
        for info in tar:
            covered.add(info.offset, info.offset + 512)
            covered.add(info.offset_data - 512, info.offset_data)
            if info.isreg() or info.type not in tarfile.SUPPORTED_TYPES:  # readers take what they do not know for files
                yield info.name, tar.extractfile(info)
                if not info.issparse():
                    covered.add(info.offset_data, info.offset_data + info.size)


def _zip(blob: IO[bytes], covered: Covered) -> Found:
    """By where entries lie and how they are packed; how long they are is seen, not believed."""
    with zipfile.ZipFile(blob) as archive:
        for entry in sorted(archive.infolist(), key=lambda entry: entry.header_offset):
            if entry.filename.endswith("/") and not entry.compress_size:
                continue
            start = _data_of(blob, entry, covered)
            if entry.flag_bits & 1:
                yield entry.filename, None
                covered.add(start, start + entry.compress_size)
            elif entry.compress_type == zipfile.ZIP_STORED:
                yield entry.filename, _part(blob, start, entry.compress_size)
                covered.add(start, start + entry.compress_size)
            elif entry.compress_type in _METHODS:
                blob.seek(start)
                stream = Unpacked(blob, _METHODS[entry.compress_type])
                yield entry.filename, cast("IO[bytes]", stream)
                covered.add(start, stream.end)
            else:
                with archive.open(_however_long(entry)) as other:
                    yield entry.filename, other


def _data_of(blob: IO[bytes], entry: zipfile.ZipInfo, covered: Covered) -> int:
    """Where its data begin. Its name and extra field are not covered."""
    blob.seek(entry.header_offset)
    magic, name, extra = struct.unpack("<4s22x2H", _exactly(blob, 30))
    if magic != b"PK\3\4":
        raise ValueError("a header of zip is broken")
    covered.add(entry.header_offset, entry.header_offset + 30)
    return entry.header_offset + 30 + int(name) + int(extra)


def _however_long(entry: zipfile.ZipInfo) -> zipfile.ZipInfo:
    """As if it said that it may be of any length, and nothing of its sum."""
    made = copy.copy(entry)
    made.file_size = _ANY_LENGTH
    made.CRC = cast("int", None)
    return made


def _stream(kind: str) -> Reader:
    def read(blob: IO[bytes], covered: Covered) -> Found:
        start = blob.tell()
        stream = Unpacked(blob, kind)
        yield "", cast("IO[bytes]", stream)
        for first, last in (*stream.gaps, (stream.end, stream.end)):
            covered.add(start, first)
            start = last

    return read


def _skipped(blob: IO[bytes], covered: Covered) -> Found:
    """A zstd frame that readers skip: whatever it holds."""
    start = blob.tell()
    end = skipped_end(blob, start)
    if end is None:
        raise ValueError("no frame to be skipped")
    yield "skipped", _part(blob, start + 8, end - start - 8)
    covered.add(start, end)


def _entry(blob: IO[bytes], covered: Covered) -> Found:
    """One file of a zip by its own header: one that the directory at the end does not list."""
    start = blob.tell()
    _, _, flags, method, _, _, size, _, name, extra = struct.unpack("<4s5H4x2I2H", _exactly(blob, 30))
    if not 0 < name <= _MAX_NAME:
        raise ValueError("a header of zip is broken")
    label, data = _exactly(blob, name).decode("utf-8", "replace"), start + 30 + name + extra
    if label.endswith("/") and not size:
        return
    if flags & 1:
        yield label, None
    elif method == zipfile.ZIP_STORED:
        yield label, _part(blob, data, size)
        covered.add(data, data + size)
    elif method in _METHODS:
        blob.seek(data)
        stream = Unpacked(blob, _METHODS[method])
        yield label, cast("IO[bytes]", stream)
        covered.add(data, stream.end)
    else:
        raise ValueError(f"it is packed by method {method}")
    covered.add(start, start + 30)


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


class _Window(io.RawIOBase):
    """A file from an offset on, as if it began there."""

    def __init__(self, blob: IO[bytes], start: int) -> None:
        self._blob, self._start, self._at = blob, start, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence == io.SEEK_END:
            offset += self._blob.seek(0, io.SEEK_END) - self._start
        elif whence == io.SEEK_CUR:
            offset += self._at
        self._at = max(0, offset)
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        self._blob.seek(self._start + self._at)
        data = self._blob.read(len(buffer))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


def _part(blob: IO[bytes], start: int, size: int) -> IO[bytes]:
    return cast("IO[bytes]", _Part(blob, start, size))


def _exactly(blob: IO[bytes], size: int) -> bytes:
    data = blob.read(size)
    if len(data) != size:
        raise EOFError("it ends early")
    return data


def _ar(blob: IO[bytes], covered: Covered) -> Found:
    """ar(5): 60-byte headers, BSD (`#1/len`) and GNU (`/offset` into `//`) long names, which are not covered."""
    begin = blob.tell()
    at, long_names = begin + 8, b""
    covered.add(begin, at)
    while True:
        blob.seek(at)
        head = blob.read(60)
        if not head.strip(b"\n"):
            return
        if len(head) != 60 or head[58:] != b"`\n":
            raise ValueError("a header of ar is broken")
        covered.add(at, at + 60)
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
        covered.add(start, start + size)


def _cpio(blob: IO[bytes], covered: Covered) -> Found:
    """cpio(5): newc with and without checksum, and the old portable (odc) form. Names are not covered."""
    at = blob.tell()
    while True:
        blob.seek(at)
        magic = _exactly(blob, 6)
        if magic == b"070707":
            head = _exactly(blob, 70)
            mode, name_size, size = int(head[12:18], 8), int(head[53:59], 8), int(head[59:70], 8)
            length, start, pad = 76, at + 76 + name_size, 1
        elif magic in (b"070701", b"070702"):
            fields = [int(_exactly(blob, 8), 16) for _ in range(13)]
            mode, size, name_size = fields[1], fields[6], fields[11]
            length, start, pad = 110, at + _up(110 + name_size, 4), 4
        else:
            raise ValueError("a header of cpio is broken")
        if not 0 < name_size <= _MAX_NAME or size < 0:
            raise ValueError("a name or size of cpio is broken")
        name = _exactly(blob, name_size).rstrip(b"\0").decode("utf-8", "replace")
        covered.add(at, at + length)
        if name == "TRAILER!!!":
            return
        if mode & 0o170000 == 0o100000 and size:
            yield name, _part(blob, start, size)
            covered.add(start, start + size)
        at = start + _up(size, pad)


def _up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple


def _rpm(blob: IO[bytes], covered: Covered) -> Found:
    """rpm: a lead of 96 bytes, two headers (the first padded to 8) that are not covered, then a packed cpio."""
    begin = blob.tell()
    at = begin + 96
    for padded in (True, False):
        blob.seek(at)
        head = _exactly(blob, 16)
        if head[:3] != b"\x8e\xad\xe8":
            raise ValueError("a header of rpm is broken")
        entries, data = struct.unpack(">II", head[8:])
        at += 16 + 16 * entries + data
        at = begin + _up(at - begin, 8) if padded else at
    blob.seek(0, io.SEEK_END)
    end = blob.tell()
    covered.add(begin, begin + 96)
    yield "payload", _part(blob, at, max(0, end - at))
    covered.add(at, end)


_KINDS: dict[str, tuple[Callable[[bytes], bool], Reader]] = {
    "gzip": (lambda head: head.startswith(b"\x1f\x8b\x08"), _stream("gzip")),
    "bzip2": (lambda head: head.startswith(b"BZh") and head[4:10] in (b"1AY&SY", b"\x17rE8P\x90"), _stream("bzip2")),
    "xz": (lambda head: head.startswith(b"\xfd7zXZ\0"), _stream("xz")),
    "lzma": (_is_lzma, _stream("lzma")),
    "zstd": (lambda head: head.startswith(b"\x28\xb5\x2f\xfd"), _stream("zstd")),
    "ar": (lambda head: head.startswith(b"!<arch>\n"), _ar),
    "rpm": (lambda head: head.startswith(b"\xed\xab\xee\xdb"), _rpm),
    "cpio": (lambda head: head.startswith((b"070701", b"070702", b"070707")), _cpio),
    "zip": (lambda head: head.startswith((b"PK\3\4", b"PK\5\6")), _zip),
    "tar": (_is_tar, _tar),
}
"""Kind -> (what the first bytes look like, reader)."""

_READERS: dict[str, Reader] = {kind: reader for kind, (_, reader) in _KINDS.items()} | {
    "skipped": _skipped,
    "entry": _entry,
}
