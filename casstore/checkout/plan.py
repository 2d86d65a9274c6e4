"""What a checkout has to make: folders and links at once, files in regions that are shared out.

A region is a run of neighbouring folders with their files. Its files mostly lie in
neighbouring blocks of a few packs, so whoever writes a region decodes each block once.

    for _ in survey(reader.read_many, raw_digest, found): ...
    for region in regions(found): ...
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, cast

from attest.digests import from_raw
from attest.errors import FormatError
from casstore.objects import tree as trees
from casstore.objects.tree import DIR, FOLDERS, LINK, check_link

_REGION_FILES = 4096
_REGION_BYTES = 16 * 1024 * 1024

Region = list[tuple[bytes, list[list[Any]]]]
"""(folder with a slash at its end, or nothing for the top; rows [name, mode, size, raw digest] of files)."""


@dataclass(slots=True)
class Survey:
    """What has been found below a tree so far; paths are relative to the target."""

    folders: list[tuple[bytes, bytes]] = field(default_factory=list)
    """(path and a slash, its tree's bytes: they need a fifth of their rows); a folder comes before those in it."""
    giants: list[tuple[bytes, list[Any]]] = field(default_factory=list)
    """(path and a slash, row) of every file that fills a region alone."""
    private: list[tuple[bytes, int]] = field(default_factory=list)
    """(path, mode) of empty folders that have one of their own."""
    links: list[tuple[bytes, bytes]] = field(default_factory=list)
    files: int = 0
    bytes: int = 0


def survey(read_many: Callable[[Iterable[bytes]], dict[bytes, bytes]], tree: bytes, found: Survey) -> Iterator[None]:
    """Fills `found` level by level. Raises NoSuchObject, ObjectDamaged, FormatError, UnsupportedInput."""
    level = [(b"", tree)]
    while level:
        objects = read_many(raw for _, raw in level)
        below: list[tuple[bytes, bytes]] = []
        for prefix, raw in level:
            found.folders.append((prefix, objects[raw]))
            below += _take(found, prefix, _rows(raw, objects[raw]))
        level = below
        yield
    found.folders.sort(key=lambda folder: folder[0].replace(b"/", b"\0"))


def _take(found: Survey, prefix: bytes, rows: list[list[Any]]) -> list[tuple[bytes, bytes]]:
    """Notes one folder; the folders in it. A link of a stranger must not lead out."""
    below = []
    for row in rows:
        name, mode, size, last = row
        if mode in FOLDERS:
            below.append((prefix + name + b"/", last))
            if mode != DIR:
                found.private.append((prefix + name, mode & 0o777))
        elif mode == LINK:
            check_link(prefix + name, last)
            found.links.append((prefix + name, last))
        else:
            found.files += 1
            found.bytes += size
            if size >= _REGION_BYTES:
                found.giants.append((prefix, row))
    return below


def _rows(raw: bytes, data: bytes) -> list[list[Any]]:
    try:
        return trees.rows(data)
    except FormatError as exc:
        raise FormatError(f"{from_raw(raw)}: {exc.message}", hint="name the digest of a tree") from exc


def regions(found: Survey) -> Iterator[Region]:
    """All files: first those that fill a region alone, largest first (one begun last would be waited for)."""
    for prefix, row in sorted(found.giants, key=lambda giant: -cast("int", giant[1][2])):
        yield [(prefix, [row])]
    region: Region = []
    files = size = 0
    for prefix, data in found.folders:
        rows = [row for row in trees.files_again(data) if row[2] < _REGION_BYTES]
        start = 0
        for end, row in enumerate(rows, 1):
            files += 1
            size += row[2]
            if files >= _REGION_FILES or size >= _REGION_BYTES:
                yield [*region, (prefix, rows[start:end])]
                region, files, size, start = [], 0, 0, end
        if start < len(rows):
            region.append((prefix, rows[start:]))
    if region:
        yield region
