"""Bring a build's files into a new folder; what is installed already is not fetched again, where the source allows.

Promises: the folder is there complete or not at all; every file has the digest of the signed ProductManifest, however
it came. Leaves to others: pieces and what they unpack to (`partial`), the switch (`install`).

    fetched = fetch(folder, found, item, "/opt/core/versions/1.4.0-e1c3", progress)       # bytes
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from collections.abc import Iterator
from functools import partial as bound

from attest.digests import Digest
from attest.errors import FormatError
from bundlers.consuming import service
from bundlers.consuming.service import Verified
from bundlers.consuming.verified import VerifiedBuild
from bundlers.errors import HostileArchive, NoRanges
from bundlers.formats.pieces import LEAST, Pieces
from bundlers.installing import extract, partial
from bundlers.installing.installed import PART, InstalledFolder
from bundlers.installing.partial import Plan
from bundlers.publishing.layout import published_paths
from casstore.errors import NoSuchObject
from casstore.machine.progress import Progress
from casstore.storage.base import os_error


def fetch(folder: InstalledFolder, found: Verified, item: VerifiedBuild, path: str, progress: Progress) -> int:
    """The bytes that were fetched. Raises VerificationError, NoSuchObject, StorageUnavailable."""
    spent = 0
    if (planned := plan(folder, found, item)) is not None:
        pieces, spent = planned
        with contextlib.suppress(HostileArchive, NoRanges):
            _in_parts(folder, found, item, pieces, path, progress)
            return spent
    return spent + _whole(folder, found, item, path, progress)


def expected(folder: InstalledFolder, found: Verified, item: VerifiedBuild) -> int:
    """How many bytes `fetch` would fetch, if the source serves parts."""
    planned = plan(folder, found, item)
    return item.archive.size if planned is None else planned[1]


def plan(folder: InstalledFolder, found: Verified, item: VerifiedBuild) -> tuple[Plan, int] | None:
    """Which pieces would be fetched, and how many bytes that makes; None where the whole archive would be."""
    current = folder.current()
    if current is None or found.source.local or item.archive.size < LEAST:
        return None
    held = _held(folder, current)
    if not any(file.digest in held for file in item.manifest.files):
        return None
    try:
        data = found.source.read(published_paths.pieces_path(item.path))
        pieces = Pieces.parse(data)
        made = partial.plan_for(item.manifest, pieces, held, item.archive.size)
    except (NoSuchObject, FormatError):
        return None
    return None if made is None or pieces.archive != item.archive.digest else (made, made.bytes + len(data))


def set_aside(path: str, folder: InstalledFolder) -> None:
    """A folder that is not what it should be makes room, and is kept for whoever changed it."""
    number = 1
    while os.path.lexists(target := folder.quarantine(f"{os.path.basename(path)}.changed-{number}")):
        number += 1
    os.rename(path, target)


def _held(folder: InstalledFolder, name: str) -> dict[Digest, str]:
    """Digest -> a file of a version that should have it: it is there, and has the size. Hashed when it is used."""
    manifest = folder.manifest(name)
    if manifest is None:
        return {}
    found: dict[Digest, str] = {}
    for file in manifest.files:
        path = os.path.join(folder.path(name), *file.path.split("/"))
        if file.digest is not None and _is_file(path, file.size):
            found.setdefault(file.digest, path)
    return found


def _is_file(path: str, size: int) -> bool:
    try:
        about = os.lstat(path)
    except OSError:
        return False
    return stat.S_ISREG(about.st_mode) and about.st_size == size


def _in_parts(
    folder: InstalledFolder, found: Verified, item: VerifiedBuild, planned: Plan, path: str, progress: Progress
) -> None:
    parts = folder.quarantine(f"{item.archive.digest.removeprefix('sha256:')}.pieces{PART}")
    progress.start("fetch", 1, planned.bytes)
    try:
        shutil.rmtree(parts, ignore_errors=True)
        os.mkdir(parts, 0o700)
        rows = partial.unpack(planned, bound(_told, progress, found, item.path), parts)
        progress.finish()
        if os.path.lexists(path):
            set_aside(path, folder)
        extract.place(item.manifest, rows, path)
    except OSError as exc:
        raise os_error(exc, parts, writing=True) from exc
    finally:
        shutil.rmtree(parts, ignore_errors=True)


def _told(progress: Progress, found: Verified, path: str, start: int, end: int) -> Iterator[bytes]:
    for piece in found.source.part(path, start, end):
        progress.advance(0, len(piece), len(piece))
        yield piece


def _whole(folder: InstalledFolder, found: Verified, item: VerifiedBuild, path: str, progress: Progress) -> int:
    part = folder.quarantine(item.archive.digest.removeprefix("sha256:") + PART)
    progress.start("fetch", 1, item.archive.size)
    try:
        with open(part, "wb") as file:
            for chunk in service.archive_chunks(found.source, item):
                file.write(chunk)
                progress.advance(0, len(chunk), len(chunk))
        progress.finish()
        if os.path.lexists(path):
            set_aside(path, folder)
        with open(part, "rb") as archive:
            extract.extract(item.manifest, archive, path)
    except OSError as exc:
        raise os_error(exc, part, writing=True) from exc
    finally:
        with contextlib.suppress(OSError):
            os.unlink(part)
    return item.archive.size
