"""The ends of packs in a bucket, as they came: a small pack is whole in one request, a larger one's table.

What is read of a pack next mostly lies there too: the statement that an entry names is put last. They are kept
while there is room, and are bytes as good as the storage's: whoever reads verifies.

    size = tails.fetch(name)
    tails.kept(name, offset, length)          # or None
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable

LENGTH = 64 * 1024
"""So much of a pack's end is asked for: the table of a thousand objects, or all of a small pack."""
_ROOM = 64 * 1024 * 1024


class Tails:
    """May be shared between threads; `read(name, length)` gives (the last bytes, size of the whole)."""

    def __init__(self, read: Callable[[bytes, int], tuple[bytes, int]]) -> None:
        self._read = read
        self._kept: OrderedDict[bytes, tuple[int, bytes]] = OrderedDict()
        self._held = 0
        self._lock = threading.Lock()

    def fetch(self, name: bytes) -> int:
        """Asks for the end of a pack; the size of the whole. Raises NoSuchObject, StorageUnavailable."""
        data, size = self._read(name, LENGTH)
        self.keep(name, data, size)
        return size

    def keep(self, name: bytes, data: bytes, size: int) -> None:
        """The end of a pack of this size."""
        with self._lock:
            self._forget(name)
            self._kept[name] = (size - len(data), data)
            self._held += len(data)
            while self._held > _ROOM:
                self._forget(next(iter(self._kept)))

    def kept(self, name: bytes, offset: int, length: int) -> bytes | None:
        """These bytes, if they are here."""
        with self._lock:
            start, data = self._kept.get(name, (0, b""))
        if not data or offset < start or offset + length > start + len(data):
            return None
        return data[offset - start : offset - start + length]

    def forget(self, name: bytes) -> None:
        """The pack is gone, or was replaced."""
        with self._lock:
            self._forget(name)

    def _forget(self, name: bytes) -> None:
        self._held -= len(self._kept.pop(name, (0, b""))[1])
