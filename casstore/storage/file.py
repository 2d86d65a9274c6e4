"""`file`: a folder. Exclusive create is temporary file + fsync + hard link (or exclusive rename) + fsync of the folder.

`os.link` is atomic and refuses an existing name, and the name shows complete bytes only.
What a crash leaves are files whose names start with a dot; they are no keys and nobody sees them.

    storage = FileStorage("/srv/store")
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO

from attest.digests import Digest, from_hex
from attest.errors import BadInput
from casstore.errors import NoSuchObject, NoSuchStore, NotWritable, StorageUnavailable
from casstore.machine.modes import set_mode
from casstore.machine.naming import NO_LINKS, give_name
from casstore.storage.base import check_create, check_key, os_error

_COPY = 1024 * 1024


class FileStorage:
    """A folder on a POSIX file system that has hard links, or a rename that replaces nothing."""

    def __init__(self, folder: str, *, read_only: bool = False) -> None:
        self._folder = os.path.abspath(folder)
        self._read_only = read_only
        self._held: set[str] = set()
        """Folders whose own names are on the disk, as far as this handle has seen to it."""

    @property
    def url(self) -> str:
        """The absolute folder."""
        return self._folder

    @property
    def read_only(self) -> bool:
        """Whether this handle refuses to write."""
        return self._read_only

    @property
    def local_path(self) -> str | None:
        """The absolute folder."""
        return self._folder

    def create(self, key: str, data: bytes) -> bool:
        """Put if absent; see `Storage.create`."""
        check_create(key, data)
        path = self._writable(key)
        with _wrapped(path, writing=True):
            if not os.path.lexists(path):
                return self._link_new(path, data)
            self._sync(os.path.dirname(path))  # whoever made it may not have come that far
            return _read(path, 0, None) == data

    def _link_new(self, path: str, data: bytes) -> bool:
        folder = os.path.dirname(path)
        make_folder(folder)
        temp = _write_temp(folder, lambda file: file.write(data))
        try:
            won = _link(temp, path)
        finally:
            _drop(temp)
        self._sync(folder)
        return won or _read(path, 0, None) == data

    def put_file(self, key: str, path: str, digest: Digest, *, new: bool = False) -> None:
        """Copy a file to the key that its content names; see `Storage.put_file`."""
        target = self._writable(check_key(key))
        with _wrapped(target, writing=True):
            if new or not os.path.isfile(target) or os.path.getsize(target) != os.path.getsize(path):
                self.mend(key, path, digest)
            else:
                self._sync(os.path.dirname(target))

    def mend(self, key: str, path: str, digest: Digest) -> None:
        """One rename; see `Storage.mend`."""
        target = self._writable(check_key(key))
        with _wrapped(target, writing=True):
            folder = os.path.dirname(target)
            make_folder(folder)
            _rename(_write_temp(folder, lambda file: _copy(path, file, digest)), target)
            self._sync(folder)

    def replace(self, key: str, data: bytes) -> None:
        """One rename; see `Storage.replace`."""
        path = self._writable(check_key(key))
        with _wrapped(path, writing=True):
            folder = os.path.dirname(path)
            make_folder(folder)
            _rename(_write_temp(folder, lambda file: file.write(data)), path)
            self._sync(folder)

    def read(self, key: str, offset: int = 0, length: int | None = None) -> bytes:
        """Bytes of an object; see `Storage.read`."""
        path = self._path(key)
        try:
            with _wrapped(path, writing=False):
                return _read(path, offset, length)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as exc:
            raise NoSuchObject(f"{path}: no such object") from exc

    def read_tail(self, key: str, length: int) -> tuple[bytes, int]:
        """See `Storage.read_tail`."""
        size = self.size(key) or 0
        return self.read(key, max(0, size - length)), size

    def size(self, key: str) -> int | None:
        """Length in bytes, or None."""
        try:
            return os.stat(self._path(key)).st_size
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as exc:
            raise os_error(exc, self._path(key), writing=False) from exc

    def list(self, prefix: str) -> Iterator[str]:
        """All keys with this prefix; temporary files are no keys."""
        top = os.path.join(self._folder, os.path.dirname(prefix)) if prefix else self._folder
        for folder, folders, files in os.walk(top, onerror=_raise):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            inside = os.path.relpath(folder, self._folder)
            for name in sorted(files):
                key = name if inside == "." else f"{inside}/{name}".replace(os.sep, "/")
                if not name.startswith(".") and key.startswith(prefix):
                    yield key

    def delete(self, keys: Iterable[str]) -> None:
        """Remove objects and make the removal durable."""
        folders = set()
        for key in keys:
            path = self._writable(check_key(key))
            with _wrapped(path, writing=True), contextlib.suppress(FileNotFoundError):
                os.unlink(path)
                folders.add(os.path.dirname(path))
        for folder in folders:
            with _wrapped(folder, writing=True):
                sync_folder(folder)

    def _sync(self, folder: str) -> None:
        """The names in a folder are on the disk; once for each, so is its own name, up to the storage's top."""
        sync_folder(folder)
        if folder not in self._held:
            above = folder
            while above != self._folder:
                above = os.path.dirname(above)
                sync_folder(above)
            self._held.add(folder)

    def _path(self, key: str) -> str:
        return os.path.join(self._folder, *check_key(key).split("/"))

    def _writable(self, key: str) -> str:
        if self._read_only:
            raise NotWritable(f"{self._folder}: opened for reading only")
        return self._path(key)


