"""Where a publication goes: a folder, or any storage URL that casstore can write.

Promises: a name gets its bytes once (`put`, `put_blob`: the same bytes are skipped, other bytes
raise Conflict and stay); what shows under a name is complete and durable; `point` alone replaces,
whole. Leaves to others: what to write and in which order (`publication`).

    destination = open_destination("./public", network=guard)
    destination.put("channels/prod.json", record)
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import field, replace
from typing import TYPE_CHECKING, BinaryIO, Protocol

from attest.core.values import dataclass
from attest.digests import Digest, from_hex, sha256
from attest.errors import BadInput
from bundlers.publishing.layout.published_paths import check_path
from bundlers.publishing.layout.tuf_repository import Lifetimes
from casstore.errors import Conflict, NoSuchObject, ObjectDamaged
from casstore.machine.modes import set_mode
from casstore.machine.naming import take_name
from casstore.storage import MAX_CREATE, Storage, open_storage
from casstore.storage.base import CopyingStorage, os_error
from casstore.storage.file import make_folder, sync_folder

if TYPE_CHECKING:
    from casstore.config import Config
    from casstore.network.network import NetworkGuard

_PIECE = 1024 * 1024
_FOLDER, _FILE = 0o755, 0o644
"""Modes of a site, which is there to be read, whatever the umask of who publishes."""


@dataclass(frozen=True, slots=True)
class DestinationSettings:
    """One `[destinations.<name>]` table."""

    name: str
    url: str
    fallback: str | None = None
    invalidate: tuple[str, ...] = ()
    invalidate_network: bool = False
    """Argument list run after the pointer is written; `{path}` stands for each changed pointer."""
    lifetimes: Lifetimes = field(default_factory=Lifetimes)


def settings_of(config: Config, name: str) -> DestinationSettings:
    """A destination of casstore.toml. Raises NoSuchObject, BadInput."""
    if name not in config.destinations:
        known = ", ".join(sorted(config.destinations)) or "none"
        raise NoSuchObject(f"casstore.toml names no destination {name!r}", hint=f"it names: {known}")
    table = config.destinations[name]
    if table.url.startswith("memory:") or table.fallback.startswith("memory:"):
        raise BadInput(
            f"destinations.{name}: memory:// is gone when the command ends, so nothing would be published",
            hint="name a folder, s3://, az:// or gs://",
        )
    if short := [role for role, days in table.expires_days.items() if days < 1]:
        raise BadInput(f"destinations.{name}: {short[0]} must live for a day at least")
    return DestinationSettings(
        name=name,
        url=config.absolute(table.url),
        fallback=config.absolute(table.fallback) if table.fallback else None,
        invalidate=tuple(table.invalidate),
        invalidate_network=table.invalidate_network,
        lifetimes=replace(Lifetimes(), **table.expires_days),
    )


@dataclass(frozen=True, slots=True)
class Blob:
    """Bytes to be put, known by digest; `chunks` gives them, verified, as often as asked."""

    digest: Digest
    size: int
    chunks: Callable[[], Iterable[bytes]]


class Destination(Protocol):
    """A place that serves static files."""

    @property
    def url(self) -> str:
        """For reports."""

    def read(self, path: str, *, most: int | None = None) -> bytes | None:
        """A small file's bytes, `most` of them, or None."""

    def has(self, path: str, size: int) -> bool:
        """Whether a file of this size is there (content-named files only: their bytes follow)."""

    def put_blob(self, path: str, blob: Blob) -> bool:
        """Put if absent. True = written, False = the same bytes were there. Raises Conflict."""

    def copy(self, source: str, path: str, blob: Blob) -> bool:
        """As `put_blob`; `source` is where the same bytes were put before (a hard link will do)."""

    def point(self, path: str, data: bytes) -> None:
        """Replace a pointer, whole or not at all."""

    def remove(self, paths: Sequence[str]) -> None:
        """Take files away; one that is not there is no error."""


def put(destination: Destination, path: str, data: bytes) -> bool:
    """As `put_blob`, for bytes at hand."""
    return destination.put_blob(path, Blob(sha256(data), len(data), lambda: (data,)))


def open_destination(url: str, *, network: NetworkGuard | None = None) -> Destination:
    """The destination at a URL; a folder is made. Raises BadInput, NotWritable, StorageUnavailable."""
    if "://" not in url:
        with _wrapped(url):
            make_folder(os.path.abspath(url), _FOLDER)
    storage = open_storage(url, network=network, create=True)
    return FolderDestination(storage.local_path) if storage.local_path else StorageDestination(storage)


