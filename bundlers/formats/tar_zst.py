"""tar.zst: zstd frames of 512 KiB (RFC 8878, with content size and checksum), over `tar_stream`."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import BinaryIO

import zstandard

from bundlers.errors import HostileArchive
from bundlers.formats import tar_stream
from bundlers.formats.members import PIECE, ExactReader
from bundlers.formats.parallel import in_order
from bundlers.products.product_manifests import ProductFile, ProductManifest
from bundlers.products.reader import ProductReader

MEDIA_TYPE = "application/zstd"
LEVEL = 1
"""A third faster than 3 and a tenth larger, on 301 MB of Python packages: a release waits for it, a store keeps it."""
FRAME = 512 * 1024
"""An archive is a thirtieth larger than with 2 MiB, and an update fetches half as much (benchmarks/bench_update.py)."""


def write(manifest: ProductManifest, reader: ProductReader, out: BinaryIO, workers: int) -> None:
    """Write a product's archive."""
    for frame in in_order(_compress, tar_stream.grouped(tar_stream.pieces(manifest, reader), FRAME), workers):
        out.write(frame)


def read(manifest: ProductManifest, source: BinaryIO) -> Iterator[tuple[ProductFile, Iterator[bytes]]]:
    """Strictly: frames only, nothing after the last one."""
    what = f"{manifest.key} archive"
    tar = ExactReader(_Frames(source, what).more, what)
    yield from tar_stream.members(manifest, tar, what)
    tar.expect_end()


_local = threading.local()


def _compress(piece: bytes) -> bytes:
    compressor = getattr(_local, "compressor", None)
    if compressor is None:  # its tables are allocated once per thread
        compressor = _local.compressor = zstandard.ZstdCompressor(LEVEL, write_checksum=True, write_content_size=True)
    frame: bytes = compressor.compress(piece)
    return frame


class _Frames:
    """The inside of the frames, one after the other; each has its size in its header, all but the last FRAME."""

    def __init__(self, source: BinaryIO, what: str) -> None:
        self._source, self._what, self._raw, self._last = source, what, b"", False

    def more(self) -> bytes:
        self._raw = self._raw or self._source.read(PIECE)
        if not self._raw:
            return b""
        try:
            return self._frame()
        except zstandard.ZstdError as exc:
            raise HostileArchive(f"{self._what}: it cannot be decompressed: {exc}") from exc

    def _frame(self) -> bytes:
        while len(self._raw) < 18 and (piece := self._source.read(PIECE)):
            self._raw += piece
        size = zstandard.frame_content_size(self._raw)
        if self._last or not 0 < size <= FRAME:
            raise HostileArchive(f"{self._what}: a zstd frame of {size} bytes is not ours, or follows the last one")
        self._last = size < FRAME
        engine = zstandard.ZstdDecompressor(max_window_size=FRAME).decompressobj()
        parts = [engine.decompress(self._raw)]
        while not engine.eof:
            if not (piece := self._source.read(PIECE)):
                raise HostileArchive(f"{self._what}: it ends early", hint="fetch the archive again")
            parts.append(engine.decompress(piece))
        self._raw = engine.unused_data
        return b"".join(parts)
