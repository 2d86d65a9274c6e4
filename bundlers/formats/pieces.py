"""Where the pieces of an archive lie, and what each unpacks to (docs/formats/archive-pieces.md).

Promises: what was measured is what unpacks; a layout follows from a ProductManifest and the lengths alone. Leaves to
others: fetching them, and the digests of what comes out (`installing.partial`).

    pieces = measure(manifest, archive, digest)
    Layout(manifest, pieces).units
"""

from __future__ import annotations

import hashlib
import re
import tempfile
import zlib
from collections.abc import Callable, Iterator
from typing import IO, BinaryIO, cast

import zstandard

from attest import canonical
from attest.core.fields import Fields
from attest.core.values import dataclass
from attest.digests import Digest
from attest.errors import FormatError
from bundlers.errors import HostileArchive
from bundlers.formats import deflate, tar_gz, tar_stream, tar_zst
from bundlers.formats import zip as zip_format
from bundlers.formats.members import PIECE
from bundlers.products.product_manifests import ProductManifest

FORMAT = "casstore-archive-pieces/1"
LEAST = 64 * 1024
"""Smaller archives are fetched whole."""
_SPOOL = 16 * 1024 * 1024
_HEX = re.compile(r"[0-9a-f]{64}", re.ASCII)
_FLUSHED = b"\x00\x00\xff\xff"
"""What a sync flush ends with (RFC 1951, 3.2.4: an empty stored block)."""


@dataclass(frozen=True, slots=True)
class Pieces:
    """The lengths of an archive's pieces, and their hashes."""

    archive: Digest
    lengths: tuple[int, ...]
    hashes: tuple[str, ...]
    """The hex digits of each one's sha256: it is unpacked only after it was checked."""

    def to_bytes(self) -> bytes:
        """As published."""
        return canonical.dumps(
            {"format": FORMAT, "archive": self.archive, "hashes": list(self.hashes), "lengths": list(self.lengths)}
        )

    @staticmethod
    def parse(data: bytes) -> Pieces:
        """Raises FormatError."""
        value = canonical.loads_canonical(data, what="archive pieces", max_bytes=len(data), max_values=len(data))
        f = Fields(value, "archive pieces", required=("format", "archive", "hashes", "lengths"))
        lengths, hashes = value["lengths"], value["hashes"]
        if f.text("format") != FORMAT or not isinstance(lengths, list) or not isinstance(hashes, list):
            raise FormatError(f"archive pieces: the format is {f.text('format')[:60]!r}, not {FORMAT}")
        if any(not isinstance(one, int) or isinstance(one, bool) or one < 0 for one in lengths):
            raise FormatError("archive pieces: a length is no number")
        if any(not isinstance(one, str) or not _HEX.fullmatch(one) for one in hashes):
            raise FormatError("archive pieces: a hash is not 64 hex digits")
        if len(hashes) != len(lengths):
            raise FormatError(f"archive pieces: {len(lengths)} lengths and {len(hashes)} hashes")
        return Pieces(f.digest("archive"), tuple(lengths), tuple(hashes))


@dataclass(frozen=True, slots=True)
class Unit:
    """One piece: where it lies in the archive, and in what is unpacked."""

    start: int
    end: int
    first: int
    last: int
    """One more than the last byte, as `end`."""
    hash: str


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of what is unpacked: bytes that are known beforehand, or a file's content."""

    first: int
    last: int
    known: bytes
    file: int | None
    """The number of the file in the ProductManifest."""


