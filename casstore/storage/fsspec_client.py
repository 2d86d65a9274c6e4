"""The second client: a file system of fsspec, for machines without obstore and for other schemes.

Only s3fs, adlfs and gcsfs were seen to create exclusively (single put requests); what they
raise when they lose differs and is sorted here. Listing caches stay off: with one, another
writer's new object "does not exist".
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from attest.errors import CasstoreError, NotInstalled
from casstore.errors import NotWritable
from casstore.storage.bucket_client import BucketClient
from casstore.storage.refusals import shown


def filesystem(protocol: str, **options: Any) -> Any:
    """A file system without caches. Raises NotInstalled when its package is missing."""
    import fsspec

    try:
        return fsspec.filesystem(protocol, use_listings_cache=False, skip_instance_cache=True, **options)
    except ImportError as exc:
        raise NotInstalled(f"no client for {protocol}:// is installed: {exc}") from exc


class FsspecClient(BucketClient):
    """A bucket through a file system of fsspec."""

    def __init__(self, fs: Any, root: str, url: str) -> None:
        super().__init__(url)
        self._fs = fs
        self._root = root.rstrip("/")

    def _means_there(self, exc: Exception) -> bool:
        if isinstance(exc, OSError) and exc.errno == errno.EINVAL:  # s3fs: 412 of a server that names no condition
            return self._refusal(exc) is None
        return isinstance(exc, FileExistsError)

    def _means_never(self, exc: Exception) -> bool:
        return isinstance(exc, FileNotFoundError)

    def _refusal(self, exc: Exception) -> CasstoreError | None:
        plain = super()._refusal(exc)
        if plain is None and isinstance(exc, PermissionError):
            return NotWritable(f"{shown(self._url)}: it refuses these credentials: {exc}", hint="check them")
        return plain

    def _create(self, key: str, data: bytes) -> None:
        self._fs.pipe_file(self._path(key), data, mode="create")

    def _write(self, key: str, data: bytes) -> None:
        self._fs.pipe_file(self._path(key), data)

    def _upload(self, key: str, path: str) -> None:
        self._fs.put_file(path, self._path(key))

    def _copy(self, source: str, key: str) -> None:
        self._fs.cp_file(self._path(source), self._path(key))

    def _read(self, key: str, offset: int, length: int | None) -> bytes:
        stop = None if length is None else offset + length
        return bytes(self._fs.cat_file(self._path(key), start=offset or None, end=stop))

    def _size(self, key: str) -> int:
        return int(self._fs.info(self._path(key))["size"])

    def _written(self, key: str) -> datetime | None:
        try:
            found: Any = self._fs.modified(self._path(key))
        except NotImplementedError:
            return None
        return found.astimezone(UTC) if isinstance(found, datetime) and found.tzinfo else None

    def _names(self, folder: str) -> Iterator[str]:
        for path in self._fs.find(f"{self._root}/{folder}".rstrip("/")):
            yield str(path).removeprefix(f"{self._root}/")

    def _remove(self, key: str) -> None:
        self._fs.rm_file(self._path(key))

    def _path(self, key: str) -> str:
        return f"{self._root}/{key}"
