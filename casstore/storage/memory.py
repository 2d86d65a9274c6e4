"""`memory`: objects of this process, for tests; `memory://NAME` is the same storage each time.

storage = open_storage("memory://a-test")
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator

from attest.digests import Digest, sha256
from casstore.errors import NoSuchObject, StorageUnavailable
from casstore.storage.base import check_create, check_key, os_error

_LOCK = threading.Lock()
_NAMED: dict[str, MemoryStorage] = {}


class MemoryStorage:
    """A dictionary behind a lock."""

    def __init__(self, name: str = "") -> None:
        self._name = name
        self._objects: dict[str, bytes] = {}
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        """`memory://NAME`."""
        return f"memory://{self._name}"

    @property
    def read_only(self) -> bool:
        """Never."""
        return False

    @property
    def local_path(self) -> str | None:
        """There is no folder."""
        return None

    def create(self, key: str, data: bytes) -> bool:
        """Put if absent; see `Storage.create`."""
        check_create(key, data)
        with self._lock:
            return self._objects.setdefault(key, bytes(data)) == data

    def put_file(self, key: str, path: str, digest: Digest, *, new: bool = False) -> None:  # noqa: ARG002  of the protocol
        """Take a file's bytes; see `Storage.put_file`."""
        try:
            with open(path, "rb") as file:
                data = file.read()
        except OSError as exc:
            raise os_error(exc, path, writing=False) from exc
        if sha256(data) != digest:
            raise StorageUnavailable(f"{path}: its bytes are not {digest}; nothing was stored")
        with self._lock:
            self._objects[check_key(key)] = data

    def mend(self, key: str, path: str, digest: Digest) -> None:
        """See `Storage.mend`."""
        self.put_file(key, path, digest)

    def replace(self, key: str, data: bytes) -> None:
        """Write whole; see `Storage.replace`."""
        with self._lock:
            self._objects[check_key(key)] = bytes(data)

    def read(self, key: str, offset: int = 0, length: int | None = None) -> bytes:
        """Bytes of an object; see `Storage.read`."""
        data = self._objects.get(check_key(key))
        if data is None:
            raise NoSuchObject(f"{self.url}: no such object: {key}")
        return data[offset:] if length is None else data[offset : offset + length]

    def read_tail(self, key: str, length: int) -> tuple[bytes, int]:
        """See `Storage.read_tail`."""
        data = self.read(key)
        return data[max(0, len(data) - length) :], len(data)

    def size(self, key: str) -> int | None:
        """Length in bytes, or None."""
        data = self._objects.get(check_key(key))
        return None if data is None else len(data)

    def list(self, prefix: str) -> Iterator[str]:
        """All keys with this prefix."""
        with self._lock:
            keys = sorted(self._objects)
        return iter([key for key in keys if key.startswith(prefix)])

    def delete(self, keys: Iterable[str]) -> None:
        """Remove objects."""
        with self._lock:
            for key in keys:
                self._objects.pop(check_key(key), None)


def open_memory(name: str) -> MemoryStorage:
    """The storage of this name in this process."""
    with _LOCK:
        return _NAMED.setdefault(name, MemoryStorage(name))
