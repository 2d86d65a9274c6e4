"""All by which a product's files could be known in another product, as numbers; what no other has needs no look.

A token is 64 bits: the beginning of a content's digest (a file's, or that of something packed in it), of a mark's
hash, or a fingerprint. Equal tokens are a reason to look and no finding. Kept per product beside the index, sealed
with the user's secret: a product whose files did not change costs one read, however many they are.

    known = Tokens.of({digest: scan}, min_size=1)
    known.holding(common)            # the files that have one of these, sorted numbers
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence

import msgpack
import numpy as np
from numpy.typing import NDArray

from attest.core.values import dataclass
from attest.digests import Digest, to_raw
from bundlers.inspection.fingerprints import Hashes
from bundlers.isolation.scans.digest_tables import Digests, Sizes
from bundlers.isolation.scans.scanning import Scan

_Owners = NDArray[np.uint32]
_Chosen = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Tokens:
    """Of one product, sorted by token; each once a file."""

    files: Sequence[Digest]
    """Sorted; owners are places here."""
    tokens: Hashes
    owners: _Owners
    contents: _Chosen
    """Which tokens stand for a content that is large enough to count."""
    packed: frozenset[Digest]
    """Files that hold others."""
    unopened: frozenset[Digest]
    """Files of which something could not be opened."""

    @staticmethod
    def of(scans: Mapping[Digest, tuple[int, Scan]], min_size: int) -> Tokens:
        """Of each file its size, and what a look at it found."""
        gathering = Gathering(Sizes.of((digest, size) for digest, (size, _) in scans.items()), min_size)
        for digest, (_, found) in scans.items():
            gathering.add(digest, found)
        return gathering.done()

    def chosen(self, wanted: Digests) -> Tokens:
        """Of some of its files."""
        if len(wanted) >= len(self.files):
            return self
        kept = np.array([digest in wanted for digest in self.files], bool)[self.owners]
        return Tokens(self.files, self.tokens[kept], self.owners[kept], self.contents[kept], self.packed, self.unopened)

    def counted(self, but: Hashes) -> Hashes:
        """Contents that count, each once, without some: a figure, for other contents may begin like one of these."""
        found = np.unique(self.tokens[self.contents])
        return found[~np.isin(found, but)]

    def holding(self, common: Hashes) -> frozenset[Digest]:
        """The files that have one of these."""
        first, last = (np.searchsorted(self.tokens, common, side) for side in ("left", "right"))
        counts = last - first
        places = np.arange(counts.sum()) + np.repeat(first - np.cumsum(counts) + counts, counts)
        return frozenset(self.files[owner] for owner in np.unique(self.owners[places]).tolist())

    def to_bytes(self) -> bytes:
        """For the cache (docs/formats/index.md)."""
        place = Digests.of(self.files).place
        sets = [
            sorted(number for one in held if (number := place(one)) is not None)
            for held in (self.packed, self.unopened)
        ]
        arrays = (self.tokens.tobytes(), self.owners.tobytes(), self.contents.tobytes())
        return b"".join((len(self.tokens).to_bytes(8, "big"), *arrays, msgpack.packb(sets)))

    @staticmethod
    def from_bytes(files: Sequence[Digest], data: memoryview) -> Tokens:
        """The inverse, for the same files; the bytes are not copied."""
        count = int.from_bytes(data[:8], "big")
        packed, unopened = msgpack.unpackb(data[8 + 13 * count :])
        return Tokens(
            files,
            np.frombuffer(data, np.uint64, count, 8),
            np.frombuffer(data, np.uint32, count, 8 + 8 * count),
            np.frombuffer(data, np.bool_, count, 8 + 12 * count),
            *(frozenset(files[number] for number in held) for held in (packed, unopened)),
        )


def token(digest: Digest) -> int:
    """Of a content."""
    return int.from_bytes(to_raw(digest)[:8], "little")


def array(tokens: Iterable[int]) -> Hashes:
    """Sorted, each once."""
    return np.unique(np.fromiter(tokens, np.uint64))


class Gathering:
    """Tokens of a product, while its files are looked at one by one, in any order."""

    def __init__(self, files: Sizes, min_size: int) -> None:
        self._files, self._min_size = files, min_size
        self._tokens, self._owners, self._contents = bytearray(), bytearray(), bytearray()
        self._packed: set[Digest] = set()
        self._unopened: set[Digest] = set()
        self.refused = False
        """Whether nothing is known of one of them."""

    def add(self, digest: Digest, found: Scan) -> None:
        """What was found in a file; nothing where it is none of the product."""
        number = self._files.digests.place(digest)
        if number is None:
            return
        held = [(digest, int(self._files.sizes[number])), *((one.digest, one.size) for one in found.members)]
        keys = [*(token(one) for one, _ in held), *(_mark(mark) for unit in found.units for mark in unit.marks)]
        raw = b"".join((*(key.to_bytes(8, "little") for key in keys), *(unit.hashes for unit in found.units)))
        count = len(raw) // 8
        self._tokens += raw
        self._owners += number.to_bytes(4, "little") * count
        self._contents += bytes(size > 0 and size >= self._min_size for _, size in held) + bytes(count - len(held))
        if found.members:
            self._packed.add(digest)
        if found.unopened:
            self._unopened.add(digest)
        self.refused |= bool(found.refused)

    def done(self) -> Tokens:
        """Of all of them."""
        tokens = np.frombuffer(self._tokens, "<u8").astype(np.uint64, copy=False)
        owners = np.frombuffer(self._owners, "<u4").astype(np.uint32, copy=False)
        contents = np.frombuffer(self._contents, np.bool_)
        order = np.lexsort((~contents, owners, tokens))  # contents go first in each file
        tokens, owners, contents = tokens[order], owners[order], contents[order]
        if len(tokens):
            first = np.concatenate(([True], (tokens[1:] != tokens[:-1]) | (owners[1:] != owners[:-1])))
            tokens, owners, contents = tokens[first], owners[first], contents[first]
        return Tokens(self._files.digests, tokens, owners, contents, frozenset(self._packed), frozenset(self._unopened))


def _mark(mark: str) -> int:
    return int.from_bytes(hashlib.sha256(mark.encode("utf-8", "surrogatepass")).digest()[:8], "little")
