"""Parts of packs in a bucket, as they came: a pack's end with its table, and what lies behind what was asked for.

A small pack is whole in one request, and so is the table of a larger one. Of a pack that is read again more is asked
for than was wanted, since neighbours are mostly read together. What is kept is bytes as good as the storage's: whoever
reads verifies.

    size = ranges.fetch_end(name)
    ranges.read(name, offset, length)
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable

END = 64 * 1024
"""So much of a pack's end is asked for: the table of a thousand objects, or all of a small pack."""
AHEAD = 256 * 1024
"""So much is asked for at once when a pack is read again."""
_ROOM = 64 * 1024 * 1024

Part = tuple[int, bytes]
"""Where it begins, and the bytes."""


class Ranges:
    """For many threads. `end(name, length)` gives (last bytes, size), `part(name, offset, length)` bytes."""

    def __init__(
        self, end: Callable[[bytes, int], tuple[bytes, int]], part: Callable[[bytes, int, int], bytes]
    ) -> None:
        self._end, self._part = end, part
        self._kept: OrderedDict[bytes, list[Part]] = OrderedDict()
        self._held = 0
        self._lock = threading.Lock()

    def fetch_end(self, name: bytes) -> int:
        """Asks for a pack's end, whatever is kept; the size of the whole. Raises NoSuchObject, StorageUnavailable."""
        data, size = self._end(name, END)
        self.keep_end(name, data, size)
        return size

    def keep_end(self, name: bytes, data: bytes, size: int) -> None:
        """The end of a pack of this size; nothing else of it is kept any more."""
        self.forget(name)
        self._keep(name, (size - len(data), data))

    def read(self, name: bytes, offset: int, length: int) -> bytes:
        """Bytes of a pack; fewer only at its end. Raises NoSuchObject, StorageUnavailable."""
        with self._lock:
            parts = list(self._kept.get(name, ()))
        for start, data in parts:
            if start <= offset and offset + length <= start + len(data):
                return data[offset - start : offset - start + length]
        wanted = max(length, AHEAD) if len(parts) > 1 else length
        found = self._part(name, offset, wanted)
        if length <= AHEAD:
            self._keep(name, (offset, found))
        return found[:length]

    def forget(self, name: bytes) -> None:
        """The pack is gone, or was replaced."""
        with self._lock:
            self._drop(name)

    def _keep(self, name: bytes, part: Part) -> None:
        with self._lock:
            self._kept.setdefault(name, []).append(part)
            self._kept.move_to_end(name)
            self._held += len(part[1])
            while self._held > _ROOM:
                self._drop(next(iter(self._kept)))

    def _drop(self, name: bytes) -> None:
        self._held -= sum(len(data) for _, data in self._kept.pop(name, ()))
