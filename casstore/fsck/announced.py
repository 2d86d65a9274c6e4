"""Packs that ledger entries name: each one is there, was given up by a collection, or has a note that leads on.

Readers of a bucket find objects by these names alone; beside a local store the index would hide that one is gone.

    named = packs_named(store, entries)      # raw name -> number of the first entry that names it
    list(gone(store, named))
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping

from attest.digests import Digest, from_raw, to_raw
from attest.errors import CasstoreError
from casstore.fsck.report import Damage
from casstore.ledger.book.cache import EntryCache
from casstore.ledger.book.listing import ledger_names
from casstore.ledger.book.log import Ledger
from casstore.ledger.entries import Entry, parse_pack_list
from casstore.store.store import Store


def packs_named(store: Store, entries: Iterable[Entry]) -> dict[bytes, int]:
    """Each pack with the first entry that names it; a list that cannot be read is told by others."""
    found: dict[bytes, int] = {}
    for entry in entries:
        packs: tuple[Digest, ...] = entry.packs
        if entry.pack_list is not None:
            with contextlib.suppress(CasstoreError):
                packs += parse_pack_list(store.read(entry.pack_list))
        for pack in packs:
            found.setdefault(to_raw(pack), entry.number)
    return found


def gone(store: Store, named: Mapping[bytes, int]) -> Iterator[Damage]:
    """Those that are nowhere, and that no collection has taken."""
    doomed = store.catalog.doomed()
    for name, number in sorted(named.items()):
        if name not in doomed and store.packs.size(name) is None and store.packs.mended(name) is None:
            yield Damage(from_raw(name), None, 0, f"this pack is gone, and no note leads on; entry {number} names it")


def unnamed(store: Store) -> set[bytes]:
    """Packs that no ledger entry names: what mending made, and what was put and never came to its entry."""
    packs = set(store.packs.names()) - store.catalog.doomed().keys()
    for ledger in ledger_names(store):
        packs -= packs_named(store, Ledger(store, ledger, cache=EntryCache()).entries()).keys()
    return packs
