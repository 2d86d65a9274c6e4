"""Compare a folder with a ProductManifest: the very files, bytes, modes, links and the folders that it ships empty.

added = check_folder("/opt/core/versions/1.2.0-e1c3a5b7d9f1", manifest)      # or VerificationError
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from functools import cache

from attest.digests import from_hex
from attest.errors import VerificationError
from bundlers.products.product_manifests import ProductFile, ProductFolder, ProductManifest
from casstore.machine.modes import keeps_modes

_PIECE = 1024 * 1024
_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)


def check_folder(folder: str, manifest: ProductManifest) -> tuple[str, ...]:
    """The paths that were added: a program that runs leaves caches, a person a configuration.

    What the product lists as `config` is the consumer's to change, or to take away. Raises VerificationError naming
    the first other file that is not what the ProductManifest says. A folder that was empty may have been filled.
    """
    kept = cache(lambda: keeps_modes(folder))
    for file in manifest.files:
        if file.path in manifest.config:
            continue
        try:
            _check(folder, file.path, file, kept)
        except OSError as exc:
            raise _wrong(folder, file.path, f"cannot be read: {exc.strerror}") from exc
    for shipped in manifest.folders:
        _check_folder(folder, shipped)
    return tuple(sorted(path for path in _found(folder) if manifest.packed.find(path) is None))


def _found(folder: str) -> Iterator[str]:
    for above, folders, files in os.walk(folder):
        links = [name for name in folders if os.path.islink(os.path.join(above, name))]
        for name in (*files, *links):
            yield os.path.relpath(os.path.join(above, name), folder).replace(os.sep, "/")


def modes_agree(found: int, wanted: int) -> bool:
    """Whether a file or folder has its mode: execution counts, and nobody else reads what is not for all."""
    private = not wanted & stat.S_IROTH
    exact = stat.S_IMODE(found) == wanted
    return exact if private else bool(found & stat.S_IXUSR) == bool(wanted & stat.S_IXUSR)


def _check(folder: str, path: str, file: ProductFile, kept: Callable[[], bool]) -> None:
    name = os.path.join(folder, *path.split("/"))
    about = os.lstat(name)
    if file.digest is None:
        if not stat.S_ISLNK(about.st_mode) or os.readlink(name) != file.link:
            raise _wrong(folder, path, "is not the link that it was")
        return
    if not stat.S_ISREG(about.st_mode) or about.st_size != file.size:
        raise _wrong(folder, path, "was changed")
    if os.name != "nt" and not modes_agree(about.st_mode, file.mode) and (not file.mode & stat.S_IROTH or kept()):
        raise _wrong(folder, path, "has another mode")
    hasher = hashlib.sha256()
    with open(os.open(name, os.O_RDONLY | _NOFOLLOW), "rb") as opened:
        while piece := opened.read(_PIECE):
            hasher.update(piece)
    if from_hex(hasher.hexdigest()) != file.digest:
        raise _wrong(folder, path, "was changed")


def _check_folder(folder: str, shipped: ProductFolder) -> None:
    try:
        about = os.lstat(os.path.join(folder, *shipped.path.split("/")))
    except OSError as exc:
        raise _wrong(folder, shipped.path, f"cannot be read: {exc.strerror}") from exc
    if not stat.S_ISDIR(about.st_mode):
        raise _wrong(folder, shipped.path, "is no folder any more")
    if os.name != "nt" and not modes_agree(about.st_mode, shipped.mode):
        raise _wrong(folder, shipped.path, "has another mode")


def _wrong(folder: str, path: str, what: str) -> VerificationError:
    return VerificationError(f"{os.path.join(folder, path)}: {what}", hint="install this version again")
