"""Where packs live: a folder of this machine, or any storage; making them durable and reading them.

A pack is written under a temporary name by `PackWriter` and becomes visible, whole and
durable by `adopt`, never before. Which objects a pack holds is left to the index.

    packs = LocalPacks("/store", Durability.BATCH)
    packs.adopt(writer.finish())
    packs.read(name, offset, size)
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from attest import digests
from attest.errors import FormatError
from casstore.errors import NoSuchObject, NotWritable
from casstore.machine import locks
from casstore.objects import mended
from casstore.objects.pack_format import PackTable
from casstore.objects.pack_reader import read_table
from casstore.objects.ranges import END, Ranges
from casstore.storage.base import os_error

if TYPE_CHECKING:
    from casstore.objects.pack_writer import SealedPack
    from casstore.storage.base import Storage

FOLDER = "packs"
TEMP = "tmp"
SUFFIX = ".pack"
LARGE = 64 * 1024 * 1024
"""From here on a pack stays alone: to gather it with others would write it twice."""
_OPEN_FILES = 64
_OLD_SECONDS = 3600
"""A pack that is written is locked; between its end and its name it is not, for as long as its fsync takes."""


class Durability(StrEnum):
    """What is on the disk when a put returns."""

    FULL = "full"
    """Packs, folders and the whole index, its last page too."""
    BATCH = "batch"
    """Packs and folders; the index may lag after a power cut and catches up from the packs."""
    NONE = "none"
    """Nothing is synced: for stores that can be made again."""


class Packs(Protocol):
    """All packs of one store."""

    def new_path(self) -> str:
        """A path for a temporary pack file. Raises NotWritable."""

    def adopt(self, sealed: SealedPack) -> int:
        """Make the pack visible under its name, and durable; its size. Raises StorageUnavailable."""

    def read(self, name: bytes, offset: int, size: int) -> bytes:
        """Stored bytes. Raises NoSuchObject, StorageUnavailable."""

    def size(self, name: bytes) -> int | None:
        """The pack's size in bytes, or None when there is no such pack."""

    def table(self, name: bytes) -> tuple[PackTable, int]:
        """(table, file size). Raises FormatError, NoSuchObject."""

    def names(self) -> Iterator[bytes]:
        """All packs there are: a listing."""

    def mended(self, name: bytes) -> tuple[bytes, ...] | None:
        """The packs that hold what this one held before it was mended; None when it was not."""

    def forget(self, name: bytes) -> None:
        """What is remembered of a pack counts no more: it is gone, or was replaced."""

    def close(self) -> None:
        """Close open files."""


def key_of(name: bytes) -> str:
    """The storage key of a pack."""
    hexdigits = name.hex()
    return f"{FOLDER}/{hexdigits[:2]}/{hexdigits}{SUFFIX}"


def name_of(file_name: str) -> bytes | None:
    """A pack's name by its file name, or None for other files."""
    if len(file_name) != 64 + len(SUFFIX) or not file_name.endswith(SUFFIX):
        return None
    try:
        return bytes.fromhex(file_name[:64])
    except ValueError:
        return None


