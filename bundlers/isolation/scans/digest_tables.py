"""Very many digests, sorted, in 32 bytes each; and what they have as their sizes.

held = Sizes.of((digest, size) for ...)
held[digest], held.digests.place(digest)
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import overload

import numpy as np
from numpy.typing import NDArray

from attest.digests import Digest, from_raw, to_raw

_LENGTH = 32


class Digests(Sequence[Digest]):
    """Sorted, each once."""

    def __init__(self, raw: bytes) -> None:
        """`raw`: of all, one behind the other, in order."""
        self.raw = raw

    @staticmethod
    def of(digests: Iterable[Digest]) -> Digests:
        """In any order; packed ones are taken as they are."""
        return digests if isinstance(digests, Digests) else Sizes.of((digest, 0) for digest in digests).digests

    def place(self, digest: Digest) -> int | None:
        """The number of a digest, if it is there."""
        wanted = to_raw(digest)
        number = bisect_left(range(len(self)), wanted, key=self._at)
        return number if number < len(self) and self._at(number) == wanted else None

    def __contains__(self, digest: object) -> bool:
        return isinstance(digest, str) and self.place(Digest(digest)) is not None

    def __len__(self) -> int:
        return len(self.raw) // _LENGTH

    def __iter__(self) -> Iterator[Digest]:
        return (from_raw(self._at(number)) for number in range(len(self)))

    @overload
    def __getitem__(self, at: int) -> Digest: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Digest]: ...
    def __getitem__(self, at: int | slice) -> Digest | Sequence[Digest]:
        if isinstance(at, slice):
            return [from_raw(self._at(number)) for number in range(*at.indices(len(self)))]
        return from_raw(self._at(range(len(self))[at]))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and self.raw == Digests.of(other).raw

    __hash__ = None  # type: ignore[assignment]

    def _at(self, number: int) -> bytes:
        return self.raw[number * _LENGTH : (number + 1) * _LENGTH]


class Sizes(Mapping[Digest, int]):
    """Digest -> size, in the order of the digests."""

    def __init__(self, digests: Digests, sizes: NDArray[np.uint64]) -> None:
        self.digests, self.sizes = digests, sizes

    @staticmethod
    def of(rows: Iterable[tuple[Digest, int]]) -> Sizes:
        """In any order; of equal digests the first one's size."""
        raw, sizes = bytearray(), array("Q")
        for digest, size in rows:
            raw += to_raw(digest)
            sizes.append(size)
        words = np.frombuffer(raw, ">u8").reshape(-1, 4).astype(np.uint64)
        order = np.lexsort(words.T[::-1])
        words = words[order]
        kept = np.ones(len(words), bool)
        kept[1:] = (words[1:] != words[:-1]).any(axis=1)
        return Sizes(Digests(words[kept].astype(">u8").tobytes()), np.array(sizes, np.uint64)[order][kept])

    def __getitem__(self, digest: Digest) -> int:
        place = self.digests.place(digest)
        if place is None:
            raise KeyError(digest)
        return int(self.sizes[place])

    def __iter__(self) -> Iterator[Digest]:
        return iter(self.digests)

    def __len__(self) -> int:
        return len(self.digests)

    def rows(self) -> Iterator[tuple[Digest, int]]:
        """As `items`, without a search for each."""
        return ((digest, int(size)) for digest, size in zip(self.digests, self.sizes, strict=True))
