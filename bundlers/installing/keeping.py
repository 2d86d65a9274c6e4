"""Which versions lie in an installed folder, which of them stay, and how all of it is taken away.

Promises: the version in force is never pruned; a version is out of its place by one rename before a byte of it is
deleted, its receipt goes last, so whoever is killed leaves it whole or listed nowhere and the next run sweeps.

    [row.version for row in versions(folder)]
    prune(folder, keep=2)
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from attest.core import times
from attest.core.values import dataclass
from attest.errors import CasstoreError
from bundlers.installing import linking
from bundlers.installing.installed import InstalledFolder
from casstore.errors import NoSuchObject

IN_FORCE, BEFORE, KEPT = "in force", "before", "kept"


@dataclass(frozen=True, slots=True)
class InstalledVersion:
    """One version that lies there."""

    name: str
    product: str
    build: str
    version: str
    channel: str
    installed_at: datetime
    size: int
    state: str
    """`in force`, `before` (what a rollback goes to) or `kept`."""

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "name": self.name,
            "product": self.product,
            "build": self.build,
            "version": self.version,
            "channel": self.channel,
            "installedAt": times.format(self.installed_at),
            "size": self.size,
            "state": self.state,
        }


@dataclass(frozen=True, slots=True)
class UninstallReport:
    """What was taken away, or would be."""

    folder: str
    versions: tuple[str, ...]
    links: tuple[str, ...]
    left: tuple[str, ...]
    """What lies there and was no install's."""
    done: bool

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "folder": self.folder,
            "versions": list(self.versions),
            "links": list(self.links),
            "left": list(self.left),
            "done": self.done,
        }


def versions(folder: InstalledFolder) -> list[InstalledVersion]:
    """What lies there, the newest first. Raises NoSuchObject where nothing was installed."""
    current = folder.current()
    if current is None and not folder.names():
        raise NoSuchObject(f"{folder.folder}: nothing is installed here")
    before = folder.previous() if current else None
    states = {current: IN_FORCE, before: BEFORE}
    rows = []
    for name in folder.names():
        receipt = folder.receipt(name)
        rows.append(
            InstalledVersion(
                name,
                receipt.product,
                receipt.build,
                receipt.version,
                receipt.channel,
                receipt.installed_at,
                _size(folder, name),
                states.get(name, KEPT),
            )
        )
    return sorted(rows, key=lambda row: (row.installed_at, row.state == IN_FORCE, row.name), reverse=True)


def surplus(folder: InstalledFolder, keep: int, coming: str | None = None) -> tuple[str, ...]:
    """What `prune` would take away: all but the one in force, the one before, then the newest, `keep` in all."""
    if not folder.names():
        return ()
    rank = {IN_FORCE: 0, BEFORE: 1, KEPT: 2}
    rows = versions(folder)
    if coming is not None:  # it will be in force, and what is now will be the one before
        names = [coming, *(row.name for row in sorted(rows, key=lambda row: rank[row.state]) if row.name != coming)]
    else:
        names = [row.name for row in sorted(rows, key=lambda row: rank[row.state])]
    here = {row.name for row in rows}
    return tuple(name for name in names[keep:] if name in here)


def prune(folder: InstalledFolder, keep: int) -> tuple[str, ...]:
    """Take away what is more than `keep` versions, the one in force counted. Under the folder's lock."""
    gone = surplus(folder, keep)
    current = folder.current()
    if current is not None:
        receipt = folder.receipt(current)
        if receipt.previous in gone:  # said before it is so: a rollback never leads nowhere
            folder.renew(replace(receipt, previous=None))
            folder.unpoint("previous")
    for name in gone:
        folder.remove(name)
    return gone


def uninstall(folder: InstalledFolder, *, link_bins: Sequence[str] = (), confirm: bool) -> UninstallReport:
    """Take away every version, and the links of its programs in `link_bins`. Raises NoSuchObject, Conflict.

    The pointer goes first: what is half taken away is not in force.
    """
    if not os.path.isdir(os.path.join(folder.folder, "receipts")):
        raise NoSuchObject(f"{folder.folder}: nothing is installed here")
    with folder.locked():
        names = tuple(folder.names())
        links = tuple(link for into in link_bins for link in _links(folder, names, into))
        left = tuple(folder.foreign())
        if confirm:
            for link in links:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(link)
            folder.unpoint("current")
            folder.unpoint("previous")
            for name in names:
                folder.remove(name)
    if confirm:
        folder.clear()
    return UninstallReport(folder.folder, names, links, left, confirm)


def _links(folder: InstalledFolder, names: Sequence[str], into: str) -> list[str]:
    found: dict[str, None] = {}
    for name in names:
        with contextlib.suppress(CasstoreError):
            manifest = folder.manifest(name)
            found |= dict.fromkeys(linking.linked(folder, manifest, into) if manifest else ())
    return list(found)


def _size(folder: InstalledFolder, name: str) -> int:
    total = 0
    for above, _, files in os.walk(folder.path(name)):
        for file in files:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(above, file)).st_size
    return total