class Layout:
    """An archive's pieces, and the files in what they unpack to."""

    def __init__(self, manifest: ProductManifest, pieces: Pieces) -> None:
        """Raises FormatError when the lengths are not those of such an archive."""
        self.kind = manifest.archive_format
        wrapped = manifest.wrapped()
        self.stretches = tuple(_contents(wrapped) if self.kind == "zip" else _tar(wrapped))
        total = self.stretches[-1].last if self.stretches else 0
        self.units = tuple(_units(wrapped, pieces, total))
        wanted = len(wrapped.files) if self.kind == "zip" else -(-total // _unit_size(self.kind))
        if len(pieces.lengths) != wanted:
            raise FormatError(f"archive pieces: {len(pieces.lengths)} lengths, {wanted} are wanted")

    def unpacked(self, unit: Unit, packed: Iterator[bytes], before: Callable[[int, int], bytes]) -> Iterator[bytes]:
        """What a piece unpacks to, after its hash was checked; `before` gives what is unpacked before it.

        Raises HostileArchive.
        """
        size = unit.last - unit.first
        count = 0
        try:
            for piece in self._pieces(unit, packed, before):
                count += len(piece)
                if count > size:
                    break
                yield piece
        except (zlib.error, zstandard.ZstdError) as exc:
            raise HostileArchive(f"a piece of the archive cannot be unpacked: {exc}") from exc
        if count != size:
            raise HostileArchive(f"a piece of the archive unpacks to {count} bytes, not to {size}")

    def _pieces(self, unit: Unit, packed: Iterator[bytes], before: Callable[[int, int], bytes]) -> Iterator[bytes]:
        with tempfile.SpooledTemporaryFile(_SPOOL) as spool:
            checked = _checked(unit, packed, cast("IO[bytes]", spool))
            if self.kind == "tar.zst":
                frame, size = b"".join(checked), unit.last - unit.first
                if zstandard.frame_content_size(frame) != size:  # it is taken as memory before anything is unpacked
                    raise HostileArchive(f"a zstd frame of the archive is not one of {size} bytes")
                yield zstandard.ZstdDecompressor(max_window_size=tar_zst.FRAME).decompress(frame)
                return
            yield from self._inflated(unit, checked, before)

    def _inflated(self, unit: Unit, packed: Iterator[bytes], before: Callable[[int, int], bytes]) -> Iterator[bytes]:
        dictionary = before(max(0, unit.first - deflate.WINDOW), unit.first) if self.kind == "tar.gz" else b""
        engine = zlib.decompressobj(-15, zdict=dictionary) if dictionary else zlib.decompressobj(-15)
        for raw in packed:
            rest = raw
            while rest and not engine.eof:
                piece = engine.decompress(rest, PIECE)
                rest = engine.unconsumed_tail
                if piece:
                    yield piece
                elif not rest:
                    break


def measure(manifest: ProductManifest, archive: BinaryIO, digest: Digest) -> Pieces | None:
    """The pieces of an archive that is what its ProductManifest gives; None where there is nothing to gain."""
    kind = manifest.archive_format
    if kind == "zip":
        found = list(_zip_pieces(manifest.wrapped(), archive))
    elif kind == "tar.gz":
        found = list(_flushed(archive))
    elif kind == "tar.zst":
        found = list(_frames(archive))
    else:
        return None
    return Pieces(digest, *map(tuple, zip(*found, strict=True))) if len(found) > 1 else None


def _unit_size(kind: str) -> int:
    return tar_zst.FRAME if kind == "tar.zst" else deflate.PIECE


def _checked(unit: Unit, packed: Iterator[bytes], spool: IO[bytes]) -> Iterator[bytes]:
    """The piece, once all of it was hashed."""
    hasher = hashlib.sha256()
    for raw in packed:
        hasher.update(raw)
        spool.write(raw)
    if hasher.hexdigest() != unit.hash:
        raise HostileArchive("a piece of the archive has other bytes than the publication says")
    spool.seek(0)
    return iter(lambda: spool.read(PIECE), b"")


def _units(manifest: ProductManifest, pieces: Pieces, total: int) -> Iterator[Unit]:
    rows = list(zip(pieces.lengths, pieces.hashes, strict=True))
    if manifest.archive_format == "zip":
        at = first = 0
        for file, (length, found) in zip(manifest.files, rows, strict=False):
            size = file.size if file.digest else 0
            start = at + zip_format.local_size(file, length)
            yield Unit(start, start + length, first, first + size, found)
            at, first = start + length, first + size
        return
    step = _unit_size(manifest.archive_format)
    at = len(tar_gz.HEADER) if manifest.archive_format == "tar.gz" else 0
    for number, (length, found) in enumerate(rows):
        yield Unit(at, at + length, number * step, min((number + 1) * step, total), found)
        at += length


def _tar(manifest: ProductManifest) -> Iterator[Stretch]:
    at = 0
    held = b""
    for number, file in enumerate(manifest.files):
        held += tar_stream.header(file, manifest.time(file))
        if file.digest is None or not file.size:
            continue
        yield Stretch(at, at + len(held), held, None)
        at += len(held)
        yield Stretch(at, at + file.size, b"", number)
        at += file.size
        held = b"\0" * (-file.size % tar_stream.BLOCK)
    held += tar_stream.folders(manifest) + tar_stream.END
    yield Stretch(at, at + len(held), held, None)


def _contents(manifest: ProductManifest) -> Iterator[Stretch]:
    at = 0
    for number, file in enumerate(manifest.files):
        size = file.size if file.digest else 0
        yield Stretch(at, at + size, b"", number)
        at += size


def _zip_pieces(manifest: ProductManifest, archive: BinaryIO) -> Iterator[tuple[int, str]]:
    at = 0
    for file in manifest.files:
        archive.seek(at)
        packed = zip_format.packed_size(archive, file)
        archive.seek(at + zip_format.local_size(file, packed))
        yield packed, _hash_of(archive, packed)
        at += zip_format.local_size(file, packed) + packed


def _hash_of(source: BinaryIO, size: int) -> str:
    hasher = hashlib.sha256()
    while size and (piece := source.read(min(size, PIECE))):
        hasher.update(piece)
        size -= len(piece)
    return hasher.hexdigest()


def _frames(archive: BinaryIO) -> Iterator[tuple[int, str]]:
    held = archive.read(PIECE)
    while held:
        engine = zstandard.ZstdDecompressor(max_window_size=tar_zst.FRAME).decompressobj()
        fed = held
        engine.decompress(held)
        while not engine.eof:
            if not (more := archive.read(PIECE)):
                raise HostileArchive("a zstd frame of the archive ends early")
            fed += more
            engine.decompress(more)
        held = engine.unused_data
        frame = fed[: len(fed) - len(held)]
        yield len(frame), hashlib.sha256(frame).hexdigest()
        held = held or archive.read(PIECE)


def _flushed(archive: BinaryIO) -> Iterator[tuple[int, str]]:
    """The deflate stream, cut where a piece has come out and a flush ends."""
    if archive.read(len(tar_gz.HEADER)) != tar_gz.HEADER:
        raise HostileArchive("the archive does not begin as our tar.gz")
    segments, before = _segments(archive), b""
    ended = False
    while not ended:
        engine = zlib.decompressobj(-15, zdict=before) if before else zlib.decompressobj(-15)
        out, fed = bytearray(), bytearray()
        for segment in segments:
            out += engine.decompress(segment)
            fed += segment
            ended = engine.eof
            if ended or len(out) >= deflate.PIECE:
                break
        if not ended and len(out) != deflate.PIECE:
            raise HostileArchive("the archive's deflate stream has no flush where a piece ends")
        piece = fed[: len(fed) - len(engine.unused_data)]
        yield len(piece), hashlib.sha256(piece).hexdigest()
        before = bytes(out[-deflate.WINDOW :])


def _segments(archive: BinaryIO) -> Iterator[bytes]:
    """The bytes, cut behind whatever looks like the end of a flush."""
    held = b""
    while more := archive.read(PIECE):
        held += more
        while (at := held.find(_FLUSHED)) >= 0:
            yield held[: at + len(_FLUSHED)]
            held = held[at + len(_FLUSHED) :]
        if len(held) >= len(_FLUSHED):
            yield held[: 1 - len(_FLUSHED)]
            held = held[1 - len(_FLUSHED) :]
    yield held
