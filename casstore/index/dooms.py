"""Packs on which nobody may lean any more, in the index: condemned, or given up by a collection of garbage.

A doomed pack has no rows in the other tables, so a writer stores anew what only it holds, and
it is never taken in again: its name stands in `info`, with who dooms it (a ledger's name) and
whether it was given up. All of a change is one transaction, with a new epoch; a pack's number
is never used again.

    lifted = change(txn, tables, {name: {"main": False}}, pack_tables)
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

from casstore.index import rows
from casstore.objects.pack_format import PackTable

EPOCH = b"epoch"
_PREFIX = b"doom:"
_NEXT = b"next"
_COUNT = b"steps:"

Told = Mapping[str, bool]
"""Who dooms a pack -> whether it was given up."""


def has(txn: Any, tables: Mapping[bytes, Any], name: bytes) -> bool:
    """Whether the pack is doomed."""
    return txn.get(_PREFIX + name, db=tables[b"info"]) is not None


def load(txn: Any, tables: Mapping[bytes, Any]) -> Iterator[tuple[bytes, dict[str, bool]]]:
    """All doomed packs."""
    cursor = txn.cursor(tables[b"info"])
    more = cursor.set_range(_PREFIX)
    while more and cursor.key().startswith(_PREFIX):
        told = rows.unpack(rows.unseal(cursor.key(), cursor.value()))
        if not isinstance(told, dict):
            raise rows.IndexDoubt("a doomed pack's row has another form")
        yield cursor.key()[len(_PREFIX) :], told
        more = cursor.next()


def next_number(txn: Any, tables: Mapping[bytes, Any]) -> int:
    """The least number that no pack ever had, as far as packs were dropped."""
    value = txn.get(_NEXT, db=tables[b"info"])
    return int.from_bytes(rows.unseal(_NEXT, value), "big") if value is not None else 0


def said_later(txn: Any, tables: Mapping[bytes, Any], owner: str, count: int) -> bool:
    """Whether `owner` was heard with more steps than these already: what comes late counts no more."""
    value = txn.get(_COUNT + owner.encode(), db=tables[b"info"])
    return value is not None and int.from_bytes(rows.unseal(_COUNT + owner.encode(), value), "big") > count


def note_count(txn: Any, tables: Mapping[bytes, Any], owner: str, count: int) -> None:
    """How many steps of `owner` were heard."""
    _put(txn, tables, _COUNT + owner.encode(), count.to_bytes(8, "big"))


def merged(txn: Any, tables: Mapping[bytes, Any], owner: str, packs: Mapping[bytes, bool]) -> dict[bytes, Told]:
    """All doomed packs when `owner` dooms exactly these; what it gave up once stays so."""
    told: dict[bytes, dict[str, bool]] = {}
    for name, by in load(txn, tables):
        told[name] = {who: gone for who, gone in by.items() if who != owner or gone}
    for name, gone in packs.items():
        by = told.setdefault(name, {})
        by[owner] = by.get(owner, False) or gone
    return {name: by for name, by in told.items() if by}


def change(
    txn: Any, tables: Mapping[bytes, Any], told: Mapping[bytes, Told], packs: Mapping[bytes, PackTable]
) -> frozenset[bytes] | None:
    """See `Index.doom`."""
    numbers = dict(_numbers(txn, tables))
    if any(name not in told and name not in packs for name in numbers):
        return None
    before = dict(load(txn, tables))
    for name in before.keys() - told.keys():
        txn.delete(_PREFIX + name, db=tables[b"info"])
    for name, by in told.items():
        _put(txn, tables, _PREFIX + name, rows.pack(dict(by)))
    gone = {name: number for name, number in numbers.items() if name in told}
    if gone:
        _drop(txn, tables, gone, max(numbers.values()) + 1)
        kept = {name: number for name, number in numbers.items() if name not in told}
        _find_again(txn, tables, _drop_objects(txn, tables, frozenset(gone.values())), kept, packs)
    if any(before.get(name) != by for name, by in told.items()):  # also of a pack that the index has not met yet
        _put(txn, tables, EPOCH, os.urandom(16))
    return frozenset(before.keys() - told.keys())


def _drop(txn: Any, tables: Mapping[bytes, Any], gone: Mapping[bytes, int], after: int) -> None:
    _put(txn, tables, _NEXT, max(after, next_number(txn, tables)).to_bytes(4, "big"))
    for name, number in gone.items():
        key = number.to_bytes(4, "big")
        txn.delete(name, db=tables[b"names"])
        txn.delete(key, db=tables[b"packs"])
        txn.delete(key, db=tables[b"pieces"])


def _drop_objects(txn: Any, tables: Mapping[bytes, Any], gone: frozenset[int]) -> set[bytes]:
    """The rows of these packs; which objects they were of."""
    found = txn.cursor(tables[b"objects"])
    lost = {key for key, value in found if rows.parse_row(key, value).pack in gone}
    for key in lost:
        txn.delete(key, db=tables[b"objects"])
    return lost


def _find_again(
    txn: Any,
    tables: Mapping[bytes, Any],
    lost: set[bytes],
    kept: Mapping[bytes, int],
    packs: Mapping[bytes, PackTable],
) -> None:
    """Rows to other copies of the objects; attestations that have none are no longer found by subject."""
    for name, number in kept.items():
        for key, value in rows.object_items(number, packs[name]) if lost else ():
            if key in lost:
                txn.put(key, value, db=tables[b"objects"])
                lost.discard(key)
    for key in [key for key, _ in txn.cursor(tables[b"subjects"]) if key[32:] in lost] if lost else ():
        txn.delete(key, db=tables[b"subjects"])


def _numbers(txn: Any, tables: Mapping[bytes, Any]) -> Iterator[tuple[bytes, int]]:
    for name, value in txn.cursor(tables[b"names"]):
        yield name, int.from_bytes(rows.unseal(name, value), "big")


def _put(txn: Any, tables: Mapping[bytes, Any], key: bytes, record: bytes) -> None:
    txn.put(key, rows.seal(key, record), db=tables[b"info"])
