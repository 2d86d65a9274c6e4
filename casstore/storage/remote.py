"""Object stores: one create loop over whatever client speaks to the server.

The server's condition (put-if-absent in one request) decides who wins; the loop only turns
every uncertain answer into a certain one, by reading back. A client (`obstore_client`,
`fsspec_client`) moves bytes and sorts answers into three: done, `Taken`, `Unsure`.

    RemoteStorage("s3://bucket/prefix", client).create(key, entry)
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Protocol

from attest.digests import Digest, from_hex
from attest.errors import CasstoreError
from casstore.errors import NoSuchObject, NotWritable, StorageUnavailable
from casstore.storage.base import check_create, check_key, os_error
from casstore.storage.refusals import unreachable

ATTEMPTS = 6
_PAUSE = 0.05
_random = secrets.SystemRandom()


class Taken(Exception):
    """The answer says that the key is there: another writer's, or our own earlier try."""


class Unsure(Exception):
    """No certain answer: a time-out, a reset, a conflict of two requests, a server error."""


class Client(Protocol):
    """What speaks to one bucket, under one prefix. May raise StorageUnavailable and NotWritable."""

    def put_new(self, key: str, data: bytes) -> None:
        """Put if absent in one request. Raises Taken, Unsure."""

    def put(self, key: str, data: bytes) -> None:
        """Put, whatever is there. Raises Unsure."""

    def put_path(self, key: str, path: str) -> None:
        """Put a file. Raises Unsure."""

    def copy(self, source: str, key: str) -> None:
        """Put what lies under another key, by the server, no byte passing here. Raises Unsure."""

    def get(self, key: str, offset: int, length: int | None) -> bytes | None:
        """Bytes, None when there is no such object; b"" beyond its end. Raises Unsure."""

    def tail(self, key: str, length: int) -> tuple[bytes, int] | None:
        """The last bytes and the size of the whole, None when there is no such object. Raises Unsure."""

    def head(self, key: str) -> int | None:
        """Size, None when there is no such object. Raises Unsure."""

    def list(self, folder: str) -> Iterator[str]:
        """All keys under a folder ("" = all). Raises Unsure."""

    def delete(self, key: str) -> None:
        """Remove; no error when there is none. Raises Unsure."""

    def modified(self, key: str) -> datetime | None:
        """When an object was written, by the server's clock. Raises Unsure."""


