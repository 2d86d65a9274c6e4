"""The fast client: obstore through its own API (its fsspec adapter drops the create mode).

`put(mode="create")` never uses multipart, so the condition reaches the server; an answer
"exists" may be about our own retried request and is only `Taken`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from casstore.errors import StorageUnavailable
from casstore.storage.refusals import refused, shown
from casstore.storage.remote import Taken, Unsure

_CHUNK = 8 * 1024 * 1024
_CONNECTIONS = 4


def client_options(*, allow_http: bool) -> dict[str, Any]:
    """Time-outs: none that a slow, living transfer would hit."""
    return {"allow_http": allow_http, "connect_timeout": "10s", "timeout": "600s"}


def retry_config() -> dict[str, Any]:
    """Few retries inside: the create loop has its own, with a look at what is there."""
    return {"max_retries": 3, "retry_timeout": timedelta(seconds=60)}


class ObstoreClient:
    """A bucket through obstore."""

    def __init__(self, store: Any, url: str = "") -> None:
        self._store = store
        self._url = url

    def put_new(self, key: str, data: bytes) -> None:
        """Put if absent in one request."""
        import obstore

        with _sorted(self._url, creating=True):
            obstore.put(self._store, key, data, mode="create", use_multipart=False)

    def put(self, key: str, data: bytes) -> None:
        """Put, whatever is there."""
        import obstore

        with _sorted(self._url):
            obstore.put(self._store, key, data, use_multipart=False)

    def put_path(self, key: str, path: str) -> None:
        """Upload a file in parts."""
        import obstore

        with _sorted(self._url):
            obstore.put(self._store, key, Path(path), chunk_size=_CHUNK, max_concurrency=_CONNECTIONS)

    def copy(self, source: str, key: str) -> None:
        """Copy by the server."""
        import obstore

        with _sorted(self._url):
            obstore.copy(self._store, source, key)

    def get(self, key: str, offset: int, length: int | None) -> bytes | None:
        """Bytes or None."""
        import obstore

        with _sorted(self._url):
            try:
                if length is not None:
                    return bytes(obstore.get_range(self._store, key, start=offset, length=length))
                options: Any = {"range": {"offset": offset}} if offset else None
                return bytes(obstore.get(self._store, key, options=options).bytes())
            except FileNotFoundError as exc:
                _check_bucket(exc, self._url)
                return None
            except obstore.exceptions.BaseError as exc:
                if (length is None and not offset) or refused(exc, self._url):
                    raise
                size = self.head(key)
                if size is not None and offset >= size:  # a range that starts at or beyond the end
                    return b""
                raise

    def tail(self, key: str, length: int) -> tuple[bytes, int] | None:
        """The last bytes by one request; by two where the server knows no ranges from the end (Azure)."""
        import obstore

        with _sorted(self._url):
            try:
                found = obstore.get(self._store, key, options={"range": {"suffix": length}})
                return bytes(found.bytes()), found.meta["size"]
            except FileNotFoundError as exc:
                _check_bucket(exc, self._url)
                return None
            except obstore.exceptions.NotSupportedError:
                size = self.head(key)
                if not size:
                    return None if size is None else (b"", 0)
                data = self.get(key, max(0, size - length), min(size, length))
                return None if data is None else (data, size)
            except obstore.exceptions.BaseError as exc:
                if refused(exc, self._url) is None and self.head(key) == 0:  # of nothing there is no range
                    return b"", 0
                raise

    def head(self, key: str) -> int | None:
        """Size or None."""
        import obstore

        with _sorted(self._url):
            try:
                return obstore.head(self._store, key)["size"]
            except FileNotFoundError:
                return None

    def modified(self, key: str) -> datetime | None:
        """When the server says that it was written."""
        import obstore

        with _sorted(self._url):
            found: datetime = obstore.head(self._store, key)["last_modified"]
            return found.astimezone(UTC)

    def list(self, folder: str) -> Iterator[str]:
        """All keys under a folder."""
        import obstore

        with _sorted(self._url):
            for page in obstore.list(self._store, folder or None, chunk_size=1000):
                yield from (item["path"] for item in page)

    def delete(self, key: str) -> None:
        """Remove."""
        import obstore

        with _sorted(self._url):
            try:
                obstore.delete(self._store, key)
            except FileNotFoundError:
                return


def _check_bucket(exc: FileNotFoundError, url: str) -> None:
    """The object is not there, and not the bucket. Raises NoSuchStore."""
    if (plain := refused(exc, url)) is not None:
        raise plain from exc


@contextmanager
def _sorted(url: str, *, creating: bool = False) -> Iterator[None]:
    """Foreign errors into: taken, unsure, not allowed."""
    from obstore import exceptions as foreign

    try:
        yield
    except (foreign.AlreadyExistsError, foreign.PreconditionError) as exc:
        raise (Taken if creating else Unsure) from exc
    except (foreign.BaseError, OSError, ValueError) as exc:
        if (plain := refused(exc, url)) is not None:
            raise plain from exc
        if isinstance(exc, (FileNotFoundError, foreign.NotSupportedError, foreign.InvalidPathError)):
            raise StorageUnavailable(f"{shown(url)}: the bucket cannot do that: {_first_line(exc)}") from exc
        raise Unsure from exc


def _first_line(exc: Exception) -> str:
    return str(exc).strip().splitlines()[0][:200] if str(exc).strip() else type(exc).__name__
