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

from casstore.errors import NotWritable, StorageUnavailable
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

    def __init__(self, store: Any) -> None:
        self._store = store

    def put_new(self, key: str, data: bytes) -> None:
        """Put if absent in one request."""
        import obstore

        with _sorted(creating=True):
            obstore.put(self._store, key, data, mode="create", use_multipart=False)

    def put(self, key: str, data: bytes) -> None:
        """Put, whatever is there."""
        import obstore

        with _sorted():
            obstore.put(self._store, key, data, use_multipart=False)

    def put_path(self, key: str, path: str) -> None:
        """Upload a file in parts."""
        import obstore

        with _sorted():
            obstore.put(self._store, key, Path(path), chunk_size=_CHUNK, max_concurrency=_CONNECTIONS)

    def get(self, key: str, offset: int, length: int | None) -> bytes | None:
        """Bytes or None."""
        import obstore

        with _sorted():
            try:
                if length is not None:
                    return bytes(obstore.get_range(self._store, key, start=offset, length=length))
                options: Any = {"range": {"offset": offset}} if offset else None
                return bytes(obstore.get(self._store, key, options=options).bytes())
            except FileNotFoundError:
                return None
            except obstore.exceptions.BaseError:
                size = self.head(key)
                if size is not None and offset >= size:  # a range that starts at or beyond the end
                    return b""
                raise

    def head(self, key: str) -> int | None:
        """Size or None."""
        import obstore

        with _sorted():
            try:
                return obstore.head(self._store, key)["size"]
            except FileNotFoundError:
                return None

    def modified(self, key: str) -> datetime | None:
        """When the server says that it was written."""
        import obstore

        with _sorted():
            found: datetime = obstore.head(self._store, key)["last_modified"]
            return found.astimezone(UTC)

    def list(self, folder: str) -> Iterator[str]:
        """All keys under a folder."""
        import obstore

        with _sorted():
            for page in obstore.list(self._store, folder or None, chunk_size=1000):
                yield from (item["path"] for item in page)

    def delete(self, key: str) -> None:
        """Remove."""
        import obstore

        with _sorted():
            try:
                obstore.delete(self._store, key)
            except FileNotFoundError:
                return


@contextmanager
def _sorted(*, creating: bool = False) -> Iterator[None]:
    """Foreign errors into: taken, unsure, not allowed."""
    from obstore import exceptions as foreign

    try:
        yield
    except (foreign.AlreadyExistsError, foreign.PreconditionError) as exc:
        raise (Taken if creating else Unsure) from exc
    except (foreign.PermissionDeniedError, foreign.UnauthenticatedError) as exc:
        raise NotWritable(
            f"the bucket refuses these credentials: {_first_line(exc)}",
            hint="check the credentials in the environment and the rights of the bucket",
        ) from exc
    except (FileNotFoundError, foreign.NotSupportedError, foreign.InvalidPathError) as exc:
        raise StorageUnavailable(f"the bucket cannot do that: {_first_line(exc)}") from exc
    except (foreign.BaseError, OSError, ValueError) as exc:
        raise Unsure from exc


def _first_line(exc: Exception) -> str:
    return str(exc).strip().splitlines()[0][:200] if str(exc).strip() else type(exc).__name__
