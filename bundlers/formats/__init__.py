"""Archive formats: one file each, one row in the table (docs/formats/archives.md).

In: a ProductManifest and a reader of its blobs, or a stream. Out: an archive and its digest, or verified contents.
Called by releases (writing), publishing, consuming, installing, isolation and the gate `seal` (reading).

An archive is a function of a ProductManifest and the blobs that it lists: the same bytes on any
machine. So reading back needs no lenient parser: every unpacked byte that is not a member's content
must be the byte that we would write, and every content must have its digest.

    with open(path, "wb") as out:
        info = write(manifest, reader, out)
    for file, chunks in read(manifest, source): ...
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from importlib import import_module
from typing import BinaryIO, Protocol, cast

from attest import digests
from attest.core.values import dataclass
from attest.digests import Digest
from attest.errors import BadInput
from bundlers.products.product_manifests import ProductFile, ProductManifest
from bundlers.products.reader import ProductReader

__all__ = ["FORMATS", "ArchiveFormat", "ArchiveInfo", "format_of", "read", "write"]


class ArchiveFormat(Protocol):
    """What one file of this package offers."""

    MEDIA_TYPE: str

    def write(self, manifest: ProductManifest, reader: ProductReader, out: BinaryIO, workers: int) -> None:
        """Write the archive; the bytes do not depend on `workers`."""

    def read(self, manifest: ProductManifest, source: BinaryIO) -> Iterator[tuple[ProductFile, Iterator[bytes]]]:
        """Every member in order; its chunks are to be used up, and raise HostileArchive at any other byte."""


FORMATS = {
    "tar.gz": "bundlers.formats.tar_gz",
    "tar.zst": "bundlers.formats.tar_zst",
    "zip": "bundlers.formats.zip",
    "oci": "bundlers.formats.oci",
    "file": "bundlers.formats.file",
}
"""Format -> module."""


@dataclass(frozen=True, slots=True)
class ArchiveInfo:
    """A written archive."""

    digest: Digest
    size: int


def format_of(name: str) -> ArchiveFormat:
    """The format by its name. Raises BadInput."""
    if name not in FORMATS:
        raise BadInput(f"no archive format {name!r}", hint=f"known: {', '.join(FORMATS)}")
    return cast("ArchiveFormat", import_module(FORMATS[name]))


def write(manifest: ProductManifest, reader: ProductReader, out: BinaryIO, *, workers: int = 2) -> ArchiveInfo:
    """Write a build's archive, hashing what is written."""
    hashing = HashingWriter(out)
    format_of(manifest.archive_format).write(manifest.wrapped(), reader, cast("BinaryIO", hashing), workers)
    return ArchiveInfo(hashing.digest, hashing.size)


def read(manifest: ProductManifest, source: BinaryIO) -> Iterator[tuple[ProductFile, Iterator[bytes]]]:
    """Members of an archive, strictly (see the module), paths without `wrap`. Raises HostileArchive."""
    above = f"{manifest.wrap}/" if manifest.wrap else ""
    for file, chunks in format_of(manifest.archive_format).read(manifest.wrapped(), source):
        yield file._replace(path=file.path.removeprefix(above)), chunks


class HashingWriter:
    """Passes writes on, and knows digest and size of all that passed."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._hash = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes) -> int:
        """Write and hash."""
        self._hash.update(data)
        self.size += len(data)
        return self._out.write(data)

    @property
    def digest(self) -> Digest:
        """Of everything so far."""
        return digests.from_raw(self._hash.digest())
