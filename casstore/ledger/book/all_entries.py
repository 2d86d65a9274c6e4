"""Every entry of a ledger, as bytes: each is named by the next one, and parsed only when it is asked for.

entries = AllEntries(raws)
entries[41].kind, entries.number_of(digest), entries.tree.root(42)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property

from attest.digests import Digest, sha256
from attest.log.merkle import MemoryTree
from casstore.ledger import entries as formats
from casstore.ledger.entries import Entry


class AllEntries(Mapping[int, Entry]):
    """Number -> entry."""

    def __init__(self, raws: Sequence[bytes], known: Sequence[Entry] = (), before: AllEntries | None = None) -> None:
        self.raws = raws
        self._parsed = {entry.number: entry for entry in known}
        self._begun = MemoryTree()
        if before is not None and "tree" in vars(before) and raws[: len(before)] == before.raws:
            self._begun = before.tree

    def __getitem__(self, number: int) -> Entry:
        if number not in self._parsed:
            if not 0 <= number < len(self.raws):
                raise KeyError(number)
            self._parsed[number] = formats.parse(self.raws[number])
        return self._parsed[number]

    def __contains__(self, number: object) -> bool:
        return isinstance(number, int) and 0 <= number < len(self.raws)

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.raws)))

    def __len__(self) -> int:
        return len(self.raws)

    def number_of(self, digest: Digest) -> int | None:
        """The number of the entry with this digest."""
        return self._numbers.get(digest)

    @cached_property
    def _numbers(self) -> dict[Digest, int]:
        return {sha256(raw): number for number, raw in enumerate(self.raws)}

    @cached_property
    def tree(self) -> MemoryTree:
        """The Merkle tree over all of them."""
        begun = self._begun
        return begun.followed_by(self.raws[len(begun) :]) if len(begun) else MemoryTree(self.raws)


def broken_at(raws: Sequence[bytes], after: bytes) -> int | None:
    """The first one that the next one, at last `after`, does not name as the entry before it.

    An entry's bytes are RFC 8785: the text of a field stands in them once, and in no value, where quotes are escaped.
    """
    for number, (raw, following) in enumerate(zip(raws, [*raws[1:], after], strict=True)):
        if f'"prev":"{sha256(raw)}"'.encode() not in following:
            return number
    return None
