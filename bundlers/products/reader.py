"""The reader that a bundler is handed: it opens the digests of one ProductManifest, nothing else.

It has no path, no store and no listing; a digest that the ProductManifest does not list is refused
before the store is asked.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

from attest.digests import Digest, to_raw
from bundlers.errors import CrossProductLeak
from bundlers.products.product_manifests import ProductManifest


class BlobStore(Protocol):
    """What the reader needs of the store."""

    def chunks_of(self, wanted: Iterable[Digest]) -> Iterator[Iterator[bytes]]:
        """The verified bytes of blobs, one after the other, each piece by piece."""


class ProductReader:
    """Opens the blobs of one product."""

    __slots__ = ("_chunks_of", "_listed", "_product")

    def __init__(self, store: BlobStore, manifest: ProductManifest) -> None:
        self._chunks_of: Callable[[Iterable[Digest]], Iterator[Iterator[bytes]]] = store.chunks_of
        self._listed = b"".join(sorted(manifest.packed.raw_digests()))
        self._product = manifest.product

    def chunks(self, digest: Digest) -> Iterator[bytes]:
        """The bytes of a listed blob. Raises CrossProductLeak for any other digest."""
        return next(self.chunks_of([digest]))

    def chunks_of(self, wanted: Iterable[Digest]) -> Iterator[Iterator[bytes]]:
        """The bytes of listed blobs, one after the other, each to be used up before the next. Raises as `chunks`."""
        if isinstance(wanted, Sequence):
            wanted = [self._checked(digest) for digest in wanted]  # of what is known nothing is opened before
        return self._chunks_of(map(self._checked, wanted))

    def _checked(self, digest: Digest) -> Digest:
        raw = to_raw(digest)
        number = bisect_left(range(len(self._listed) // 32), raw, key=self._at)
        if self._at(number) != raw:
            raise CrossProductLeak(
                f"{digest} is not in the ProductManifest of {self._product}", hint="put it into a component of it"
            )
        return digest

    def _at(self, number: int) -> bytes:
        return self._listed[number * 32 : (number + 1) * 32]
