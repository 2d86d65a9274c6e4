"""Walks a workspace folder by folder and says what is in it; refuses by name what a tree cannot hold.

No file is opened: a FIFO or a device is seen by lstat and refused, links are read and
judged, never followed, also where a folder is swapped for one meanwhile.

    for folder in walk(b"/work", selection):
        folder.path, folder.names, folder.signs
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat as modes
from collections.abc import Iterator
from operator import itemgetter

from casstore.errors import StorageUnavailable, UnsupportedInput
from casstore.ingest.files import SIGNATURE, kind_of
from casstore.ingest.globs import Selection
from casstore.ingest.losses import Losses
from casstore.ingest.stat_cache import Record
from casstore.machine.unlinked import open_unlinked
from casstore.objects import store_config
from casstore.objects.tree import check_link, check_name, show

_PACK = SIGNATURE.pack
_INODE = 0xFFFFFFFFFFFFFFFF
_TYPE = modes.S_IFMT(0xFFFF)
_REGULAR = modes.S_IFREG
_NAME = itemgetter(0)
_MARK = store_config.KEY.encode()
"""Every store's folder holds this file: the only ones that can be the store itself."""


class Folder:
    """One folder on its way to become a tree; filled by the walk, then by the digests."""

    __slots__ = (
        "children",
        "digests",
        "executable",
        "foreign",
        "links",
        "name",
        "names",
        "parent",
        "path",
        "pending",
        "record",
        "signs",
        "sizes",
    )

    def __init__(self, path: bytes, name: bytes, parent: Folder | None) -> None:
        self.path = path
        self.name = name
        self.parent = parent
        self.names: list[bytes] = []
        self.signs: list[bytes] = []
        self.sizes: list[int] = []
        self.executable: list[bool] = []
        self.digests: list[bytes | None] = []
        """Of the files; not filled where `record` is known."""
        self.links: list[tuple[bytes, bytes]] = []
        self.children: list[tuple[bytes, bytes]] = []
        """(name, raw digest) of the folders below that are trees already."""
        self.foreign = False
        """Whether a file here lies on another file system than the workspace: nothing remembered counts for it."""
        self.record: Record | None = None
        """What the stat cache knows, when all files are as they were."""
        self.pending = 0
        """How many files and folders below have no digest yet."""


def walk(
    root: bytes, selection: Selection, *, forbidden: tuple[int, int] | None = None, losses: Losses | None = None
) -> Iterator[Folder]:
    """Every folder before those below it, names sorted. `forbidden` = (device, inode) of the store itself.

    `losses` is told of what a tree does not keep.

    `pending` of a folder counts the folders below it when it is handed out.
    """
    stack, device = [Folder(b"", b"", None)], _device(root)
    while stack:
        folder = stack.pop()
        below = _list(root, folder, selection, forbidden, device, losses)
        folder.pending = len(below)
        yield folder
        stack.extend(reversed(below))


def _device(root: bytes) -> int:
    try:
        return os.stat(root).st_dev
    except OSError as exc:
        raise _unreadable(exc, root) from exc


def _list(
    root: bytes,
    folder: Folder,
    selection: Selection,
    forbidden: tuple[int, int] | None,
    device: int,
    losses: Losses | None,
) -> list[Folder]:
    path = root + b"/" + folder.path if folder.path else root
    with _opened(path) as here:
        return _list_here(here, path, folder, selection, forbidden, device, losses)


def _list_here(
    here: int,
    path: bytes,
    folder: Folder,
    selection: Selection,
    forbidden: tuple[int, int] | None,
    device: int,
    losses: Losses | None,
) -> list[Folder]:
    prefix = folder.path + b"/" if folder.path else b""
    everything = selection.is_all
    names, signs, sizes, executable = folder.names, folder.signs, folder.sizes, folder.executable
    below: list[Folder] = []
    try:
        only = selection.only(folder.path)
        entries = _entries(here) if only is None else _named(here, only)
        if forbidden is not None and (only is not None or _MARK in (name for name, _ in entries)):
            _refuse_store(here, path, folder.path, forbidden)
        for name, entry in entries:
            if entry.is_dir(follow_symlinks=False):
                if everything or selection.enters(prefix + name):
                    below.append(Folder(prefix + name, name, folder))
                    if losses is not None:
                        losses.look(b"", prefix + name, entry.stat(follow_symlinks=False).st_mode)
                continue
            if not everything and not selection.takes(prefix + name):
                continue
            found = entry.stat(follow_symlinks=False)
            mode, size = found.st_mode, found.st_size
            if mode & _TYPE == _REGULAR:
                if found.st_dev != device:
                    folder.foreign = True
                names.append(name)
                sizes.append(size)
                signs.append(_PACK(size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino & _INODE))
                executable.append(mode & 0o100 != 0)
                if losses is not None:
                    losses.look(path + b"/" + name, prefix + name, mode)
            else:
                folder.links.append((name, _link(here, name, prefix + name, mode)))
    except OSError as exc:
        raise _unreadable(exc, path) from exc
    return below