class FolderDestination:
    """A folder; temporary file, fsync, hard link (absent) or rename (pointer), fsync of the folder."""

    def __init__(self, folder: str) -> None:
        self._folder = os.path.abspath(folder)

    @property
    def url(self) -> str:
        """The absolute folder."""
        return self._folder

    def read(self, path: str, *, most: int | None = None) -> bytes | None:
        """A small file's bytes, `most` of them, or None."""
        try:
            with open(self._path(path), "rb") as file:
                return file.read(most)
        except FileNotFoundError:
            return None
        except OSError as exc:
            raise os_error(exc, self._path(path), writing=False) from exc

    def has(self, path: str, size: int) -> bool:
        """Whether a file of this size is there."""
        target = self._path(path)
        return os.path.isfile(target) and os.path.getsize(target) == size

    def put_blob(self, path: str, blob: Blob) -> bool:
        """Put if absent; see `Destination.put_blob`."""
        target = self._path(path)
        with _wrapped(target):
            if os.path.lexists(target):
                return self._same(target, blob)
            make_folder(os.path.dirname(target), _FOLDER)
            temp = self._temp(os.path.dirname(target), blob.chunks(), blob.digest)
            return self._name(temp, target, blob)

    def copy(self, source: str, path: str, blob: Blob) -> bool:
        """A second name for the same bytes: a hard link, else a copy."""
        target = self._path(path)
        with _wrapped(target):
            if os.path.lexists(target):
                return self._same(target, blob)
            make_folder(os.path.dirname(target), _FOLDER)
            try:
                os.link(self._path(source), target)
            except FileExistsError:
                return self._same(target, blob)
            except OSError:
                return self.put_blob(path, blob)
            sync_folder(os.path.dirname(target))
            return True

    def point(self, path: str, data: bytes) -> None:
        """Replace by one rename."""
        target = self._path(path)
        with _wrapped(target):
            make_folder(os.path.dirname(target), _FOLDER)
            temp = self._temp(os.path.dirname(target), (data,), sha256(data))
            os.replace(temp, target)
            sync_folder(os.path.dirname(target))

    def remove(self, paths: Sequence[str]) -> None:
        """Their names; see `Destination.remove`."""
        for path in paths:
            with _wrapped(path), contextlib.suppress(FileNotFoundError):
                os.unlink(self._path(path))

    def _name(self, temp: str, target: str, blob: Blob) -> bool:
        try:
            take_name(temp, target)
        except FileExistsError:
            return self._same(target, blob)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temp)
        sync_folder(os.path.dirname(target))
        return True

    def _temp(self, folder: str, chunks: Iterable[bytes], digest: Digest) -> str:
        temp = os.path.join(folder, f".tmp-{os.getpid()}-{secrets.token_hex(8)}")
        try:
            with open(temp, "xb") as file:
                _write_verified(file, chunks, digest)
                file.flush()
                set_mode(file.fileno(), _FILE)
                os.fsync(file.fileno())
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temp)
            raise
        return temp

    def _same(self, target: str, blob: Blob) -> bool:
        if os.path.islink(target) or not os.path.isfile(target):
            raise Conflict(f"{target}: is no plain file; nothing was overwritten")
        with open(target, "rb") as file:
            _require_same(target, iter(lambda: file.read(_PIECE), b""), blob)
        sync_folder(os.path.dirname(target))  # whoever wrote it may not have come that far
        return False

    def _path(self, path: str) -> str:
        return os.path.join(self._folder, *check_path(path).split("/"))


class StorageDestination:
    """A bucket, through the storage adapter of its scheme."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    @property
    def url(self) -> str:
        """The storage's URL."""
        return self._storage.url

    def read(self, path: str, *, most: int | None = None) -> bytes | None:
        """A small file's bytes, `most` of them, or None."""
        try:
            return self._storage.read(check_path(path), 0, most)
        except NoSuchObject:
            return None

    def has(self, path: str, size: int) -> bool:
        """Whether an object of this size is there."""
        return self._storage.size(check_path(path)) == size

    def put_blob(self, path: str, blob: Blob) -> bool:
        """Put if absent; see `Destination.put_blob`."""
        if self._storage.size(check_path(path)) is not None:
            _require_same(f"{self.url}/{path}", self._pieces(path), blob)
            return False
        if blob.size <= MAX_CREATE:
            data = b"".join(blob.chunks())
            if not self._storage.create(path, data):
                raise _conflict(f"{self.url}/{path}")
            return True
        with tempfile.NamedTemporaryFile(prefix="casstore-publish-") as file:
            _write_verified(file, blob.chunks(), blob.digest)
            file.flush()
            self._storage.put_file(path, file.name, blob.digest)
        return True

    def copy(self, source: str, path: str, blob: Blob) -> bool:
        """By the server itself where it can, so that nothing is uploaded a second time; else as `put_blob`."""
        if not isinstance(self._storage, CopyingStorage) or self._storage.size(check_path(path)) is not None:
            return self.put_blob(path, blob)
        self._storage.copy(source, path)
        return True

    def point(self, path: str, data: bytes) -> None:
        """Replace by one PUT."""
        self._storage.replace(check_path(path), data)

    def remove(self, paths: Sequence[str]) -> None:
        """See `Destination.remove`."""
        if paths:
            self._storage.delete([check_path(path) for path in paths])

    def _pieces(self, path: str) -> Iterator[bytes]:
        offset = 0
        while piece := self._storage.read(path, offset, _PIECE):
            yield piece
            offset += len(piece)


def _write_verified(
    file: BinaryIO | tempfile._TemporaryFileWrapper[bytes], chunks: Iterable[bytes], digest: Digest
) -> None:
    hasher = hashlib.sha256()
    for chunk in chunks:
        hasher.update(chunk)
        file.write(chunk)
    if from_hex(hasher.hexdigest()) != digest:
        raise ObjectDamaged(f"{digest}: the bytes to be published are others; nothing was published")


def _require_same(where: str, pieces: Iterable[bytes], blob: Blob) -> None:
    hasher = hashlib.sha256()
    for piece in pieces:
        hasher.update(piece)
    if from_hex(hasher.hexdigest()) != blob.digest:
        raise _conflict(where)


def _conflict(where: str) -> Conflict:
    return Conflict(
        f"{where}: is published with other bytes; nothing was overwritten",
        hint="publish to an empty destination, or move the foreign file away",
    )


@contextlib.contextmanager
def _wrapped(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise os_error(exc, what, writing=True) from exc
