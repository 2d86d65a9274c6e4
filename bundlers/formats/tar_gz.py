"""tar.gz: one gzip member (RFC 1952) without name and time, over `tar_stream`."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO, Protocol

from bundlers.errors import HostileArchive
from bundlers.formats import deflate, tar_stream
from bundlers.formats.members import PIECE, ExactReader
from bundlers.products.product_manifests import ProductFile, ProductManifest
from bundlers.products.reader import ProductReader

MEDIA_TYPE = "application/gzip"

HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"

Tap = Callable[[bytes], object]


class Source(Protocol):
    """Where compressed bytes come from."""

    def read(self, size: int, /) -> bytes:
        """At most so many bytes, none at the end."""


def write(manifest: ProductManifest, reader: ProductReader, out: BinaryIO, workers: int) -> None:
    """Write a product's archive."""
    for piece in stream(manifest, reader, workers):
        out.write(piece)


def read(manifest: ProductManifest, source: BinaryIO) -> Iterator[tuple[ProductFile, Iterator[bytes]]]:
    """Strictly: our header, one member, matching trailer, nothing after it."""
    return members(manifest, source, f"{manifest.key} archive")


def stream(manifest: ProductManifest, reader: ProductReader, workers: int, tap: Tap | None = None) -> Iterator[bytes]:
    """The archive piece by piece; `tap` sees the unpacked stream."""
    check = _Check(tap)
    yield HEADER
    pieces = tar_stream.grouped(tar_stream.pieces(manifest, reader), deflate.PIECE)
    yield from deflate.compressed(check.over(pieces), workers)
    yield check.trailer


def members(
    manifest: ProductManifest, source: Source, what: str, tap: Tap | None = None
) -> Iterator[tuple[ProductFile, Iterator[bytes]]]:
    """As `read`; `tap` sees the unpacked stream."""
    inner = _Inflated(source, what, _Check(tap))
    yield from tar_stream.members(manifest, tar := ExactReader(inner.more, what), what)
    tar.expect_end()
    inner.check_trailer()


class _Check:
    """CRC and length of the unpacked stream."""

    def __init__(self, tap: Tap | None) -> None:
        self._crc, self._size, self._tap = 0, 0, tap

    def over(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            self.update(piece)
            yield piece

    def update(self, piece: bytes) -> None:
        self._crc = zlib.crc32(piece, self._crc)
        self._size += len(piece)
        if self._tap is not None:
            self._tap(piece)

    @property
    def trailer(self) -> bytes:
        return self._crc.to_bytes(4, "little") + (self._size & 0xFFFFFFFF).to_bytes(4, "little")


class _Inflated:
    """The inside of one gzip member, never more than a piece at a time."""

    def __init__(self, source: Source, what: str, check: _Check) -> None:
        self._source, self._what, self._check = source, what, check
        self._engine = zlib.decompressobj(-15)
        if source.read(len(HEADER)) != HEADER:
            raise HostileArchive(f"{what}: it does not begin as our tar.gz", hint="fetch the archive again")

    def more(self) -> bytes:
        while not self._engine.eof:
            raw = self._engine.unconsumed_tail or self._source.read(PIECE)
            try:
                piece = self._engine.decompress(raw, PIECE)
            except zlib.error as exc:
                raise HostileArchive(f"{self._what}: it cannot be decompressed: {exc}") from exc
            if piece:
                self._check.update(piece)
                return piece
            if not raw:
                raise HostileArchive(f"{self._what}: it ends early", hint="fetch the archive again")
        return b""

    def check_trailer(self) -> None:
        rest = self._engine.unused_data + self._source.read(9)
        if rest[:9] != self._check.trailer:
            raise HostileArchive(f"{self._what}: its gzip trailer differs, or bytes follow it")
