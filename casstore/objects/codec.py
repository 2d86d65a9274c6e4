"""The door to zstandard: one piece of a pack to its stored form and back, never more than was promised.

codec, stored = Packer(level=1).pack(data)      # RAW when compression does not pay
data = unpack(codec, stored, raw_size)
"""

from __future__ import annotations

import threading

import zstandard

from attest.errors import FormatError

RAW = 0
ZSTD = 1
MUST_SHRINK = 0.97
"""A piece that zstd does not bring below this share of its size is stored raw."""


class Packer:
    """Compresses pieces; not shared between threads. Level 0 stores everything raw."""

    def __init__(self, level: int) -> None:
        self._compressor = zstandard.ZstdCompressor(level=level, write_checksum=False) if level else None

    def pack(self, data: bytes | memoryview) -> tuple[int, bytes | memoryview]:
        """(codec, stored bytes)."""
        if self._compressor is None or not data:
            return RAW, data
        stored = self._compressor.compress(data)
        return (ZSTD, stored) if len(stored) < len(data) * MUST_SHRINK else (RAW, data)


_local = threading.local()


def unpack(codec: int, stored: bytes, raw_size: int) -> bytes:
    """The piece's bytes, exactly `raw_size` of them. Raises FormatError."""
    if codec == RAW:
        if len(stored) != raw_size:
            raise FormatError(f"a raw piece has {len(stored)} bytes, {raw_size} were promised")
        return stored
    if codec != ZSTD:
        raise FormatError(f"unknown codec {codec}")
    decompressor = getattr(_local, "decompressor", None)
    if decompressor is None:
        decompressor = _local.decompressor = zstandard.ZstdDecompressor()
    try:
        if zstandard.frame_content_size(stored) != raw_size:
            raise FormatError(f"a zstd piece does not promise {raw_size} bytes")
        data: bytes = decompressor.decompress(stored, max_output_size=raw_size, allow_extra_data=False)
    except zstandard.ZstdError as exc:
        raise FormatError(f"a zstd piece cannot be read: {exc}") from exc
    if len(data) != raw_size:
        raise FormatError(f"a zstd piece gave {len(data)} bytes, {raw_size} were promised")
    return data
