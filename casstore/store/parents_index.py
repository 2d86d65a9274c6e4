"""Which folders hold a file or folder, upside down: from a digest to the component trees that it is in, and its paths.

A folder's rows are written once, however many versions share it, so what a new version costs is what changed in it.
Disposable, beside the index: it says where to look, and each folder that it names is read. What it does not say is
not shown to be absent: who must not miss anything walks the trees (`holders`). Where nothing can be written it is made
in memory; one that is broken says nothing.

    with ParentsIndex.beside(store) as index:
        index.take(store, [tree])
        index.places(store, {tree}, {digest})[tree][digest]      # (b"bin/tool",)
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Collection, Iterable, Iterator
from typing import Self

from attest.digests import Digest, from_raw, to_raw
from attest.errors import CasstoreError
from casstore.objects.tree import Tree
from casstore.store.holders import Places, TreeHolder

FILE = "parents.sqlite"
_BATCH = 2_000_000
_PREFIX = 12
"""So many bytes of a digest are kept; the folder itself says which it is."""
_ASK = "SELECT digest FROM parents JOIN folders ON folders.id = parents.folder WHERE child = ?"
_WAIT = 10.0


class ParentsIndex:
    """Rows child -> folder; close it, or use `with`."""

    def __init__(self, folder: str | None) -> None:
        self._open = _opened(folder)
        self._done: set[bytes] = set()

    @staticmethod
    def beside(store: object) -> ParentsIndex:
        """Beside the store's own index on this machine."""
        folder = getattr(getattr(store, "catalog", None), "folder", None)
        return ParentsIndex(folder if isinstance(folder, str) else None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(sqlite3.Error):
            self._open.commit()
        self._open.close()

    def take(self, store: TreeHolder, trees: Iterable[Digest]) -> int:
        """Index what is not yet: how many folders were read. Raises NoSuchObject, ObjectDamaged."""
        pending: list[tuple[bytes, int]] = []
        try:
            read = sum(self._take(store, tree, pending) for tree in dict.fromkeys(trees))
            self._write(pending)
            self._open.commit()
        except sqlite3.Error:  # full, broken, in use
            return 0
        return read

    def places(self, store: TreeHolder, trees: Collection[Digest], wanted: Iterable[Digest]) -> dict[Digest, Places]:
        """The trees, of those that were taken, which hold one of the wanted, and where."""
        roots, read = {to_raw(tree) for tree in trees}, dict[bytes, Tree]()
        found: dict[Digest, dict[Digest, list[bytes]]] = {}
        with contextlib.suppress(sqlite3.Error):
            for digest in wanted:
                for root, path in self._above(store, to_raw(digest), b"", roots, read):
                    found.setdefault(from_raw(root), {}).setdefault(digest, []).append(path)
        return {tree: {d: tuple(sorted(paths)) for d, paths in rows.items()} for tree, rows in found.items()}

    def _take(self, store: TreeHolder, folder: Digest, pending: list[tuple[bytes, int]]) -> int:
        """A folder counts as taken when all below it is: whoever is killed begins again there."""
        raw = to_raw(folder)
        if raw in self._done or self._open.execute("SELECT 1 FROM folders WHERE digest = ?", (raw,)).fetchone():
            return 0
        read, children = 1, set[bytes]()
        for entry in store.tree(folder):
            if entry.digest is not None:
                children.add(to_raw(entry.digest)[:_PREFIX])
            if entry.kind == "dir":
                read += self._take(store, entry.content, pending)
        number = self._open.execute("INSERT INTO folders (digest) VALUES (?)", (raw,)).lastrowid or 0
        pending.extend((child, number) for child in children)
        self._done.add(raw)
        if len(pending) >= _BATCH:
            self._write(pending)
        return read

    def _write(self, pending: list[tuple[bytes, int]]) -> None:
        """In the order of the table: that is many times as fast."""
        pending.sort()
        self._open.executemany("INSERT OR IGNORE INTO parents VALUES (?, ?)", pending)
        pending.clear()

    def _above(
        self, store: TreeHolder, child: bytes, below: bytes, roots: set[bytes], read: dict[bytes, Tree]
    ) -> Iterator[tuple[bytes, bytes]]:
        for (parent,) in self._open.execute(_ASK, (child[:_PREFIX],)).fetchall():
            if parent not in read:
                try:
                    read[parent] = store.tree(from_raw(parent))
                except CasstoreError:  # no folder of this store: the row is wrong
                    continue
            for entry in read[parent]:
                if entry.digest is not None and to_raw(entry.digest) == child:
                    path = entry.name + (b"/" + below if below else b"")
                    if parent in roots:
                        yield parent, path
                    yield from self._above(store, parent, path, roots, read)


def _opened(folder: str | None) -> sqlite3.Connection:
    if folder is not None:
        path = os.path.join(folder, FILE)
        with contextlib.suppress(OSError, sqlite3.Error):
            try:
                return _prepared(path)
            except sqlite3.DatabaseError as exc:
                if isinstance(exc, sqlite3.OperationalError):  # shut, or in use
                    raise
                os.unlink(path)
                return _prepared(path)
    return _prepared(":memory:")


def _prepared(path: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=_WAIT, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute(
            "CREATE TABLE IF NOT EXISTS parents (child BLOB, folder INTEGER, PRIMARY KEY (child, folder)) WITHOUT ROWID"
        )
        connection.execute("CREATE TABLE IF NOT EXISTS folders (id INTEGER PRIMARY KEY, digest BLOB UNIQUE)")
    except sqlite3.Error:
        connection.close()
        raise
    return connection
