"""A read-only look into an index that another process has opened and examined: for its workers.

known = attach("/store/index/g-0a")
known(raw_digest)                       # -> whether it is there, in a row that is whole
spot = attach_spots("/store/index/g-0a")
spot(raw_digest)                        # -> (pack, its pieces, piece, inner, length) or None
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import lmdb

from casstore.index.rows import TABLES, IndexDoubt, is_whole, parse_pack_row, parse_row, unseal

Spot = tuple[bytes, bytes, int, int, int]
"""The pack's name, the list of its pieces, the object's first piece, where in it, the object's length."""


def attach(path: str) -> Callable[[bytes], bool]:
    """Whether an object is known, as of now, for as long as this process lives. Raises IndexDoubt."""
    txn, (objects,) = attached(path, b"objects")
    get = partial(txn.get, db=objects)

    def known(raw: bytes) -> bool:
        value = get(raw)
        return value is not None and is_whole(raw, value)  # else it is stored once more

    return known


def attach_spots(path: str) -> Callable[[bytes], Spot | None]:
    """As `attach`, to where the bytes are; None also for a row in doubt. Raises IndexDoubt."""
    txn, (objects, packs, pieces) = attached(path, b"objects", b"packs", b"pieces")
    get = txn.get
    remembered: dict[int, tuple[bytes, bytes]] = {}

    def pack_of(number: int) -> tuple[bytes, bytes]:
        key = number.to_bytes(4, "big")
        name = parse_pack_row(key, get(key, db=packs) or b"").name
        found = remembered[number] = name, unseal(key, get(key, db=pieces) or b"")
        return found

    def spot(raw: bytes) -> Spot | None:
        value = get(raw, db=objects)
        if value is None:
            return None
        try:
            number, piece, inner, length, _ = parse_row(raw, value)
            name, rows = remembered.get(number) or pack_of(number)
        except IndexDoubt:
            return None
        return name, rows, piece, inner, length

    return spot


def attached(path: str, *tables: bytes) -> tuple[Any, list[Any]]:
    """A read transaction, which keeps its environment alive, and these tables. Raises IndexDoubt."""
    try:
        environment = lmdb.open(path, readonly=True, max_dbs=len(TABLES), create=False, readahead=False)
        found = [environment.open_db(table, create=False) for table in tables]
        return environment.begin(), found
    except (lmdb.Error, OSError) as exc:
        raise IndexDoubt(f"{path}: {exc}") from exc
