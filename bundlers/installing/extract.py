"""Unpack an archive into a new folder: strictly, beside the target, and in place by one rename.

Every byte was checked by the format's reader against the ProductManifest; this module only writes:
folders and files below a descriptor it holds, never through a link, links last; all is on the disk
before the name is there. Modes do not depend on the umask. A failure leaves nothing.

    extract(manifest, source, "/opt/core/releases/1.4.0")
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import BinaryIO

from bundlers.consuming import ruled_members
from bundlers.formats.members import PIECE, ExactReader, content
from bundlers.products.product_manifests import ProductFile, ProductFolder, ProductManifest
from casstore.errors import Conflict
from casstore.machine.durable import sync_below
from casstore.machine.modes import set_mode
from casstore.storage.base import os_error

PARTIAL = ".partial"
"""A folder that is being filled ends like this; whoever is killed leaves it, and who owns the place takes it away."""
_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)


def extract(manifest: ProductManifest, source: BinaryIO, into: str) -> int:
    """Unpack into a folder that does not exist yet; returns how many bytes were written.

    Raises HostileArchive when the archive is not exactly what the ProductManifest gives, VerificationError
    when it holds what the product may never hold, Conflict when the target is there, StorageUnavailable when the
    disk is full.
    """
    return _place(ruled_members.members(manifest, source), manifest.folders, into)


def place(manifest: ProductManifest, rows: Iterator[tuple[ProductFile, Iterator[bytes]]], into: str) -> int:
    """As `extract`, for files that were put together already; `rows` checks each by its digest."""
    return _place(ruled_members.ruled(manifest, rows), manifest.folders, into)


def copy_files(folder: str, manifest: ProductManifest, into: str) -> int:
    """As `extract`, from a folder that has the very files; each is checked by its digest while it is copied."""
    return _place(_from_folder(folder, manifest), manifest.folders, into)


def _from_folder(folder: str, manifest: ProductManifest) -> Iterator[tuple[ProductFile, Iterator[bytes]]]:
    for file in manifest.files:
        if file.digest is None:
            yield file, iter(())
            continue
        path = os.path.join(folder, *file.path.split("/"))
        with open(os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0)), "rb") as opened:
            source = ExactReader(partial(opened.read, PIECE), path)
            yield file, content(file, source.take, path)
            source.expect_end()


def _place(files: Iterator[tuple[ProductFile, Iterator[bytes]]], folders: Sequence[ProductFolder], into: str) -> int:
    into = os.path.abspath(into)
    _check_free(into)
    staged = f"{into}.{os.getpid()}{PARTIAL}"
    _make(staged)
    try:
        written = _fill(files, folders, staged)
        _check_free(into)
        os.rename(staged, into)
        _sync_folder(os.path.dirname(into))
    except OSError as exc:
        shutil.rmtree(staged, ignore_errors=True)
        raise os_error(exc, into, writing=True) from exc
    except BaseException:
        shutil.rmtree(staged, ignore_errors=True)
        raise
    return written


def _check_free(into: str) -> None:
    if os.path.lexists(into):
        raise Conflict(f"{into}: is there already", hint="name a folder that does not exist")


def _make(staged: str) -> None:
    try:
        os.makedirs(os.path.dirname(staged), exist_ok=True)
        shutil.rmtree(staged, ignore_errors=True)
        os.mkdir(staged, 0o755)
    except OSError as exc:
        raise os_error(exc, staged, writing=True) from exc


def _fill(files: Iterator[tuple[ProductFile, Iterator[bytes]]], folders: Sequence[ProductFolder], staged: str) -> int:
    written, links = 0, []
    top = os.open(staged, _FOLDER)
    try:
        for file, chunks in files:
            if file.digest is None:
                links.append(file)
                continue
            with _parent(top, file.path) as (folder, name):
                written += _write(folder, name, file, chunks)
        for link in links:
            with _parent(top, link.path) as (folder, name):
                os.symlink(link.link, name, dir_fd=folder)
        for empty in folders:
            with _parent(top, f"{empty.path}/"):
                pass
        for _, _, _, folder in os.fwalk(dir_fd=top, topdown=False):
            set_mode(folder, 0o755)
        for empty in folders:
            with _parent(top, f"{empty.path}/") as (folder, _):
                set_mode(folder, empty.mode)
        sync_below(top)
    finally:
        os.close(top)
    return written


@contextmanager
def _parent(top: int, path: str) -> Iterator[tuple[int, str]]:
    """The open folder of a path, made on the way; no link is followed."""
    *folders, name = path.split("/")
    current = os.dup(top)
    try:
        for folder in folders:
            with suppress(FileExistsError):
                os.mkdir(folder, 0o755, dir_fd=current)
            below = os.open(folder, _FOLDER, dir_fd=current)
            os.close(current)
            current = below
        yield current, name
    finally:
        os.close(current)


def _write(folder: int, name: str, file: ProductFile, chunks: Iterator[bytes]) -> int:
    written = 0
    fd = os.open(name, _FILE, file.mode, dir_fd=folder)
    try:
        for chunk in chunks:
            view = memoryview(chunk)
            while view:
                view = view[os.write(fd, view) :]
            written += len(chunk)
        set_mode(fd, file.mode)
    finally:
        os.close(fd)
    return written


def _sync_folder(path: str) -> None:
    fd = os.open(path, _FOLDER)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
