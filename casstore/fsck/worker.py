"""What one worker does with one part of a pack; the same in a process, in a thread, or alone.

worker = PartWorker(packs, index.rows)
worker.check(pack_name, 0, 4)          # -> Found
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from typing import Any, NamedTuple

from attest.errors import FormatError, TooNew
from casstore.errors import NoSuchObject
from casstore.fsck import part as parts_of
from casstore.index import IndexDoubt
from casstore.index.compare import Rows
from casstore.objects import tree as trees
from casstore.objects.pack_format import PackTable
from casstore.objects.packs import Packs
from casstore.objects.tree import LINK

_FOLDERS = 256


class Found(NamedTuple):
    """What was found in one part; plain values, as they go through a pipe."""

    objects: int
    bytes: int
    """Of the whole pack, told by part 0."""
    damaged: list[Any]
    """[raw digest or None, offset, what]"""
    absent: list[Any]
    """[raw digest of a tree, raw digest that it names and the index does not know]"""
    homed: int
    """Rows of the index that lead to this pack, told by part 0."""
    doubt: str | None
    """What is wrong with the index."""


class PartWorker:
    """Keeps the table of the pack that it worked on last."""

    def __init__(self, packs: Packs, rows: Callable[[], AbstractContextManager[Rows]]) -> None:
        self._packs = packs
        self._open_rows = rows
        self._name = b""
        self._table = PackTable(b"", b"", b"", b"")
        self._ordered = b""
        self._size = 0

    def check(self, name: bytes, part: int, parts: int) -> Found:
        """One part of one pack."""
        try:
            self._turn_to(name)
        except (FormatError, NoSuchObject, TooNew) as exc:
            return Found(0, 0, [[None, 0, exc.message]] if part == 0 else [], [], 0, None)
        found = Found(0, 0, [], [], 0, None)
        if part == 0:
            found = self._whole()
            if any(not at for _, at, _ in found.damaged):
                return found
        return self._objects(found, part, parts)

    def _turn_to(self, name: bytes) -> None:
        if name != self._name:
            self._table, self._size = self._packs.table(name)
            self._ordered = parts_of.in_order(self._table)
            self._name = name

    def _whole(self) -> Found:
        wrong = [[None, at, what] for at, what in parts_of.whole(self._packs.read, self._table, self._size)]
        homed, doubt = 0, None
        try:
            with self._open_rows() as rows:
                homed = rows.homed(self._table)
        except IndexDoubt as exc:
            doubt = str(exc)
        return Found(0, self._size, wrong, [], homed, doubt)

    def _objects(self, found: Found, part: int, parts: int) -> Found:
        folders: list[tuple[bytes, bytes]] = []
        count = 0
        rows = parts_of.objects(
            self._packs.read, self._table, self._ordered, part, parts, lambda *tree: folders.append(tree)
        )
        for raw, offset, wrong in rows:
            count += 1
            if wrong is not None:
                found.damaged.append([raw, offset, wrong])
            if len(folders) >= _FOLDERS:
                self._look(found, folders)
        self._look(found, folders)
        return found._replace(objects=count)

    def _look(self, found: Found, folders: list[tuple[bytes, bytes]]) -> None:
        """Whether everything that folders name is known."""
        with suppress(IndexDoubt), self._open_rows() as rows:
            for raw, data in folders:
                with suppress(FormatError):  # stored as a folder, and none: told to who needs it as one
                    wanted = [row[3] for row in trees.rows(data) if row[1] != LINK]
                    found.absent.extend([raw, below] for below in rows.unknown(wanted))
        folders.clear()