def open_file(folder: str, *, create: bool) -> FileStorage:
    """The folder as a storage. Raises NoSuchStore unless it is there or `create`; BadInput for a file."""
    if os.path.isdir(folder):
        return FileStorage(folder)
    if os.path.lexists(folder):
        raise BadInput(f"{folder}: not a folder")
    if not create:
        raise NoSuchStore(f"{folder}: no such folder", hint="make a store there with: casstore init")
    with _wrapped(folder, writing=True):
        make_folder(os.path.abspath(folder))
    return FileStorage(folder)


def make_folder(folder: str, mode: int | None = None) -> None:
    """The folder and those above it, each one durable in the one that holds it; `mode`: whatever the umask says."""
    missing = []
    while not os.path.isdir(folder):
        missing.append(folder)
        folder = os.path.dirname(folder)
    for path in reversed(missing):
        with contextlib.suppress(FileExistsError):
            os.mkdir(path)
            if mode is not None:
                set_mode(path, mode)
        sync_folder(os.path.dirname(path))


def sync_folder(folder: str) -> None:
    """fsync of a folder: its names are on the disk."""
    fd = os.open(folder, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _write_temp(folder: str, write: Callable[[BinaryIO], object]) -> str:
    """A synced temporary file in this folder; a failed fsync drops it for good."""
    temp = os.path.join(folder, f".tmp-{os.getpid()}-{os.urandom(8).hex()}")
    try:
        with open(temp, "xb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        _drop(temp)
        raise
    return temp


def _rename(temp: str, path: str) -> None:
    try:
        os.replace(temp, path)
    except BaseException:
        _drop(temp)
        raise


def _drop(temp: str) -> None:
    """What cannot be removed is no key and harms nobody."""
    with contextlib.suppress(OSError):
        os.unlink(temp)


def _link(temp: str, path: str) -> bool:
    """Whether we gave the name. A network file system may answer "exists" to its own repeated call."""
    try:
        give_name(temp, path)
    except FileExistsError:
        try:
            return os.stat(temp).st_nlink == 2
        except FileNotFoundError:  # it was renamed: the answer was to a repeated call
            return True
    except OSError as exc:
        if exc.errno in NO_LINKS:
            raise NotWritable(
                f"{path}: this file system gives a name to no file exclusively, a store cannot be kept on it",
                hint="use a local POSIX file system or a bucket",
            ) from exc
        raise
    return True


def _copy(source: str, file: BinaryIO, digest: Digest) -> None:
    hasher = hashlib.sha256()
    with open(source, "rb") as reader:
        while piece := reader.read(_COPY):
            hasher.update(piece)
            file.write(piece)
    if from_hex(hasher.hexdigest()) != digest:
        raise StorageUnavailable(f"{source}: its bytes are not {digest}; nothing was stored")


def _read(path: str, offset: int, length: int | None) -> bytes:
    with open(path, "rb", buffering=0) as file:
        if offset:
            file.seek(offset)
        if length is None:
            return file.readall()
        pieces = []
        while length > 0 and (piece := file.read(length)):
            pieces.append(piece)
            length -= len(piece)
        return b"".join(pieces)


@contextlib.contextmanager
def _wrapped(what: str, *, writing: bool) -> Iterator[None]:
    """Operating system errors as ours; "no such file" passes, its meaning is the caller's."""
    try:
        yield
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as exc:
        if writing:
            raise os_error(exc, what, writing=True) from exc
        raise
    except OSError as exc:
        raise os_error(exc, what, writing=writing) from exc


def _raise(exc: OSError) -> None:
    if not isinstance(exc, FileNotFoundError):
        raise os_error(exc, str(exc.filename), writing=False) from exc
