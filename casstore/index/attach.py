"""A read-only look into an index that another process has opened and examined: for its workers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import lmdb

from casstore.index.environment import TABLES
from casstore.index.rows import IndexDoubt, Row, parse_row


def attach(path: str) -> Callable[[bytes], Row | None]:
    """A function from raw digest to row, as of now, for as long as this process lives. Raises IndexDoubt."""
    try:
        environment = lmdb.open(path, readonly=True, max_dbs=len(TABLES), create=False, readahead=False)
        objects = environment.open_db(b"objects", create=False)
        txn = environment.begin()
    except (lmdb.Error, OSError) as exc:
        raise IndexDoubt(f"{path}: {exc}") from exc

    def known(raw: bytes, _keep: Any = environment) -> Row | None:
        value = txn.get(raw, db=objects)
        try:
            return None if value is None else parse_row(raw, value)
        except IndexDoubt:
            return None  # then it is stored once more

    return known
