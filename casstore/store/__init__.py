"""A store as one thing: open it, put and read objects, find attestations by subject.

In: a URL and bytes. Out: digests, verified bytes, reports. Everything below (packs, index, ingest,
checkout) is reached through it. Called by the ledger, promotion, upkeep and all of bundlers.
"""

from casstore.store.store import Store

__all__ = ["Store"]
