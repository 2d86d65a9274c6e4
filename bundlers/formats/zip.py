"""zip: local headers with sizes and CRC (no data descriptors), UTF-8 names, Unix modes, zip64 where needed.

Source: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT . Times are in UTC and not before
1980; every member is deflated (`deflate`), an empty file or a link is stored.
"""

from __future__ import annotations

import struct
import tempfile
import time
import zlib
from collections.abc import Iterator
from typing import IO, BinaryIO

from attest.core.values import dataclass
from bundlers.errors import HostileArchive
from bundlers.formats import deflate, tar_stream
from bundlers.formats.members import PIECE, ExactReader, checked_size, content
from bundlers.formats.parallel import in_order
from bundlers.products.product_manifests import ProductFile, ProductFolder, ProductManifest
from bundlers.products.reader import ProductReader

MEDIA_TYPE = "application/zip"
FLOOR = 315532800
"""1980-01-01T00:00:00Z, the earliest time of the format."""
CEILING = 4354819198
"""2107-12-31T23:59:58Z, the latest."""

_SPOOL = 32 * 1024 * 1024
_LIMIT = 0xFFFFFFFF
_UTF8 = 0x800
_MS_DOS_FOLDER = 0x10


@dataclass(frozen=True, slots=True)
class _Member:
    """What stands in both headers of a member."""

    file: ProductFile | ProductFolder
    crc: int
    packed: int
    offset: int
    time: int

    @property
    def method(self) -> int:
        return 8 if isinstance(self.file, ProductFile) and self.file.size else 0

    @property
    def size(self) -> int:
        if isinstance(self.file, ProductFolder):
            return 0
        return self.file.size if self.file.digest else len(self.file.link.encode())

    @property
    def name(self) -> bytes:
        return self.file.path.encode() + (b"/" if isinstance(self.file, ProductFolder) else b"")

    @property
    def attributes(self) -> int:
        if isinstance(self.file, ProductFolder):
            return (0o040000 | self.file.mode) << 16 | _MS_DOS_FOLDER
        return (0o100000 | self.file.mode if self.file.digest else 0o120777) << 16

    @property
    def wide(self) -> bool:
        return self.size >= _LIMIT or self.packed >= _LIMIT

    def local(self) -> bytes:
        name = self.name
        extra = struct.pack("<HHQQ", 1, 16, self.size, self.packed) if self.wide else b""
        sizes = (_LIMIT, _LIMIT) if self.wide else (self.packed, self.size)
        version = 45 if self.wide else 20
        fixed = (version, _UTF8, self.method, self.time & 0xFFFF, self.time >> 16, self.crc, *sizes)
        return struct.pack("<4s5H3I2H", b"PK\3\4", *fixed, len(name), len(extra)) + name + extra

    def central(self) -> bytes:
        name, far = self.name, self.offset >= _LIMIT
        numbers = ([self.size, self.packed] if self.wide else []) + ([self.offset] if far else [])
        extra = struct.pack(f"<HH{len(numbers)}Q", 1, 8 * len(numbers), *numbers) if numbers else b""
        version = 45 if numbers else 20
        sizes = (_LIMIT, _LIMIT) if self.wide else (self.packed, self.size)
        fixed = (3 << 8 | version, version, _UTF8, self.method, self.time & 0xFFFF, self.time >> 16, self.crc)
        rest = (*sizes, len(name), len(extra), 0, 0, 0, self.attributes, _LIMIT if far else self.offset)
        return struct.pack("<4s6H3I5H2I", b"PK\1\2", *fixed, *rest) + name + extra


def local_size(file: ProductFile, packed: int) -> int:
    """How long a member's local header is."""
    return len(_Member(file, 0, packed, 0, 0).local())


def packed_size(source: BinaryIO, file: ProductFile) -> int:
    """The length of a member's packed data, by the local header that the source stands at."""
    fixed = source.read(30)
    packed: int = struct.unpack_from("<I", fixed, 18)[0]
    if struct.unpack_from("<H", fixed, 28)[0]:
        source.seek(len(file.path.encode()), 1)
        packed = struct.unpack_from("<Q", source.read(20), 12)[0]
    return packed


def write(manifest: ProductManifest, reader: ProductReader, out: BinaryIO, workers: int) -> None:
    """Write a product's archive."""
    members, offset = [], 0
    with tempfile.SpooledTemporaryFile(_SPOOL) as spool:
        for part, packed in in_order(_packed, _parts(manifest, reader), workers):
            spool.write(packed)
            if part.last:
                member = _Member(part.file, part.crc, spool.tell(), offset, _dos_time(manifest.time(part.file)))
                out.write(member.local())
                _move(spool, out)
                offset += len(member.local()) + member.packed
                members.append(member)
    headers, behind = _folders(manifest, offset)
    out.write(headers + _directory([*members, *behind], offset + len(headers)))


def read(manifest: ProductManifest, source: BinaryIO) -> Iterator[tuple[ProductFile, Iterator[bytes]]]:
    """Strictly: local headers, data and directory as we would write them, nothing before, between or after."""
    what = f"{manifest.key} archive"
    raw = ExactReader(lambda: source.read(PIECE), what)
    members, offset = [], 0
    for file in manifest.files:
        data = _Data(file, raw, offset, _dos_time(manifest.time(file)), what)
        chunks = data.chunks()
        yield file, chunks
        for _ in chunks:  # whatever the caller left
            pass
        members.append(data.member)
        offset += len(data.member.local()) + data.member.packed
    headers, behind = _folders(manifest, offset)
    raw.expect(headers, "an empty folder")
    raw.expect(_directory([*members, *behind], offset + len(headers)), "the central directory")
    raw.expect_end()


