"""Two storages as one: what is there is read from both, what is written goes to the upper one alone.

For playing on a clone: nothing that is done through it touches the lower storage.

    clone = OverlayStorage(store.storage, MemoryStorage())
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from attest.digests import Digest
from casstore.errors import NoSuchObject, NotWritable
from casstore.storage.base import Storage


class OverlayStorage:
    """See the module."""

    def __init__(self, lower: Storage, upper: Storage) -> None:
        self._lower, self._upper = lower, upper

    @property
    def url(self) -> str:
        """That of the lower one, marked."""
        return f"clone of {self._lower.url}"

    @property
    def read_only(self) -> bool:
        """Never: the upper one takes it."""
        return False

    @property
    def local_path(self) -> str | None:
        """There is no one folder."""
        return None

    def create(self, key: str, data: bytes) -> bool:
        """Put if absent from both."""
        if self._lower.size(key) is not None:
            return self._lower.read(key) == data
        return self._upper.create(key, data)

    def put_file(self, key: str, path: str, digest: Digest, *, new: bool = False) -> None:
        """Into the upper one, unless it is in the lower one."""
        if new or self._lower.size(key) is None:
            self._upper.put_file(key, path, digest)

    def mend(self, key: str, path: str, digest: Digest) -> None:
        """Into the upper one, which is read first."""
        self._upper.put_file(key, path, digest)

    def replace(self, key: str, data: bytes) -> None:  # noqa: ARG002  of the protocol
        """Refused: nothing is published from a clone."""
        raise NotWritable(f"{self.url}: nothing is published from a clone")

    def read(self, key: str, offset: int = 0, length: int | None = None) -> bytes:
        """From where it is. Raises NoSuchObject."""
        try:
            return self._upper.read(key, offset, length)
        except NoSuchObject:
            return self._lower.read(key, offset, length)

    def read_tail(self, key: str, length: int) -> tuple[bytes, int]:
        """From where it is. Raises NoSuchObject."""
        try:
            return self._upper.read_tail(key, length)
        except NoSuchObject:
            return self._lower.read_tail(key, length)

    def size(self, key: str) -> int | None:
        """Length in bytes, or None."""
        found = self._upper.size(key)
        return self._lower.size(key) if found is None else found

    def list(self, prefix: str) -> Iterator[str]:
        """The keys of both, once each."""
        return iter({*self._lower.list(prefix), *self._upper.list(prefix)})

    def delete(self, keys: Iterable[str]) -> None:  # noqa: ARG002  of the protocol
        """Refused: what is below stays."""
        raise NotWritable(f"{self.url}: nothing is deleted from a clone")
