"""Bytes by key that lie in an unnamed temporary file: many of them cost no memory.

held: SpooledBytes[str] = SpooledBytes()
held["channels/prod.json"] = data
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterable, Iterator, MutableMapping
from typing import TypeVar

from casstore.errors import StorageUnavailable

_K = TypeVar("_K")
_SMALL = 4096
"""What is smaller stays in memory."""
_PIECE = 1024 * 1024


class SpooledBytes(MutableMapping[_K, bytes]):
    """See the module. What was overwritten or deleted keeps its room. Raises StorageUnavailable where there is none."""

    def __init__(self) -> None:
        self._small: dict[_K, bytes] = {}
        self._places: dict[_K, tuple[int, int]] = {}
        with _told():
            self._file = tempfile.TemporaryFile(prefix="casstore-")  # noqa: SIM115 - gone with its owner
        self._end = 0

    def passed(self, key: _K, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """The same pieces, kept under the key once all have passed; nothing else may be kept meanwhile."""
        start, size = self._end, 0
        for piece in pieces:
            self._append(piece)
            size += len(piece)
            yield piece
        if self._end != start + size:
            raise RuntimeError("something else was kept while pieces passed")
        self.pop(key, None)
        self._places[key] = (start, size)

    def chunks(self, key: _K) -> Iterator[bytes]:
        """The bytes piece by piece."""
        if key in self._small:
            yield self._small[key]
            return
        at, left = self._places[key]
        while left:
            with _told():  # what is written may wait for it
                self._file.seek(at)
                piece = self._file.read(min(left, _PIECE))
            at, left = at + len(piece), left - len(piece)
            yield piece

    def __getitem__(self, key: _K) -> bytes:
        return b"".join(self.chunks(key))

    def __setitem__(self, key: _K, data: bytes) -> None:
        self.pop(key, None)
        if len(data) < _SMALL:
            self._small[key] = data
        else:
            start = self._end
            self._append(data)
            self._places[key] = (start, len(data))

    def __delitem__(self, key: _K) -> None:
        if key in self._small:
            del self._small[key]
        else:
            del self._places[key]

    def __iter__(self) -> Iterator[_K]:
        yield from self._small
        yield from self._places

    def __len__(self) -> int:
        return len(self._small) + len(self._places)

    def __contains__(self, key: object) -> bool:
        return key in self._small or key in self._places

    def size(self, key: _K) -> int:
        """How many bytes."""
        return len(self._small[key]) if key in self._small else self._places[key][1]

    def _append(self, data: bytes) -> None:
        with _told():
            self._file.seek(self._end)
            self._file.write(data)
        self._end += len(data)


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """What the system says of the file, as ours: it has no name that would tell where it lies."""
    try:
        yield
    except OSError as exc:
        raise StorageUnavailable(
            f"temporary file in {tempfile.gettempdir()}: {exc.strerror}", hint="make room there, or set TMPDIR"
        ) from exc
