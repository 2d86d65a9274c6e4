"""The programs of an installed product in a folder of the user's PATH.

Promises: a link leads through `current`, so a later version or a rollback is in force at once; what
lies there and is no such link of ours is never replaced, and that is said before anything changes.

    link(folder, manifest, "/usr/local/bin")        # ("/usr/local/bin/acme",)
"""

from __future__ import annotations

import contextlib
import os
import secrets

from attest.errors import BadInput
from bundlers.installing.installed import InstalledFolder
from bundlers.products.product_manifests import ProductManifest
from casstore.errors import Conflict
from casstore.storage.base import os_error


def check(folder: InstalledFolder, manifest: ProductManifest, into: str) -> None:
    """Raises BadInput for a product without programs or a system without links, Conflict for a name that is taken."""
    if not manifest.bin:
        raise BadInput(
            f"{manifest.key} names no programs to link", hint='its makers write bin = ["bin/NAME"] under the product'
        )
    if not folder.links:
        raise BadInput(
            "programs are linked by symbolic links, which are not used here",
            hint=f"add {folder.folder} to PATH by hand",
        )
    for path, target in _links(folder, manifest, into).items():
        if os.path.lexists(path) and not (os.path.islink(path) and os.readlink(path) == target):
            raise Conflict(
                f"{path}: is there already and is no link of this install", hint="remove it, or name a folder"
            )


def link(folder: InstalledFolder, manifest: ProductManifest, into: str) -> tuple[str, ...]:
    """Link every program; those that are linked already stay. Raises Conflict, StorageUnavailable."""
    check(folder, manifest, into)
    wanted = _links(folder, manifest, into)
    for path, target in wanted.items():
        if not os.path.lexists(path):
            _link(path, target)
    return tuple(wanted)


def linked(folder: InstalledFolder, manifest: ProductManifest, into: str) -> tuple[str, ...]:
    """The links of ours that lie there."""
    wanted = _links(folder, manifest, into)
    return tuple(path for path, target in wanted.items() if os.path.islink(path) and os.readlink(path) == target)


def _links(folder: InstalledFolder, manifest: ProductManifest, into: str) -> dict[str, str]:
    """Where a link is to be, and where it leads."""
    current = os.path.join(folder.folder, "current")
    above = os.path.abspath(into)
    return {
        os.path.join(above, os.path.basename(path)): os.path.join(current, *path.split("/")) for path in manifest.bin
    }


def _link(path: str, target: str) -> None:
    temp = os.path.join(os.path.dirname(path), f".tmp-{secrets.token_hex(6)}")
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        os.symlink(target, temp)
        os.rename(temp, path)
    except OSError as exc:
        with contextlib.suppress(OSError):
            os.unlink(temp)
        raise os_error(exc, path, writing=True) from exc
