"""The second client: a file system of fsspec, for machines without obstore and for other schemes.

Only s3fs, adlfs and gcsfs were seen to create exclusively (single put requests); what they
raise when they lose differs and is sorted here. Listing caches stay off: with one, another
writer's new object "does not exist".
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from attest.errors import NotInstalled
from casstore.errors import NoSuchStore, NotWritable, StorageUnavailable
from casstore.storage.refusals import refused, shown
from casstore.storage.remote import Taken, Unsure


def filesystem(protocol: str, **options: Any) -> Any:
    """A file system without caches. Raises NotInstalled when its package is missing."""
    import fsspec

    try:
        return fsspec.filesystem(protocol, use_listings_cache=False, skip_instance_cache=True, **options)
    except ImportError as exc:
        raise NotInstalled(f"no client for {protocol}:// is installed: {exc}") from exc


class FsspecClient:
    """A bucket through a file system of fsspec."""

    def __init__(self, fs: Any, root: str, url: str) -> None:
        self._url = url
        self._fs = fs
        self._root = root.rstrip("/")

    def put_new(self, key: str, data: bytes) -> None:
        """Put if absent in one request."""
        with _sorted(self._url, creating=True):
            self._fs.pipe_file(self._path(key), data, mode="create")

    def put(self, key: str, data: bytes) -> None:
        """Put, whatever is there."""
        with _sorted(self._url):
            self._fs.pipe_file(self._path(key), data)

    def put_path(self, key: str, path: str) -> None:
        """Upload a file."""
        with _sorted(self._url):
            self._fs.put_file(path, self._path(key))

    def copy(self, source: str, key: str) -> None:
        """Copy by the server."""
        with _sorted(self._url):
            self._fs.cp_file(self._path(source), self._path(key))

    def get(self, key: str, offset: int, length: int | None) -> bytes | None:
        """Bytes or None."""
        stop = None if length is None else offset + length
        with _sorted(self._url):
            try:
                return bytes(self._fs.cat_file(self._path(key), start=offset or None, end=stop))
            except FileNotFoundError as exc:
                if _certain(exc, self._url):
                    raise
                return None
            except (OSError, ValueError) as exc:
                if _certain(exc, self._url):
                    raise
                size = self.head(key)
                if size is not None and offset >= size:  # a range that starts at or beyond the end
                    return b""
                raise

    def tail(self, key: str, length: int) -> tuple[bytes, int] | None:
        """The last bytes, by two requests."""
        size = self.head(key)
        if not size:
            return None if size is None else (b"", 0)
        data = self.get(key, max(0, size - length), min(size, length))
        return None if data is None else (data, size)

    def head(self, key: str) -> int | None:
        """Size or None."""
        with _sorted(self._url):
            try:
                return int(self._fs.info(self._path(key))["size"])
            except FileNotFoundError:
                return None

    def modified(self, key: str) -> datetime | None:
        """When the server says that it was written; None where the file system does not tell."""
        with _sorted(self._url):
            try:
                found: Any = self._fs.modified(self._path(key))
            except NotImplementedError:
                return None
        return found.astimezone(UTC) if isinstance(found, datetime) and found.tzinfo else None

    def list(self, folder: str) -> Iterator[str]:
        """All keys under a folder."""
        top = f"{self._root}/{folder}".rstrip("/")
        with _sorted(self._url):
            for path in self._fs.find(top):
                yield str(path).removeprefix(f"{self._root}/")

    def delete(self, key: str) -> None:
        """Remove."""
        with _sorted(self._url):
            try:
                self._fs.rm_file(self._path(key))
            except FileNotFoundError:
                return

    def _path(self, key: str) -> str:
        return f"{self._root}/{key}"


@contextmanager
def _sorted(url: str, *, creating: bool = False) -> Iterator[None]:
    """Foreign errors into: taken, unsure, refused."""
    try:
        yield
    except (NoSuchStore, NotWritable, StorageUnavailable, Taken, Unsure, KeyboardInterrupt):
        raise
    except FileExistsError as exc:
        raise (Taken if creating else Unsure) from exc
    except OSError as exc:
        if (plain := refused(exc, url)) is not None:
            raise plain from exc
        if isinstance(exc, PermissionError):
            raise NotWritable(f"{shown(url)}: it refuses these credentials: {exc}", hint="check them") from exc
        if isinstance(exc, FileNotFoundError):
            raise StorageUnavailable(f"{shown(url)}: the bucket cannot do that: {exc}") from exc
        if exc.errno == errno.EINVAL:  # s3fs: 412 from a server that does not name the condition
            raise (Taken if creating else Unsure) from exc
        raise Unsure from exc
    except Exception as exc:  # botocore's, aiohttp's and azure's own roots are not importable without them
        if (plain := refused(exc, url)) is not None:
            raise plain from exc
        raise Unsure from exc


def _certain(exc: Exception, url: str) -> bool:
    return refused(exc, url) is not None
