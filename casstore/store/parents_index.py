"""Which folders hold a file or folder, upside down: from a digest to the component trees that it is in, and its paths.

A folder's rows are written once, however many versions share it, so what a new version costs is what changed in it.
Disposable, beside the index: it says where to look, and each folder that it names is read. What it does not say of a
tree that was taken is not there, as far as a disk's damage goes: each part of the rows has a sum, and one that does not
fit makes it all anew. Whoever may write to the folder may make it say less: who must not miss anything walks the
trees (`holders`). Where nothing can be written it is made in memory. `docs/formats/index.md` has the tables.

    with ParentsIndex.beside(store) as index:
        index.take(store, [tree])
        index.places(store, {tree}, {digest})[tree][digest]      # (b"bin/tool",)
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import zlib
from collections.abc import Collection, Iterable, Iterator
from typing import Self

from attest.digests import Digest, from_raw, to_raw
from attest.errors import CasstoreError
from casstore.objects import tree as trees
from casstore.store.holders import Places, TreeHolder

FILE = "parents.sqlite"
VERSION = 2
_TABLES = (
    "CREATE TABLE folders (id INTEGER PRIMARY KEY, digest BLOB UNIQUE, proof INTEGER)",
    "CREATE TABLE parents (child BLOB, folder INTEGER, PRIMARY KEY (child, folder)) WITHOUT ROWID",
    "CREATE TABLE sums (part BLOB PRIMARY KEY, sum INTEGER) WITHOUT ROWID",
)
_BATCH = 2_000_000
_PREFIX = 12
"""So many bytes of a digest are kept; the folder itself says which it is."""
_PART = 2
"""Rows whose children begin with the same so many bytes have one sum."""
_ASK = "SELECT child, folder FROM parents WHERE child >= ? AND child < ?"
_ADD = (
    "INSERT INTO sums VALUES (?, ?) ON CONFLICT (part) DO UPDATE SET sum = (sum | excluded.sum) - (sum & excluded.sum)"
)
_MASK = (1 << 62) - 1
_WAIT = 10.0


class _Broken(Exception):
    """The rows are not those that were written."""


class ParentsIndex:
    """Rows child -> folder; close it, or use `with`."""

    def __init__(self, folder: str | None) -> None:
        self._open = _opened(folder)
        self._taken: set[bytes] = set()

    @staticmethod
    def beside(store: object) -> ParentsIndex:
        """Beside the store's own index on this machine."""
        folder = getattr(getattr(store, "catalog", None), "folder", None)
        return ParentsIndex(folder if isinstance(folder, str) else None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def take(self, store: TreeHolder, trees: Iterable[Digest]) -> int:
        """Index what is not yet, all or nothing: how many folders were read. Raises NoSuchObject, ObjectDamaged."""
        with contextlib.suppress(sqlite3.Error):  # full, broken, in use
            new = [tree for tree in dict.fromkeys(trees) if not self._knows(to_raw(tree))]
            if not new:
                return 0
            self._taken.clear()
            pending: list[tuple[bytes, int]] = []
            self._open.execute("BEGIN IMMEDIATE")
            try:
                read = sum(self._take(store, tree, pending) for tree in new)
                self._write(pending)
                self._open.execute("COMMIT")
            finally:
                if self._open.in_transaction:
                    self._open.execute("ROLLBACK")
            return read
        return 0

    def places(self, store: TreeHolder, trees: Collection[Digest], wanted: Iterable[Digest]) -> dict[Digest, Places]:
        """The trees which hold one of the wanted, and where; nothing unless all were taken. Raises as `take`."""
        asked = list(wanted)
        for _ in range(2):
            with contextlib.suppress(sqlite3.Error):
                try:
                    taken = all(self._knows(to_raw(tree)) for tree in trees)
                    return self._places(store, trees, asked) if taken else {}
                except _Broken:
                    self._forget()
                    self.take(store, sorted(trees))
                    continue
            break
        return {}

    def _places(self, store: TreeHolder, trees: Collection[Digest], wanted: Iterable[Digest]) -> dict[Digest, Places]:
        roots, read = {to_raw(tree) for tree in trees}, dict[bytes, bytes]()
        found: dict[Digest, dict[Digest, list[bytes]]] = {}
        for digest in wanted:
            for root, path in self._above(store, to_raw(digest), b"", roots, read):
                found.setdefault(from_raw(root), {}).setdefault(digest, []).append(path)
        return {tree: {d: tuple(sorted(paths)) for d, paths in rows.items()} for tree, rows in found.items()}

    def _forget(self) -> None:
        """Everything, in one transaction: others may be reading."""
        self._open.execute("BEGIN IMMEDIATE")
        for table in ("parents", "folders", "sums"):
            self._open.execute(f"DELETE FROM {table}")  # noqa: S608 - three names of ours
        self._open.execute("COMMIT")

    def _knows(self, raw: bytes) -> bool:
        """A folder is there when all below it is: who did not get so far left nothing."""
        found = self._open.execute("SELECT id, proof FROM folders WHERE digest = ?", (raw,)).fetchone()
        return found is not None and found[1] == _proof(raw, found[0])

    def _take(self, store: TreeHolder, folder: Digest, pending: list[tuple[bytes, int]]) -> int:
        raw = to_raw(folder)
        if raw in self._taken or self._knows(raw):
            return 0
        read, children = 1, set[bytes]()
        for entry in store.tree(folder):
            if entry.digest is not None:
                children.add(to_raw(entry.digest)[:_PREFIX])
            if entry.kind == "dir":
                read += self._take(store, entry.content, pending)
        number = self._open.execute("INSERT INTO folders (digest) VALUES (?)", (raw,)).lastrowid or 0
        self._open.execute("UPDATE folders SET proof = ? WHERE id = ?", (_proof(raw, number), number))
        pending.extend((child, number) for child in children)
        self._taken.add(raw)
        if len(pending) >= _BATCH:
            self._write(pending)
        return read

    def _write(self, pending: list[tuple[bytes, int]]) -> None:
        """In the order of the table: that is many times as fast."""
        pending.sort()
        sums: dict[bytes, int] = {}
        for child, number in pending:
            sums[child[:_PART]] = sums.get(child[:_PART], 0) ^ _proof(child, number)
        self._open.executemany("INSERT INTO parents VALUES (?, ?)", pending)
        self._open.executemany(_ADD, sums.items())
        pending.clear()

    def _above(
        self, store: TreeHolder, child: bytes, below: bytes, roots: set[bytes], read: dict[bytes, bytes]
    ) -> Iterator[tuple[bytes, bytes]]:
        for parent in self._parents(child):
            if parent not in read:
                try:
                    read[parent] = store.read(from_raw(parent), max_bytes=trees.MAX_TREE)
                except CasstoreError:  # given up since: no folder of this store any more
                    continue
            for name in trees.names_of(read[parent], child):  # it was read as a tree when it was taken
                path = name + (b"/" + below if below else b"")
                if parent in roots:
                    yield parent, path
                yield from self._above(store, parent, path, roots, read)

    def _parents(self, child: bytes) -> list[bytes]:
        """Raises _Broken."""
        part, prefix = child[:_PART], child[:_PREFIX]
        end = (int.from_bytes(part) + 1).to_bytes(_PART + 1)[1:] if part != b"\xff" * _PART else b"\xff" * (_PREFIX + 1)
        found, total = [], 0
        for own, number in self._open.execute(_ASK, (part, end)):
            total ^= _proof(own, number)
            if own == prefix:
                found.append(number)
        row = self._open.execute("SELECT sum FROM sums WHERE part = ?", (part,)).fetchone()
        if total != (row[0] if row else 0):
            raise _Broken
        return list(dict.fromkeys(self._folder(number) for number in found))  # twice where its unique row was damaged

    def _folder(self, number: int) -> bytes:
        """Asked for those alone that hold it: each may lie on another page of the disk. Raises _Broken."""
        row = self._open.execute("SELECT digest, proof FROM folders WHERE id = ?", (number,)).fetchone()
        if row is None or row[1] != _proof(row[0], number):
            raise _Broken
        return bytes(row[0])


def _proof(raw: bytes, number: int) -> int:
    """Other bytes, another number, and two numbers that changed places give another one."""
    return (zlib.crc32(raw) + 1) * (2 * number + 1) & _MASK


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
    connection = sqlite3.connect(path, timeout=_WAIT, check_same_thread=False, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = OFF")
        if _found(connection) == (0, []):
            connection.execute("BEGIN IMMEDIATE")
            if _found(connection) == (0, []):  # else another one was faster
                for table in _TABLES:
                    connection.execute(table)
                connection.execute(f"PRAGMA user_version = {VERSION}")
            connection.execute("COMMIT")
        if _found(connection) != (VERSION, [(table,) for table in _TABLES]):
            raise sqlite3.DatabaseError("not these tables")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _found(connection: sqlite3.Connection) -> tuple[int, list[tuple[str]]]:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    tables = "SELECT sql FROM sqlite_master WHERE type = 'table' ORDER BY name"
    return version, connection.execute(tables).fetchall()
