"""The index: a local, disposable LMDB map from digests to places in packs. The only door to lmdb.

In: tables of packs, raw digests. Out: places in packs, or IndexDoubt. Called by store, ingest, checkout, fsck, and by
the ledger for what it caches.

Never the only copy of anything and never trusted: rows carry a check value, the file is
examined before LMDB may touch it, and whatever is in doubt is thrown away and filled again
from the packs' own tables. `docs/formats/index.md` has the rows.

    index = Index.open(folder, store_id)
    index.add_packs([table])
    index.get(raw_digest)        # -> Row or None
"""

from casstore.index.attach import attach
from casstore.index.environment import Options
from casstore.index.index import Index, IndexReader
from casstore.index.rows import IndexDoubt, PackRow, Row

__all__ = ["Index", "IndexDoubt", "IndexReader", "Options", "PackRow", "Row", "attach"]
