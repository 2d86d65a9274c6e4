"""The store of a clone: its own objects are those that were made for the play, all others are read from the real one.

So nothing of the real one needs to be found again, however many packs there are.

    with CloneStore(storage, config, private=folder, real=store) as copy: ...
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import BinaryIO

from attest.digests import Digest, to_raw
from casstore.objects.kinds import Kind
from casstore.objects.store_config import StoreConfig
from casstore.storage import Storage
from casstore.store.store import Store


class CloneStore(Store):
    """See the module."""

    def __init__(self, storage: Storage, config: StoreConfig, *, private: str, real: Store) -> None:
        super().__init__(storage, config, private=private)
        self._real = real

    def _is_mine(self, digest: Digest) -> bool:
        return self.catalog.knows(to_raw(digest))

    def has(self, digest: Digest) -> bool:
        """See `Store`."""
        return self._is_mine(digest) or self._real.has(digest)

    def size(self, digest: Digest) -> int:
        """See `Store`."""
        return super().size(digest) if self._is_mine(digest) else self._real.size(digest)

    def kind(self, digest: Digest) -> Kind:
        """See `Store`."""
        return super().kind(digest) if self._is_mine(digest) else self._real.kind(digest)

    def read(self, digest: Digest, *, max_bytes: int | None = None) -> bytes:
        """See `Store`."""
        if self._is_mine(digest):
            return super().read(digest, max_bytes=max_bytes)
        return self._real.read(digest, max_bytes=max_bytes)

    def chunks(self, digest: Digest) -> Iterator[bytes]:
        """See `Store`."""
        return super().chunks(digest) if self._is_mine(digest) else self._real.chunks(digest)

    def chunks_of(self, wanted: Iterable[Digest]) -> Iterator[Iterator[bytes]]:
        """See `Store`."""
        return (self.chunks(digest) for digest in wanted)

    def open_blob(self, digest: Digest) -> BinaryIO:
        """See `Store`."""
        return super().open_blob(digest) if self._is_mine(digest) else self._real.open_blob(digest)

    def attestations(self, subject: Digest) -> list[Digest]:
        """See `Store`."""
        return sorted({*super().attestations(subject), *self._real.attestations(subject)})
