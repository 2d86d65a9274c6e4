"""What every client of a bucket has in common: its acts, each with what goes wrong sorted into few errors.

A client gives the acts themselves (`_create`, `_read`, ...), by a library of its own, and says of that library's errors
which one means "it is there already" and which one "it cannot do that". Everything else that a server may answer is
told once, in `refusals`; what nobody knows is `Unsure`, and the caller looks whether the bytes are there.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from attest.errors import CasstoreError
from casstore.errors import StorageUnavailable
from casstore.storage.refusals import refused, shown
from casstore.storage.remote import Taken, Unsure


class BucketClient(ABC):
    """See `remote.Client` for what each act promises."""

    foreign: type[Exception] | tuple[type[Exception], ...] = Exception
    """What its library may raise."""

    def __init__(self, url: str) -> None:
        self._url = url

    def put_new(self, key: str, data: bytes) -> None:
        """Put if absent in one request."""
        with self._sorted(creating=True):
            self._create(key, data)

    def put(self, key: str, data: bytes) -> None:
        """Put, whatever is there."""
        with self._sorted():
            self._write(key, data)

    def put_path(self, key: str, path: str) -> None:
        """Upload a file."""
        with self._sorted():
            self._upload(key, path)

    def copy(self, source: str, key: str) -> None:
        """Copy by the server."""
        with self._sorted():
            self._copy(source, key)

    def get(self, key: str, offset: int, length: int | None) -> bytes | None:
        """Bytes or None."""
        with self._sorted():
            try:
                return self._read(key, offset, length)
            except FileNotFoundError as exc:
                self._check_bucket(exc)
                return None
            except self.foreign as exc:
                if (length is None and not offset) or self._refusal(exc):
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
        with self._sorted():
            try:
                return self._size(key)
            except FileNotFoundError:
                return None

    def modified(self, key: str) -> datetime | None:
        """When the server says that it was written; None where it does not tell."""
        with self._sorted():
            return self._written(key)

    def list(self, folder: str) -> Iterator[str]:
        """All keys under a folder."""
        with self._sorted():
            yield from self._names(folder)

    def delete(self, key: str) -> None:
        """Remove."""
        with self._sorted():
            try:
                self._remove(key)
            except FileNotFoundError:
                return

    def _check_bucket(self, exc: FileNotFoundError) -> None:
        """The object is not there, and not the bucket. Raises NoSuchStore."""
        if (plain := self._refusal(exc)) is not None:
            raise plain from exc

    def _refusal(self, exc: Exception) -> CasstoreError | None:
        return refused(exc, self._url)

    @contextmanager
    def _sorted(self, *, creating: bool = False) -> Iterator[None]:
        """Foreign errors into: taken, unsure, refused."""
        try:
            yield
        except (CasstoreError, Taken, Unsure):
            raise
        except self.foreign as exc:
            if self._means_there(exc):
                raise (Taken if creating else Unsure) from exc
            if (plain := self._refusal(exc)) is not None:
                raise plain from exc
            if self._means_never(exc):
                raise StorageUnavailable(f"{shown(self._url)}: the bucket cannot do that: {_first_line(exc)}") from exc
            raise Unsure from exc

    @abstractmethod
    def _means_there(self, exc: Exception) -> bool: ...
    @abstractmethod
    def _means_never(self, exc: Exception) -> bool: ...
    @abstractmethod
    def _create(self, key: str, data: bytes) -> None: ...
    @abstractmethod
    def _write(self, key: str, data: bytes) -> None: ...
    @abstractmethod
    def _upload(self, key: str, path: str) -> None: ...
    @abstractmethod
    def _copy(self, source: str, key: str) -> None: ...
    @abstractmethod
    def _read(self, key: str, offset: int, length: int | None) -> bytes: ...
    @abstractmethod
    def _size(self, key: str) -> int: ...
    @abstractmethod
    def _written(self, key: str) -> datetime | None: ...
    @abstractmethod
    def _names(self, folder: str) -> Iterator[str]: ...
    @abstractmethod
    def _remove(self, key: str) -> None: ...


def _first_line(exc: Exception) -> str:
    return str(exc).strip().splitlines()[0][:200] if str(exc).strip() else type(exc).__name__
