"""What an archive holds, as whoever verifies or installs it reads it.

Strictly, and by the product's own word on what it may never hold, inside of what is packed in it too.

    for file, chunks in members(manifest, source): ...
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from bundlers import formats
from bundlers.products.product_manifests import ProductFile, ProductManifest


def members(manifest: ProductManifest, source: BinaryIO) -> Iterator[tuple[ProductFile, Iterator[bytes]]]:
    """As `formats.read`; raises HostileArchive, VerificationError at the end of a file that may not be there."""
    return ruled(manifest, formats.read(manifest, source))


def ruled(
    manifest: ProductManifest, rows: Iterator[tuple[ProductFile, Iterator[bytes]]]
) -> Iterator[tuple[ProductFile, Iterator[bytes]]]:
    """The same files, as `members` gives them."""
    if not manifest.never:
        return rows
    from bundlers.isolation import forbidden  # it loads numpy

    return forbidden.looked_into(manifest, rows)


def read_all(manifest: ProductManifest, source: BinaryIO) -> None:
    """Every byte, for nothing but the check. Raises as `members`."""
    for _, chunks in members(manifest, source):
        for _ in chunks:
            pass