class LocalPacks:
    """Packs in `<store>/packs/<hh>/`, temporary ones in `<store>/tmp/`."""

    def __init__(self, root: str, durability: Durability = Durability.BATCH) -> None:
        self.root = root
        self.durability = durability
        self._files: OrderedDict[bytes, int] = OrderedDict()
        self._lock = threading.Lock()
        self._held: set[str] = set()
        """Folders of packs whose own names are on the disk, as far as this handle has seen to it."""

    def new_path(self) -> str:
        """See `Packs`."""
        folder = os.path.join(self.root, TEMP)
        try:
            os.makedirs(folder, exist_ok=True)
        except OSError as exc:
            raise os_error(exc, folder, writing=True) from exc
        return os.path.join(folder, f"{os.getpid()}-{os.urandom(8).hex()}{SUFFIX}")

    def adopt(self, sealed: SealedPack) -> int:
        """fsync, rename, fsync of the folder, and of those above it whose names may not be on the disk yet."""
        target = self.path(sealed.name)
        folder = os.path.dirname(target)
        sync = self.durability is not Durability.NONE
        try:
            if sync:
                _sync(sealed.path)
            os.makedirs(folder, exist_ok=True)
            os.rename(sealed.path, target)
            if sync:
                _sync(folder)
                self._hold([folder])
        except OSError as exc:
            with contextlib.suppress(OSError):  # a failed fsync fails the put for good: never tried again
                os.unlink(sealed.path)
            raise os_error(exc, target, writing=True) from exc
        return sealed.size

    def hold(self, names: Iterable[bytes]) -> None:
        """Make the names of packs durable that others have given: whoever did may not have come that far."""
        if self.durability is Durability.NONE:
            return
        folders = sorted({os.path.dirname(self.path(name)) for name in names})
        try:
            for folder in folders:
                with contextlib.suppress(FileNotFoundError):  # a collection of garbage has taken it meanwhile
                    _sync(folder)
            self._hold(folders)
        except OSError as exc:
            if exc.errno != errno.EINVAL:  # some file systems that can only be read know no fsync
                raise os_error(exc, self.root, writing=False) from exc

    def _hold(self, folders: Iterable[str]) -> None:
        """The names of these folders and of `packs/` itself, durable in the folders above; once for each handle."""
        new = set(folders) - self._held
        if new:
            for above in (os.path.join(self.root, FOLDER), *(() if self._held else (self.root,))):
                _sync(above)
            self._held |= new

    def read(self, name: bytes, offset: int, size: int) -> bytes:
        """See `Packs`."""
        with self._lock:
            fd = self._open(name)
            try:
                data = os.pread(fd, size, offset)
                while len(data) < size and (more := os.pread(fd, size - len(data), offset + len(data))):
                    data += more
            except OSError as exc:
                raise os_error(exc, self.path(name), writing=False) from exc
        return data

    def size(self, name: bytes) -> int | None:
        """See `Packs`."""
        try:
            return os.stat(self.path(name)).st_size
        except FileNotFoundError:
            return None
        except OSError as exc:
            raise os_error(exc, self.path(name), writing=False) from exc

    def table(self, name: bytes) -> tuple[PackTable, int]:
        """See `Packs`."""
        size = self.size(name)
        if size is None:
            raise NoSuchObject(f"pack {name.hex()}: is not there")
        return read_table(lambda offset, length: self.read(name, offset, length), size, name), size

    def names(self) -> Iterator[bytes]:
        """See `Packs`."""
        for folder in self.folders():
            yield from self.names_in(folder)

    def folders(self) -> dict[str, int]:
        """Name -> mtime_ns of the up to 256 folders."""
        top = os.path.join(self.root, FOLDER)
        try:
            with os.scandir(top) as entries:
                return {entry.name: entry.stat().st_mtime_ns for entry in entries if _is_pack_folder(entry.name)}
        except FileNotFoundError:
            return {}
        except OSError as exc:
            raise os_error(exc, top, writing=False) from exc

    def names_in(self, folder: str) -> list[bytes]:
        """The packs of one folder."""
        path = os.path.join(self.root, FOLDER, folder)
        try:
            return [name for entry in os.listdir(path) if (name := name_of(entry)) is not None]
        except FileNotFoundError:
            return []
        except OSError as exc:
            raise os_error(exc, path, writing=False) from exc

    def path(self, name: bytes) -> str:
        """The pack's file."""
        return os.path.join(self.root, *key_of(name).split("/"))

    def mended(self, name: bytes) -> tuple[bytes, ...] | None:
        """See `Packs`."""
        path = os.path.join(self.root, *mended.key_of(name).split("/"))
        try:
            with open(path, "rb") as file:
                return _noted(file.read(), name)
        except FileNotFoundError:
            return None
        except OSError as exc:
            raise os_error(exc, path, writing=False) from exc

    def forget(self, name: bytes) -> None:
        """See `Packs`: its file is closed."""
        with self._lock:
            fd = self._files.pop(name, None)
            if fd is not None:
                os.close(fd)

    def close(self) -> None:
        """See `Packs`."""
        with self._lock:
            for fd in self._files.values():
                os.close(fd)
            self._files.clear()

    def _open(self, name: bytes) -> int:
        fd = self._files.get(name)
        if fd is not None:
            self._files.move_to_end(name)
            return fd
        path = self.path(name)
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError as exc:
            raise NoSuchObject(f"{path}: this pack is gone") from exc
        except OSError as exc:
            raise os_error(exc, path, writing=False) from exc
        self._files[name] = fd
        if len(self._files) > _OPEN_FILES:
            os.close(self._files.popitem(last=False)[1])
        return fd


