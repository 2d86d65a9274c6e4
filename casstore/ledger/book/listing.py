"""Which ledgers a store has, by the names of what lies there: files of strangers are none; and what this user has seen.

ledger_names(store)                    # ["main"]
numbers(store)                         # {"main": [0, 1, 2]}
"""

from __future__ import annotations

from typing import Protocol

from casstore.ledger import entries
from casstore.ledger.book import seen
from casstore.storage import Storage


class Place(Protocol):
    """What is needed of a store."""

    @property
    def storage(self) -> Storage:
        """Where the entries are."""

    @property
    def url(self) -> str:
        """Where it lies."""

    @property
    def store_id(self) -> str:
        """Which store it is."""


def ledger_names(store: Place) -> list[str]:
    """All ledgers that have entries, and those that this user has seen: none of them may be gone. A listing."""
    return sorted(numbers(store))


def numbers(store: Place) -> dict[str, list[int]]:
    """Ledger -> numbers of the entries that are there, sorted."""
    found: dict[str, list[int]] = {name: [] for name in seen.ledgers(store.url, store.store_id)}
    for key in store.storage.list("ledgers/"):
        if (place := entries.place_of(key)) is not None:
            found.setdefault(place[0], []).append(place[1])
    return {name: sorted(found[name]) for name in sorted(found)}
