"""The reader that a bundler is handed: it opens the digests of one ProductManifest, nothing else.

It has no path, no store and no listing; a digest that the ProductManifest does not list is refused
before the store is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from attest.digests import Digest
from bundlers.errors import CrossProductLeak
from bundlers.products.product_manifests import ProductManifest


class BlobStore(Protocol):
    """What the reader needs of the store."""

    def chunks_of(self, wanted: Sequence[Digest]) -> Iterator[Iterator[bytes]]:
        """The verified bytes of blobs, one after the other, each piece by piece."""


class ProductReader:
    """Opens the blobs of one product."""

    __slots__ = ("_chunks_of", "_digests", "_product")

    def __init__(self, store: BlobStore, manifest: ProductManifest) -> None:
        self._chunks_of: Callable[[Sequence[Digest]], Iterator[Iterator[bytes]]] = store.chunks_of
        self._digests = frozenset(file.digest for file in manifest.files if file.digest is not None)
        self._product = manifest.product

    def chunks(self, digest: Digest) -> Iterator[bytes]:
        """The bytes of a listed blob. Raises CrossProductLeak for any other digest."""
        return next(self.chunks_of([digest]))

    def chunks_of(self, wanted: Sequence[Digest]) -> Iterator[Iterator[bytes]]:
        """The bytes of listed blobs, one after the other, each to be used up before the next. Raises as `chunks`."""
        for digest in wanted:
            if digest not in self._digests:
                raise CrossProductLeak(
                    f"{digest} is not in the ProductManifest of {self._product}", hint="put it into a component of it"
                )
        return self._chunks_of(wanted)
