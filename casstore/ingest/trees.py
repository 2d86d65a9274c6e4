"""Makes tree objects out of finished folders, from the leaves up, and packs those that are new.

builder = TreeBuilder(known, new_writer, selection.takes)
builder.settle(folder)        # all its digests are there: its tree, then perhaps its parent's
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import msgpack

from casstore.errors import UnsupportedInput
from casstore.ingest.stat_cache import Record, StatCache
from casstore.ingest.walk import Folder
from casstore.objects.kinds import Kind
from casstore.objects.pack_writer import PackWriter
from casstore.objects.tree import DIR, EXECUTABLE, FILE, LINK, MAX_NAME, encode_rows, show

_UNKNOWN = bytes(32)


class TreeBuilder:
    """Collects the trees of one put; `root` is the digest of the top folder when all is settled."""

    def __init__(
        self,
        known: Callable[[bytes], Any],
        new_writer: Callable[[], PackWriter],
        keep_empty: Callable[[bytes], bool],
        cache: StatCache | None = None,
    ) -> None:
        self._known = known
        self._new_writer = new_writer
        self._keep_empty = keep_empty
        self._cache = cache
        self._mine: set[bytes] = set()
        self.writer: PackWriter | None = None
        self.new = 0
        self.root: bytes | None = None

    def settle(self, folder: Folder) -> None:
        """The folder has all its digests; go up while parents are complete too."""
        here: Folder | None = folder
        while here is not None and here.pending == 0:
            parent = here.parent
            raw = self._tree_of(here)
            if parent is None:
                self.root = raw
                return
            if raw is not None:
                parent.children.append((here.name, raw))
            parent.pending -= 1
            here = parent

    def _tree_of(self, folder: Folder) -> bytes | None:
        """The digest of a folder's tree, by the cache where nothing in it changed; None for one that is left out."""
        cache, record, shape = self._cache, folder.record, b""
        if cache is not None:
            shape = _shape(folder)
            if record is not None and record.shape == shape:
                cache.keep(folder.path)
                return record.tree
        if record is not None:
            folder.digests = record.split()
        rows = _rows(folder)
        if not rows and folder.parent is not None and not self._keep_empty(folder.path):
            return None
        raw = self._put(encode_rows(rows))
        if cache is not None:
            digests = b"".join([digest or _UNKNOWN for digest in folder.digests])
            cache.remember(folder.path, Record(b"/".join(folder.names), b"".join(folder.signs), digests, raw, shape))
        return raw

    def _put(self, data: bytes) -> bytes:
        raw = hashlib.sha256(data).digest()
        if raw not in self._mine:
            self._mine.add(raw)
            if not self._known(raw):
                if self.writer is None:
                    self.writer = self._new_writer()
                self.writer.add(raw, data, Kind.TREE)
                self.new += 1
        return raw


def _shape(folder: Folder) -> bytes:
    """What a tree holds beside the digests of files, as bytes to compare."""
    folder.children.sort()
    shape: bytes = msgpack.packb([bytes(folder.executable), folder.children, folder.links])
    return shape


def _rows(folder: Folder) -> list[list[Any]]:
    rows: list[list[Any]] = [
        [name, EXECUTABLE if executable else FILE, size, raw]
        for name, executable, size, raw in zip(
            folder.names, folder.executable, folder.sizes, folder.digests, strict=True
        )
    ]
    rows += [[name, DIR, 0, raw] for name, raw in folder.children]
    rows += [[name, LINK, 0, target] for name, target in folder.links]
    if len(rows) != len(folder.names):
        rows.sort(key=_name_of)
    for row in rows:
        if len(row[0]) > MAX_NAME:
            raise UnsupportedInput(f"{show(row[0])}: the name is longer than {MAX_NAME} bytes")
    return rows


def _name_of(row: list[Any]) -> bytes:
    name: bytes = row[0]
    return name
