"""Files that are nobody's: they lie in a store and have no name that a store gives. They are named and stop nothing.

list(strangers(store))                 # ["packs/Thumbs.db", "pins/desktop.ini"]
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from casstore.fsck.whole_pack import QUARANTINE
from casstore.ledger import entries
from casstore.objects import mended, store_config, twins
from casstore.objects.packs import TEMP, key_of, name_of
from casstore.store.store import Store

_OURS = (
    re.compile(r"pins/[0-9a-f]{32}(\.copy)?"),
    re.compile(r"collections/[0-9]{20}(\.copy)?"),
    re.compile(mended.FOLDER + r"/[0-9a-f]{64}"),
    re.compile(r"states/[a-z0-9][a-z0-9._-]{0,63}/[0-9]{20}"),
)
_UPKEEP = (f"{QUARANTINE}/", f"{TEMP}/", "index/")
"""What no reader of a store looks at; caches judge their own files."""


def strangers(store: Store) -> Iterator[str]:
    """The keys, in order. A listing of the whole store."""
    for key in sorted(store.storage.list("")):
        if not key.startswith(_UPKEEP) and not _is_ours(key):
            yield key


def _is_ours(key: str) -> bool:
    if key == store_config.KEY or any(one.fullmatch(key) for one in _OURS):
        return True
    if key.startswith("packs/"):
        name = name_of(key.rpartition("/")[2])
        return name is not None and key == key_of(name)
    if "/checkpoints/" in key:
        key = key.replace("/checkpoints/", "/", 1).removesuffix(twins.COPY)
    return entries.place_of(key) is not None
