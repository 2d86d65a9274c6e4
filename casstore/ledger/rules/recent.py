"""The small objects that a fold read last: an entry's statement is asked for more than once, its evidence again."""

from __future__ import annotations

from collections import OrderedDict

from attest.core.remembered import SMALL
from attest.digests import Digest
from casstore.ledger.states.state import ObjectReader

_BYTES = 4 * 1024 * 1024


class Recent:
    """Reads objects, small ones once while they are recent; they never change."""

    def __init__(self, objects: ObjectReader) -> None:
        self.objects = objects
        self._kept: OrderedDict[Digest, bytes] = OrderedDict()
        self._size = 0

    @property
    def store_id(self) -> str:
        """See `ObjectReader`."""
        return self.objects.store_id

    def read(self, digest: Digest, **limit: int) -> bytes:
        """See `ObjectReader`."""
        data = self._kept.get(digest)
        if data is None or len(data) > limit.get("max_bytes", SMALL):
            data = self.objects.read(digest, **limit)
            self.keep(digest, data)
        return data

    def keep(self, digest: Digest, data: bytes) -> None:
        """Bytes that have this digest."""
        if len(data) > SMALL or digest in self._kept:
            return
        self._kept[digest] = data
        self._size += len(data)
        while self._size > _BYTES:
            self._size -= len(self._kept.popitem(last=False)[1])