class RemotePacks:
    """Packs of a storage without a folder: written to a local temporary file, then put by content."""

    def __init__(self, storage: Storage, temp_folder: str) -> None:
        self._storage = storage
        self._temp = temp_folder
        self._ranges = Ranges(
            lambda name, length: self._storage.read_tail(key_of(name), length),
            lambda name, offset, length: self._storage.read(key_of(name), offset, length),
        )
        self._sizes: dict[bytes, int] = {}
        self._own: dict[bytes, PackTable] = {}
        """Tables of packs that were put here, until somebody has asked: nothing is read back that was just written."""

    def new_path(self) -> str:
        """See `Packs`."""
        if self._storage.read_only:
            raise NotWritable(f"{self._storage.url}: can only be read here")
        os.makedirs(self._temp, exist_ok=True)
        return os.path.join(self._temp, f"{os.getpid()}-{os.urandom(8).hex()}{SUFFIX}")

    def adopt(self, sealed: SealedPack) -> int:
        """See `Packs`."""
        try:
            with open(sealed.path, "rb") as file:
                digest = digests.from_hex(hashlib.file_digest(file, "sha256").hexdigest())
                fd = file.fileno()
                table = read_table(lambda at, length: os.pread(fd, length, at), sealed.size, sealed.name)
                tail = os.pread(fd, END, max(0, sealed.size - END))
            self._storage.put_file(key_of(sealed.name), sealed.path, digest, new=True)
            self._sizes[sealed.name] = sealed.size
            self._own[sealed.name] = table
            self._ranges.keep_end(sealed.name, tail, sealed.size)
        except OSError as exc:
            raise os_error(exc, sealed.path, writing=False) from exc
        finally:
            with contextlib.suppress(OSError):
                os.unlink(sealed.path)
        return sealed.size

    def read(self, name: bytes, offset: int, size: int) -> bytes:
        """See `Packs`."""
        return self._ranges.read(name, offset, size)

    def table(self, name: bytes) -> tuple[PackTable, int]:
        """See `Packs`: by one request, unless the table is large."""
        own = self._own.pop(name, None)
        if own is not None:
            return own, self._sizes[name]
        size = self._sizes[name] = self._ranges.fetch_end(name)
        return read_table(lambda offset, length: self.read(name, offset, length), size, name), size

    def size(self, name: bytes) -> int | None:
        """See `Packs`."""
        found = self._sizes.get(name)
        if found is None:
            found = self._storage.size(key_of(name))
            if found is not None:
                self._sizes[name] = found
        return found

    def names(self) -> Iterator[bytes]:
        """See `Packs`."""
        for key in self._storage.list(f"{FOLDER}/"):
            name = name_of(key.rpartition("/")[2])
            if name is not None:
                yield name

    def mended(self, name: bytes) -> tuple[bytes, ...] | None:
        """See `Packs`."""
        try:
            return _noted(self._storage.read(mended.key_of(name)), name)
        except NoSuchObject:
            return None

    def forget(self, name: bytes) -> None:
        """See `Packs`."""
        self._sizes.pop(name, None)
        self._own.pop(name, None)
        self._ranges.forget(name)

    def close(self) -> None:
        """Nothing is open."""


def _noted(raw: bytes, name: bytes) -> tuple[bytes, ...] | None:
    """What a note says; a damaged one says nothing."""
    try:
        return mended.parse(raw, name)
    except FormatError:
        return None


@contextlib.contextmanager
def wrapped(where: str) -> Iterator[None]:
    """Errors of the operating system while something is written at `where`, as ours."""
    try:
        yield
    except OSError as exc:
        raise os_error(exc, where, writing=True) from exc


def _sync(path: str) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _is_pack_folder(name: str) -> bool:
    return len(name) == 2 and all(char in "0123456789abcdef" for char in name)


def clean_temp(folder: str, now: float) -> int:
    """Remove the unfinished packs of killed writers: older than an hour, and locked by nobody; how many."""
    removed = 0
    with contextlib.suppress(OSError):
        for entry in os.listdir(folder):
            if entry.endswith(SUFFIX):
                removed += _remove_old(os.path.join(folder, entry), now)
    return removed


def _remove_old(path: str, now: float) -> int:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return 0
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode) or found.st_mtime > now - _OLD_SECONDS:
            return 0
        locks.take(fd, wait=False)
        os.unlink(path)
    except OSError:
        return 0
    finally:
        os.close(fd)
    return 1


__all__ = [
    "Durability",
    "LocalPacks",
    "Packs",
    "RemotePacks",
    "clean_temp",
    "key_of",
    "name_of",
    "wrapped",
]
