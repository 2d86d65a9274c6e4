"""The fast client: obstore through its own API (its fsspec adapter drops the create mode).

`put(mode="create")` never uses multipart, so the condition reaches the server; an answer
"exists" may be about our own retried request and is only `Taken`.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from casstore.storage.bucket_client import BucketClient

_CHUNK = 8 * 1024 * 1024
_CONNECTIONS = 4


def client_options(*, allow_http: bool) -> dict[str, Any]:
    """Time-outs: none that a slow, living transfer would hit."""
    return {"allow_http": allow_http, "connect_timeout": "10s", "timeout": "600s"}


def retry_config() -> dict[str, Any]:
    """Few retries inside: the create loop has its own, with a look at what is there."""
    return {"max_retries": 3, "retry_timeout": timedelta(seconds=60)}


class ObstoreClient(BucketClient):
    """A bucket through obstore."""

    def __init__(self, store: Any, url: str = "") -> None:
        from obstore import exceptions

        super().__init__(url)
        self._store = store
        self.foreign = (exceptions.BaseError, OSError, ValueError)

    def tail(self, key: str, length: int) -> tuple[bytes, int] | None:
        """The last bytes by one request; by two where the server knows no ranges from the end (Azure)."""
        import obstore

        with self._sorted():
            try:
                found = obstore.get(self._store, key, options={"range": {"suffix": length}})
                return bytes(found.bytes()), found.meta["size"]
            except FileNotFoundError as exc:
                self._check_bucket(exc)
                return None
            except obstore.exceptions.NotSupportedError:
                return super().tail(key, length)
            except obstore.exceptions.BaseError as exc:
                if self._refusal(exc) is None and self.head(key) == 0:  # of nothing there is no range
                    return b"", 0
                raise

    def _means_there(self, exc: Exception) -> bool:
        from obstore import exceptions

        return isinstance(exc, exceptions.AlreadyExistsError | exceptions.PreconditionError)

    def _means_never(self, exc: Exception) -> bool:
        from obstore import exceptions

        return isinstance(exc, FileNotFoundError | exceptions.NotSupportedError | exceptions.InvalidPathError)

    def _create(self, key: str, data: bytes) -> None:
        import obstore

        obstore.put(self._store, key, data, mode="create", use_multipart=False)

    def _write(self, key: str, data: bytes) -> None:
        import obstore

        obstore.put(self._store, key, data, use_multipart=False)

    def _upload(self, key: str, path: str) -> None:
        import obstore

        obstore.put(self._store, key, Path(path), chunk_size=_CHUNK, max_concurrency=_CONNECTIONS)

    def _copy(self, source: str, key: str) -> None:
        import obstore

        obstore.copy(self._store, source, key)

    def _read(self, key: str, offset: int, length: int | None) -> bytes:
        import obstore

        if length is not None:
            return bytes(obstore.get_range(self._store, key, start=offset, length=length))
        options: Any = {"range": {"offset": offset}} if offset else None
        return bytes(obstore.get(self._store, key, options=options).bytes())

    def _size(self, key: str) -> int:
        import obstore

        return obstore.head(self._store, key)["size"]

    def _written(self, key: str) -> datetime | None:
        import obstore

        found: datetime = obstore.head(self._store, key)["last_modified"]
        return found.astimezone(UTC)

    def _names(self, folder: str) -> Iterator[str]:
        import obstore

        for page in obstore.list(self._store, folder or None, chunk_size=1000):
            yield from (item["path"] for item in page)

    def _remove(self, key: str) -> None:
        import obstore

        obstore.delete(self._store, key)
