"""Compares the rows of an index that another process has opened with the packs' own tables: for checks.

rows = attach_rows("/store/index/g-0a")
rows.homed(table)               # how many rows lead to this pack; IndexDoubt when one is wrong
rows.unknown([raw, raw])        # those that the index does not know
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any

import lmdb

from casstore.index.attach import attached
from casstore.index.rows import IndexDoubt, object_items, parse_row, unseal
from casstore.objects.pack_format import PackTable

_AT_ONCE = 4096


TABLES = (b"objects", b"names", b"pieces", b"subjects")


def attach_rows(path: str) -> Rows:
    """The rows of an index that another process has opened, as of now. Raises IndexDoubt."""
    return Rows(*attached(path, *TABLES))


class Rows:
    """Within one read transaction; `tables` are those of TABLES."""

    def __init__(self, txn: Any, tables: Sequence[Any]) -> None:
        self._txn = txn
        self._objects, self._names, self._pieces, self._subjects = tables

    def homed(self, table: PackTable) -> int:
        """How many objects are looked for in this pack. Raises IndexDoubt when a row is missing or wrong."""
        key = self._get(self._names, table.name)
        if key is None:
            raise IndexDoubt("the index did not know a pack")
        if self._get(self._pieces, key) != table.pieces:
            raise IndexDoubt("the index had other pieces than a pack")
        number, count = int.from_bytes(key, "big"), 0
        items = object_items(number, table)
        while part := list(islice(items, _AT_ONCE)):
            count += self._same(number, part)
        for subject, raw in table.iter_subjects():
            if self._txn.get(subject + raw, db=self._subjects) is None:
                raise IndexDoubt("the index lacked a subject")
        return count

    def unknown(self, raws: Sequence[bytes]) -> list[bytes]:
        """Those that the index does not know."""
        get, objects = self._txn.get, self._objects
        return [raw for raw in raws if get(raw, db=objects) is None]

    def _same(self, number: int, expected: list[tuple[bytes, bytes]]) -> int:
        """How many of these rows lead to this pack; equal bytes need no second look."""
        try:
            with self._txn.cursor(self._objects) as cursor:
                found = cursor.getmulti([key for key, _ in expected])
        except lmdb.Error as exc:
            raise IndexDoubt(f"LMDB: {exc}") from exc
        if found == expected:
            return len(found)
        rows = dict(found)
        count = 0
        for key, value in expected:
            if key not in rows:
                raise IndexDoubt("the index lacked an object")
            if rows[key] == value:
                count += 1
            elif parse_row(key, rows[key]).pack == number:
                raise IndexDoubt("a row of the index led to another place")
        return count

    def _get(self, table: object, key: bytes) -> bytes | None:
        value = self._txn.get(key, db=table)
        return None if value is None else unseal(key, value)


__all__ = ["Rows", "attach_rows"]
