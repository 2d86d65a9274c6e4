"""file: a finished file (an installer, a `.deb`, a `.whl`, one program) is the archive itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from bundlers.formats.members import PIECE, ExactReader, checked_size, content
from bundlers.products.product_manifests import ProductFile, ProductManifest
from bundlers.products.reader import ProductReader

MEDIA_TYPE = "application/octet-stream"


def write(manifest: ProductManifest, reader: ProductReader, out: BinaryIO, workers: int) -> None:  # noqa: ARG001
    """Write its bytes as they are."""
    (file,) = manifest.files
    for piece in checked_size(file, reader.chunks(file.content)):
        out.write(piece)


def read(manifest: ProductManifest, source: BinaryIO) -> Iterator[tuple[ProductFile, Iterator[bytes]]]:
    """Strictly: these bytes, and no more."""
    (file,) = manifest.files
    what = f"{manifest.key} archive"
    raw = ExactReader(lambda: source.read(PIECE), what)
    chunks = content(file, raw.take, what)
    yield file, chunks
    for _ in chunks:  # whatever the caller left
        pass
    raw.expect_end()
