"""Files that the consumer may change, kept over an update: those that the product lists as `config`.

Promises: what was changed goes into the next version as it is, mode and owner too; where the publisher's own changed
as well, that lies beside it as NAME.new; what would be overwritten lies beside it as NAME.before. Only plain files and
links are taken, none through a link, so that nobody leads an installer to read what is not the product's.

    mine = changed(folder, manifest)
    kept = carry(mine, next_folder, next_manifest)
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from collections.abc import Mapping

from attest.core.values import dataclass
from attest.digests import Digest, sha256
from attest.errors import BadInput
from bundlers.products.product_manifests import ProductManifest
from casstore.machine.modes import set_mode
from casstore.storage.base import os_error
from casstore.storage.file import sync_folder

LARGEST = 64 * 1024 * 1024
NEW, BEFORE = ".new", ".before"
_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)


@dataclass(frozen=True, slots=True)
class OwnFile:
    """A file as the consumer has it."""

    data: bytes
    mode: int
    owner: tuple[int, int]
    was: Digest
    """What the publisher shipped in its place."""
    link: str = ""
    """Where it is a link: its target."""


def changed(folder: str, manifest: ProductManifest) -> dict[str, OwnFile]:
    """Path -> what the consumer made of it. Raises BadInput for a file that is too large."""
    found = {}
    for path, digest in _shipped(manifest).items():
        mine = _read(folder, path, digest)
        if mine is not None and (mine.link or sha256(mine.data) != digest):
            found[path] = mine
    return found


def carry(mine: Mapping[str, OwnFile], folder: str, manifest: ProductManifest) -> tuple[str, ...]:
    """Put them into the next version, where that lists them too; their paths. Doing it again changes nothing."""
    shipped = _shipped(manifest)
    kept = tuple(path for path in mine if path in shipped)
    for path in kept:
        own, place = mine[path], os.path.join(folder, *path.split("/"))
        there = _read(folder, path, shipped[path])
        if there is not None and (there.data, there.link) != (own.data, own.link):
            if there.link or sha256(there.data) != shipped[path]:
                _write(f"{place}{BEFORE}", there)
            elif own.was != shipped[path]:
                _write(f"{place}{NEW}", there)
        _write(place, own)
    return kept


def _shipped(manifest: ProductManifest) -> dict[str, Digest]:
    """Path -> the publisher's own."""
    rows = (manifest.packed.get(path) for path in sorted(manifest.config, key=str.encode))
    return {file.path: file.content for file in rows if file is not None}


def _read(folder: str, path: str, was: Digest) -> OwnFile | None:
    """None where there is nothing, or nothing that is taken."""
    name = os.path.join(folder, *path.split("/"))
    try:
        if _leads_out(folder, path):
            return None
        about = os.lstat(name)
        owner = (about.st_uid, about.st_gid)
        if stat.S_ISLNK(about.st_mode):
            return OwnFile(b"", 0, owner, was, os.readlink(name))
        if not stat.S_ISREG(about.st_mode) or about.st_nlink != 1:
            return None
        with open(os.open(name, os.O_RDONLY | _NOFOLLOW), "rb") as file:
            data = file.read(LARGEST + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as exc:
        raise os_error(exc, name, writing=False) from exc
    if len(data) > LARGEST:
        raise BadInput(f"{name}: is larger than {LARGEST} bytes, which no update keeps", hint="move it elsewhere")
    return OwnFile(data, stat.S_IMODE(about.st_mode) & 0o777, owner, was)


def _leads_out(folder: str, path: str) -> bool:
    """Whether a folder on the way is a link."""
    above = folder
    for part in path.split("/")[:-1]:
        above = os.path.join(above, part)
        if os.path.islink(above):
            return True
    return False


def _write(place: str, own: OwnFile) -> None:
    """Whole or not at all, durable on return."""
    temp = os.path.join(os.path.dirname(place), f".tmp-{secrets.token_hex(6)}")
    try:
        os.makedirs(os.path.dirname(place), exist_ok=True)
        if own.link:
            os.symlink(own.link, temp)
        else:
            with open(os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NOFOLLOW, 0o600), "wb") as file:
                file.write(own.data)
                file.flush()
                if os.name != "nt":
                    with contextlib.suppress(PermissionError):  # only root gives files away
                        os.fchown(file.fileno(), *own.owner)
                    set_mode(file.fileno(), own.mode)
                os.fsync(file.fileno())
        os.replace(temp, place)
        if os.name != "nt":
            sync_folder(os.path.dirname(place))
    except OSError as exc:
        with contextlib.suppress(OSError):
            os.unlink(temp)
        raise os_error(exc, place, writing=True) from exc