class RemoteStorage:
    """A bucket, or a prefix of one."""

    def __init__(self, url: str, client: Client, *, read_only: bool = False) -> None:
        self._url = url
        self._client = client
        self._read_only = read_only

    @property
    def url(self) -> str:
        """The URL that it was opened with."""
        return self._url

    @property
    def read_only(self) -> bool:
        """Whether nothing can be written through this scheme."""
        return self._read_only

    @property
    def local_path(self) -> str | None:
        """There is no folder."""
        return None

    def create(self, key: str, data: bytes) -> bool:
        """Put if absent; see `Storage.create`."""
        check_create(key, data)
        self._check_writable()
        for attempt in range(ATTEMPTS):
            try:
                self._client.put_new(key, data)
                return True
            except (Taken, Unsure) as exc:
                reason = exc
            stored = self._read_back(key)
            if stored is not None:
                return stored == data
            _pause(attempt)  # it did not land, or not yet: the same bytes once more
        raise self._unavailable(f"{key} cannot be written", reason)

    def put_file(self, key: str, path: str, digest: Digest, *, new: bool = False) -> None:
        """Upload a file to the key that its content names; see `Storage.put_file`."""
        self._check_writable()
        size = _check_file(path, digest)
        for attempt in range(ATTEMPTS):
            try:
                if not new and self._client.head(check_key(key)) == size:
                    return
                self._client.put_path(key, path)
                return
            except Unsure as exc:
                reason = exc
            _pause(attempt)
        raise self._unavailable(f"{key} cannot be written", reason)

    def copy(self, source: str, key: str) -> None:
        """See `CopyingStorage.copy`."""
        self._check_writable()
        size = self.size(source)
        for attempt in range(ATTEMPTS):
            try:
                self._client.copy(check_key(source), check_key(key))
                if self._client.head(key) == size:
                    return
                reason: Exception = Unsure("the copy has another length")
            except Unsure as exc:
                reason = exc
            _pause(attempt)
        raise self._unavailable(f"{key} cannot be written", reason)

    def mend(self, key: str, path: str, digest: Digest) -> None:
        """Upload over what is there; see `Storage.mend`."""
        self._check_writable()
        _check_file(path, digest)
        for attempt in range(ATTEMPTS):
            try:
                self._client.put_path(check_key(key), path)
                return
            except Unsure as exc:
                reason = exc
            _pause(attempt)
        raise self._unavailable(f"{key} cannot be written", reason)

    def replace(self, key: str, data: bytes) -> None:
        """Write whole; see `Storage.replace`."""
        self._check_writable()
        for attempt in range(ATTEMPTS):
            try:
                self._client.put(check_key(key), data)
                return
            except Unsure as exc:
                reason = exc
            _pause(attempt)
        raise self._unavailable(f"{key} cannot be written", reason)

    def read(self, key: str, offset: int = 0, length: int | None = None) -> bytes:
        """Bytes of an object; see `Storage.read`."""
        if length == 0:
            return b""
        data = self._get(check_key(key), offset, length)
        if data is None:
            raise NoSuchObject(f"{self._url}: no such object: {key}")
        return data

    def read_tail(self, key: str, length: int) -> tuple[bytes, int]:
        """See `Storage.read_tail`."""
        for attempt in range(ATTEMPTS):
            try:
                if (found := self._client.tail(check_key(key), length)) is None:
                    raise NoSuchObject(f"{self._url}: no such object: {key}")
                return found
            except Unsure as exc:
                reason = exc
            _pause(attempt)
        raise self._unavailable(f"{key} cannot be read", reason)

    def size(self, key: str) -> int | None:
        """Length in bytes, or None."""
        for attempt in range(ATTEMPTS):
            try:
                return self._client.head(check_key(key))
            except Unsure as exc:
                reason = exc
            _pause(attempt)
        raise self._unavailable(f"{key} cannot be looked up", reason)

    def list(self, prefix: str) -> Iterator[str]:
        """All keys with this prefix."""
        folder = prefix.rpartition("/")[0]
        try:
            yield from (key for key in self._client.list(folder) if key.startswith(prefix))
        except Unsure as exc:
            raise self._unavailable(f"{prefix or 'the bucket'} cannot be listed", exc) from exc

    def delete(self, keys: Iterable[str]) -> None:
        """Remove objects."""
        self._check_writable()
        for key in keys:
            try:
                self._client.delete(check_key(key))
            except Unsure as exc:
                raise self._unavailable(f"{key} cannot be deleted", exc) from exc

    def clock(self) -> datetime | None:
        """What the server's clock shows: it dates an object that is written for that and removed again."""
        key = f"probe/clock-{secrets.token_hex(8)}"
        try:
            self._client.put(check_key(key), key.encode())
            try:
                return self._client.modified(key)
            finally:
                self._client.delete(key)
        except Unsure as exc:
            raise self._unavailable("its clock cannot be asked", exc) from exc

    def _get(self, key: str, offset: int, length: int | None) -> bytes | None:
        for attempt in range(ATTEMPTS):
            try:
                return self._client.get(key, offset, length)
            except Unsure as exc:
                reason = exc
            _pause(attempt)
        raise self._unavailable(f"{key} cannot be read", reason)

    def _read_back(self, key: str) -> bytes | None:
        return self._get(key, 0, None)

    def _check_writable(self) -> None:
        if self._read_only:
            raise NotWritable(
                f"{self._url}: this scheme is read-only, it has no proven exclusive create",
                hint="keep the store in a folder, or under s3://, az:// or gs://",
            )

    def _told(self) -> CasstoreError | None:
        """Why, as the answer to a listing says it: one about a name alone has no words."""
        try:
            next(iter(self._client.list("")), None)
        except CasstoreError as exc:
            return exc
        except Unsure as exc:
            return unreachable(exc, self._url)
        return None

    def _unavailable(self, what: str, reason: Exception) -> CasstoreError:
        return (
            unreachable(reason, self._url)
            or self._told()
            or StorageUnavailable(
                f"{self._url}: {what}: {_one_line(reason)}", hint="check the network and the server, then run it again"
            )
        )


def _check_file(path: str, digest: Digest) -> int:
    """The size of a file whose bytes have this digest."""
    try:
        with open(path, "rb") as file:
            found = from_hex(hashlib.file_digest(file, "sha256").hexdigest())
            size = file.tell()
    except OSError as exc:
        raise os_error(exc, path, writing=False) from exc
    if found != digest:
        raise StorageUnavailable(f"{path}: its bytes are not {digest}; nothing was stored")
    return size


def _one_line(reason: Exception) -> str:
    text = " ".join(str(reason.__cause__ or reason).split())
    return text[:200] or type(reason).__name__


def _pause(attempt: int) -> None:
    time.sleep(_random.uniform(0, _PAUSE * 2**attempt))
