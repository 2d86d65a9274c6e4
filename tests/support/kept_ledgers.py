"""The kept ledgers of each number of the rules (tests/formats/golden/rules), folded."""

from __future__ import annotations

from typing import Any

from attest.digests import Digest, sha256
from casstore.errors import NoSuchObject
from casstore.ledger import entries as formats
from casstore.ledger.folding import fold
from casstore.ledger.states.state import LedgerState, start


class Objects:
    """What a kept ledger names."""

    def __init__(self, kept: dict[str, Any]) -> None:
        self.store_id: str = kept["store"]
        self._known = {sha256(data): data for text in kept["objects"].values() if (data := text.encode("latin-1"))}

    def read(self, digest: Digest, *, max_bytes: int | None = None) -> bytes:
        if digest not in self._known:
            raise NoSuchObject(digest)
        return self._known[digest]


def folded(kept: dict[str, Any], cut: int = 0) -> LedgerState:
    """The state after all its entries; after the first ones, and then the others, where `cut` says so."""
    entries, objects = [formats.parse(text.encode()) for text in kept["entries"]], Objects(kept)
    return fold(fold(start(kept["store"], "main"), entries[:cut], objects), entries[cut:], objects)
