"""Reads published files by relative name: from a folder, over http(s), or from any storage URL.

Promises: nothing is trusted here. Leaves to others: what the bytes are worth (`tuf_client`,
`verification`), and how a web server is asked (`downloads`).

    reader = open_reader("https://cdn.example/releases", network=guard)
    b"".join(reader.chunks("metadata/timestamp.json"))
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Protocol

from bundlers.errors import TooLarge
from bundlers.publishing.layout.published_paths import check_path
from casstore.errors import NoSuchObject, PolicyViolation, StorageUnavailable
from casstore.storage import Storage, open_storage
from casstore.storage.base import os_error

if TYPE_CHECKING:
    from casstore.network.network import NetworkGuard

_PIECE = 256 * 1024


class Reader(Protocol):
    """Files by relative name. Errors: NoSuchObject, StorageUnavailable, PolicyViolation."""

    @property
    def url(self) -> str:
        """For reports and for the state that belongs to this source."""

    @property
    def remote(self) -> bool:
        """Whether reading needs the network."""

    def chunks(self, path: str) -> Iterator[bytes]:
        """The file's bytes in pieces. Raises NoSuchObject before the first piece."""

    def part(self, path: str, start: int, end: int) -> Iterator[bytes]:
        """The bytes from `start` to before `end`. Raises NoSuchObject; NoRanges where parts are not served."""


def open_reader(url: str, *, network: NetworkGuard | None) -> Reader:
    """A reader for a folder, `file://`, `http(s)://` or a storage URL. Opens no socket yet for http."""
    if url.startswith(("http://", "https://")):
        if network is None:
            raise PolicyViolation(f"{url}: no network policy was given; no socket was opened")
        from bundlers.consuming.downloads import HttpReader

        return HttpReader(url, network)
    storage = open_storage(url, network=network)
    return FolderReader(storage.local_path) if storage.local_path else StorageReader(storage)


def read_all(reader: Reader, path: str, *, max_bytes: int) -> bytes:
    """A whole small file. Raises TooLarge when it is larger than `max_bytes`."""
    pieces, size = [], 0
    for piece in reader.chunks(path):
        size += len(piece)
        if size > max_bytes:
            raise TooLarge(f"{reader.url}/{path}: larger than {max_bytes} bytes")
        pieces.append(piece)
    return b"".join(pieces)


class FolderReader:
    """A published folder."""

    def __init__(self, folder: str) -> None:
        self._folder = os.path.abspath(folder)

    @property
    def url(self) -> str:
        """The absolute folder."""
        return self._folder

    @property
    def remote(self) -> bool:
        """Never."""
        return False

    def chunks(self, path: str) -> Iterator[bytes]:
        """The file's bytes in pieces."""
        name = os.path.join(self._folder, *check_path(path).split("/"))
        try:
            file = open(name, "rb")  # noqa: SIM115 - closed by the generator below
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as exc:
            raise NoSuchObject(f"{name}: no such file") from exc
        except OSError as exc:
            raise os_error(exc, name, writing=False) from exc
        return _pieces(file, name)

    def part(self, path: str, start: int, end: int) -> Iterator[bytes]:
        """The bytes from `start` to before `end`."""
        for piece in self.chunks(path):
            yield piece[max(0, start) : max(0, end)]
            start, end = start - len(piece), end - len(piece)
            if end <= 0:
                return


class StorageReader:
    """A bucket, through the storage adapter of its scheme."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    @property
    def url(self) -> str:
        """The storage's URL."""
        return self._storage.url

    @property
    def remote(self) -> bool:
        """All but the memory scheme."""
        return not self.url.startswith("memory:")

    def chunks(self, path: str) -> Iterator[bytes]:
        """The object's bytes in pieces."""
        size = self._storage.size(check_path(path))
        if size is None:
            raise NoSuchObject(f"{self.url}/{path}: no such object")
        return (self._storage.read(path, offset, _PIECE) for offset in range(0, size, _PIECE))

    def part(self, path: str, start: int, end: int) -> Iterator[bytes]:
        """The bytes from `start` to before `end`."""
        for offset in range(start, end, _PIECE):
            yield self._storage.read(check_path(path), offset, min(_PIECE, end - offset))


def _pieces(file: Any, name: str) -> Iterator[bytes]:
    with file:
        while True:
            try:
                piece: bytes = file.read(_PIECE)
            except (OSError, ValueError) as exc:
                raise StorageUnavailable(
                    f"{name}: reading broke off: {exc or type(exc).__name__}", hint="try again"
                ) from exc
            if not piece:
                return
            yield piece
