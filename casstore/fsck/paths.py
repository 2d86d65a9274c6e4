"""Where in trees some objects are: each folder is read once, however many trees share it.

paths = TreePaths(store, hit)          # raw digests that are looked for
list(paths.below(raw_tree))            # [("bin/core", raw)]
"""

from __future__ import annotations

from collections.abc import Iterator

from attest.digests import from_raw
from attest.errors import CasstoreError
from casstore.index import Index
from casstore.objects import tree as trees
from casstore.objects.kinds import Kind
from casstore.objects.tree import FOLDERS, LINK, show
from casstore.store.store import Store

_Row = tuple[bytes, bool, bytes]
"""Name, whether it is a folder, raw digest."""


class TreePaths:
    """Remembers for each folder whether something that is looked for lies below it."""

    def __init__(self, store: Store, hit: frozenset[bytes]) -> None:
        self._store = store
        self._hit = hit
        self._hot: dict[bytes, tuple[_Row, ...]] = {}
        """Folder -> its rows that are looked for, or lead to what is."""

    def below(self, tree: bytes) -> Iterator[tuple[str, bytes]]:
        """(path, raw digest) of everything below a tree that is looked for."""
        self._survey(tree)
        stack = [("", tree)]
        while stack:
            prefix, folder = stack.pop()
            for name, is_folder, raw in reversed(self._hot.get(folder, ())):
                path = prefix + show(name)
                if raw in self._hit:
                    yield path, raw
                if is_folder:
                    stack.append((path + "/", raw))

    def tops(self) -> list[bytes]:
        """All trees that are in no other one."""
        found = self._store.catalog.ask(_all_trees)
        inner = {raw for tree in found for _, is_folder, raw in self._rows(tree) if is_folder}
        return [raw for raw in found if raw not in inner]

    def _survey(self, tree: bytes) -> None:
        """Fills `_hot` from the leaves up, without recursion: folders may be deep."""
        stack = [(tree, False)]
        while stack:
            folder, children_done = stack.pop()
            if folder in self._hot:
                continue
            rows = self._rows(folder)
            open_ = [raw for _, is_folder, raw in rows if is_folder and raw not in self._hot]
            if open_ and not children_done:
                stack.append((folder, True))
                stack += [(raw, False) for raw in open_]
                continue
            self._hot[folder] = tuple(row for row in rows if row[2] in self._hit or (row[1] and self._hot.get(row[2])))

    def _rows(self, tree: bytes) -> list[_Row]:
        try:
            rows = trees.rows(self._store.read(from_raw(tree), max_bytes=trees.MAX_TREE))
        except CasstoreError:
            return []  # told as damaged itself
        return [(name, mode in FOLDERS, raw) for name, mode, _, raw in rows if mode != LINK]


def _all_trees(index: Index) -> list[bytes]:
    found = []
    with index.reader() as reader:
        for raw in index.digests():
            row = reader.get(raw)
            if row is not None and row.kind == Kind.TREE:
                found.append(raw)
    return found