def _folders(manifest: ProductManifest, offset: int) -> tuple[bytes, list[_Member]]:
    """The empty folders, behind all else: their headers, and what the directory says of them."""
    headers, members = b"", []
    for folder in manifest.folders:
        member = _Member(folder, 0, 0, offset + len(headers), _dos_time(manifest.time(folder)))
        headers += member.local()
        members.append(member)
    return headers, members


@dataclass(frozen=True, slots=True)
class _Part:
    """A piece of a member's data on its way: to be deflated, or to be stored as it is."""

    file: ProductFile
    crc: int
    """Of the member up to here."""
    last: bool
    stored: bytes = b""


def _parts(manifest: ProductManifest, reader: ProductReader) -> Iterator[tuple[_Part, deflate.Job | None]]:
    """All members' data, piece by piece: so threads have work at many small files too."""
    contents = reader.chunks_of(file.digest for file in manifest.files if file.digest is not None and file.size)
    for file in manifest.files:
        if file.digest is None or not file.size:
            target = file.link.encode()
            yield _Part(file, zlib.crc32(target), True, target), None
            continue
        crc = 0
        for job in deflate.jobs(tar_stream.grouped(checked_size(file, next(contents)), deflate.PIECE)):
            crc = zlib.crc32(job[1], crc)
            yield _Part(file, crc, job[2]), job


def _packed(item: tuple[_Part, deflate.Job | None]) -> tuple[_Part, bytes]:
    part, job = item
    return part, deflate.compress(job) if job else part.stored


def _move(spool: IO[bytes], out: BinaryIO) -> None:
    """Everything in the spool, which is empty then."""
    spool.seek(0)
    while piece := spool.read(PIECE):
        out.write(piece)
    spool.seek(0)
    spool.truncate()


class _Data:
    """One member while it is read: header, packed data, then what both must agree on."""

    def __init__(self, file: ProductFile, raw: ExactReader, offset: int, dos_time: int, what: str) -> None:
        self._raw, self._what, self.file = raw, what, file
        fixed = raw.take(30)
        crc, packed = struct.unpack_from("<II", fixed, 14)
        extra_length = struct.unpack_from("<H", fixed, 28)[0]
        rest = raw.take(len(file.path.encode()) + (20 if extra_length == 20 else 0))
        if extra_length == 20:
            packed = struct.unpack_from("<Q", rest, len(rest) - 8)[0]
        self.member = _Member(file, crc, packed, offset, dos_time)
        if fixed + rest != self.member.local():
            raise HostileArchive(f"{what}: the header of {file.path} is not what its ProductManifest gives")

    def chunks(self) -> Iterator[bytes]:
        if self.file.digest is None:
            target = self.file.link.encode()
            if self.member.packed != len(target) or self.member.crc != zlib.crc32(target):
                raise HostileArchive(f"{self._what}: the link {self.file.path} is not what its ProductManifest gives")
            self._raw.expect(target, f"the link {self.file.path}")
            return
        crc, inner = 0, ExactReader(self._inflate().__next__, self._what)
        for piece in content(self.file, inner.take, self._what):
            crc = zlib.crc32(piece, crc)
            yield piece
        inner.expect_end()
        if crc != self.member.crc:
            raise HostileArchive(f"{self._what}: the CRC of {self.file.path} is not that of its bytes")

    def _inflate(self) -> Iterator[bytes]:
        """The unpacked data, then nothing for ever; raises HostileArchive unless it ends where it says."""
        engine, left = zlib.decompressobj(-15), self.member.packed
        while self.file.size and left and not engine.eof:
            raw = self._raw.take(min(left, PIECE))
            left -= len(raw)
            yield from self._pieces(engine, raw)
        if left or (self.file.size and (not engine.eof or engine.unused_data)):
            raise HostileArchive(f"{self._what}: the packed data of {self.file.path} does not end where it says")
        while True:
            yield b""

    def _pieces(self, engine: zlib._Decompress, raw: bytes) -> Iterator[bytes]:
        while not engine.eof:
            try:
                piece = engine.decompress(raw, PIECE)
            except zlib.error as exc:
                raise HostileArchive(f"{self._what}: {self.file.path} cannot be decompressed: {exc}") from exc
            raw = engine.unconsumed_tail
            if piece:
                yield piece
            elif not raw:
                return


def _directory(members: list[_Member], offset: int) -> bytes:
    central = b"".join(member.central() for member in members)
    count = len(members)
    wide = b""
    if count >= 0xFFFF or len(central) >= _LIMIT or offset >= _LIMIT:
        wide = struct.pack(
            "<4sQ2H2I4Q", b"PK\6\6", 44, 3 << 8 | 45, 45, 0, 0, count, count, len(central), offset
        ) + struct.pack("<4sIQI", b"PK\6\7", 0, offset + len(central), 1)
    shown = (min(count, 0xFFFF), min(count, 0xFFFF), min(len(central), _LIMIT), min(offset, _LIMIT))
    return central + wide + struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, *shown, 0)


def _dos_time(epoch: int) -> int:
    t = time.gmtime(min(max(epoch, FLOOR), CEILING))
    return (
        ((t.tm_year - 1980) << 25)
        | (t.tm_mon << 21)
        | (t.tm_mday << 16)
        | (t.tm_hour << 11)
        | (t.tm_min << 5)
        | (t.tm_sec // 2)
    )