@contextlib.contextmanager
def _opened(path: bytes) -> Iterator[int]:
    """A folder, through no link: it stays the same one while it is listed."""
    try:
        here = open_unlinked(path, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as exc:
        raise _unreadable(exc, path) from exc
    try:
        yield here
    finally:
        os.close(here)


def _entries(here: int) -> list[tuple[bytes, os.DirEntry[str] | _Named]]:
    with os.scandir(here) as listing:
        return sorted(((os.fsencode(entry.name), entry) for entry in listing), key=_NAME)


class _Named:
    """As an entry of a listing, of a name that was asked for."""

    def __init__(self, found: os.stat_result) -> None:
        self._found = found

    def is_dir(self, *, follow_symlinks: bool) -> bool:  # noqa: ARG002  as of an entry, whose links are not followed here
        return modes.S_ISDIR(self._found.st_mode)

    def stat(self, *, follow_symlinks: bool) -> os.stat_result:  # noqa: ARG002  as above
        return self._found


def _named(here: int, names: frozenset[bytes]) -> list[tuple[bytes, os.DirEntry[str] | _Named]]:
    """Those of these names that are there."""
    found: list[tuple[bytes, os.DirEntry[str] | _Named]] = []
    for name in sorted(names):
        with contextlib.suppress(FileNotFoundError):
            found.append((name, _Named(os.stat(name, dir_fd=here, follow_symlinks=False))))
    return found


def _link(here: int, name: bytes, relative: bytes, mode: int) -> bytes:
    if not modes.S_ISLNK(mode):
        raise UnsupportedInput(
            f"{show(relative)}: is {kind_of(mode)}, which no tree can hold", hint="remove it or exclude it"
        )
    target = os.readlink(name, dir_fd=here)
    check_link(relative, target)
    return target


def _refuse_store(here: int, path: bytes, relative: bytes, forbidden: tuple[int, int]) -> None:
    found = os.fstat(here)
    if forbidden == (found.st_dev, found.st_ino):
        raise UnsupportedInput(
            f"{show(relative or path)}: is the store itself",
            hint="exclude it, or keep the store outside of what you put",
        )


def listed(root: bytes, files: list[bytes]) -> Iterator[Folder]:
    """The folders of an explicit list of relative paths, in the order of `walk`."""
    tree: dict[bytes, set[bytes]] = {}
    for path in files:
        parts = path.split(b"/")
        for part in parts:
            check_name(part)
        for depth in range(len(parts)):
            tree.setdefault(b"/".join(parts[:depth]), set()).add(parts[depth])
    stack, device = [Folder(b"", b"", None)], _device(root)
    while stack:
        folder = stack.pop()
        below = _look(root, folder, sorted(tree.get(folder.path, ())), tree, device)
        folder.pending = len(below)
        yield folder
        stack.extend(reversed(below))


def _look(root: bytes, folder: Folder, names: list[bytes], tree: dict[bytes, set[bytes]], device: int) -> list[Folder]:
    path = root + b"/" + folder.path if folder.path else root
    with _opened(path) as here:
        return _look_here(here, path, folder, names, tree, device)


def _look_here(
    here: int, path: bytes, folder: Folder, names: list[bytes], tree: dict[bytes, set[bytes]], device: int
) -> list[Folder]:
    below = []
    for name in names:
        relative = folder.path + b"/" + name if folder.path else name
        try:
            found = os.stat(name, dir_fd=here, follow_symlinks=False)
        except OSError as exc:
            raise _unreadable(exc, path) from exc
        if relative in tree:
            if not modes.S_ISDIR(found.st_mode):
                raise UnsupportedInput(f"{show(relative)}: is {kind_of(found.st_mode)}, not a folder")
            below.append(Folder(relative, name, folder))
        elif modes.S_ISREG(found.st_mode):
            folder.foreign = folder.foreign or found.st_dev != device
            folder.names.append(name)
            folder.sizes.append(found.st_size)
            folder.signs.append(_PACK(found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino & _INODE))
            folder.executable.append(found.st_mode & 0o100 != 0)
        else:
            folder.links.append((name, _link(here, name, relative, found.st_mode)))
    return below


def _unreadable(exc: OSError, path: bytes) -> UnsupportedInput | StorageUnavailable:
    within = exc.filename if isinstance(exc.filename, str | bytes) else b""  # a scan of a descriptor names text
    named = os.path.join(path, os.fsencode(within)) if within else path
    if isinstance(exc, FileNotFoundError):
        return UnsupportedInput(f"{show(named)}: is not there", hint="it may have gone away while the folder was read")
    if exc.errno in (errno.ELOOP, errno.ENOTDIR):
        return UnsupportedInput(
            f"{show(named)}: is no folder any more, or one above it became a link while it was read"
        )
    if exc.errno == errno.ENAMETOOLONG:
        return UnsupportedInput(f"{show(named)}: this path is longer than the system takes")
    if isinstance(exc, PermissionError):
        return UnsupportedInput(f"{show(named)}: cannot be read: {exc.strerror}", hint="make it readable or exclude it")
    return StorageUnavailable(f"{show(named)}: cannot be read: {exc.strerror}")
