"""What a seal names: the trie of rows that consumers ask, carried on from seal to seal, and the state's whole record.

made.state_root, made.full_root
made.new_blobs()            # what the store has not yet
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from attest.core.values import dataclass
from attest.digests import Digest, sha256
from attest.log import state_trie
from casstore.errors import StoreDamaged
from casstore.ledger.states import row_trie
from casstore.ledger.states.row_trie import Cell, Trie


def _nothing(digest: Digest) -> bytes:
    raise StoreDamaged(f"{digest}, a leaf or node of the sealed state, is nowhere")


class SealedForm:
    """How sealed rows are written: as docs/formats/state.md says."""

    __slots__ = ("read",)

    def __init__(self, read: row_trie.ReadNode = _nothing) -> None:
        self.read = read

    def key(self, name: str) -> str:
        """See `row_trie.Form`."""
        return state_trie.key_of(name)

    def raw(self, name: str, value: Any) -> bytes:
        """See `row_trie.Form`."""
        return state_trie.encode([name, value])

    def value(self, raw: bytes) -> Any:
        """See `row_trie.Form`."""
        return json.loads(raw)[1]

    def leaf(self, cells: Sequence[Cell]) -> bytes:
        """See `row_trie.Form`."""
        return state_trie.leaf_bytes([cell.raw(self) for cell in cells])

    def node(self, children: Sequence[Digest | None]) -> bytes:
        """See `row_trie.Form`."""
        return state_trie.node_bytes(children)

    def parse(self, data: bytes) -> list[Cell] | list[Digest | None]:
        """See `row_trie.Form`."""
        read = json.loads(data)
        if "children" in read:
            return [None if child is None else Digest(child) for child in read["children"]]
        return [Cell(name, raw=state_trie.encode([name, value]), known=False) for name, value in read["rows"]]

    def large(self, cell: Cell) -> None:
        """See `row_trie.Form`."""


@dataclass(frozen=True, slots=True)
class StateTries:
    """The trie over the rows of a state, and all that it is."""

    of: Any
    """The `state.LedgerState` whose rows they are."""
    state: Trie
    full_root: Digest
    """The digest of the state's record."""

    @property
    def state_root(self) -> Digest:
        """What a seal names."""
        return _root(self.state)

    def new_blobs(self) -> dict[Digest, bytes]:
        """The leaves and nodes of `state` that the last seal that held had not: those lie in the store."""
        before = self.of.tries
        return _blobs(self.state, [] if before is None else [before.state])

    def shown(self) -> frozenset[Digest]:
        """The names of all leaves and nodes of `state`: publications lay them out."""
        return frozenset({self.state_root, *row_trie.unshared(self.state, [])})

    def blobs(self) -> dict[Digest, bytes]:
        """All leaves and nodes of `state`."""
        return _blobs(self.state, [])


def _root(trie: Trie) -> Digest:
    return trie.digest or sha256(state_trie.leaf_bytes([]))


def _blobs(trie: Trie, before: Sequence[Trie]) -> dict[Digest, bytes]:
    if not trie.size:
        data = state_trie.leaf_bytes([])
        return {sha256(data): data}
    return row_trie.fresh(trie, before)
