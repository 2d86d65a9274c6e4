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
from bundlers.isolation.scans.scanning import Scan

_Owners = NDArray[np.uint32]
_Chosen = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Tokens:
    """Of one product, sorted by token; each once a file."""

    files: tuple[Digest, ...]
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
        files = tuple(sorted(scans))
        parts = [_file_tokens(number, digest, *scans[digest], min_size) for number, digest in enumerate(files)]
        tokens, owners, contents = (
            np.concatenate([part[at] for part in parts]) if parts else np.empty(0, kind)
            for at, kind in enumerate((np.uint64, np.uint32, np.bool_))
        )
        order = np.argsort(tokens, kind="stable")  # parts go by owner, and contents go first in each
        tokens, owners, contents = tokens[order], owners[order], contents[order]
        if len(tokens):
            first = np.concatenate(([True], (tokens[1:] != tokens[:-1]) | (owners[1:] != owners[:-1])))
            tokens, owners, contents = tokens[first], owners[first], contents[first]
        return Tokens(
            files,
            tokens,
            owners,
            contents,
            frozenset(digest for digest in files if scans[digest][1].members),
            frozenset(digest for digest in files if scans[digest][1].unopened),
        )

    def chosen(self, files: Iterable[Digest]) -> Tokens:
        """Of some of its files."""
        wanted = frozenset(files)
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
        numbers = {digest: number for number, digest in enumerate(self.files)}
        sets = [sorted(numbers[digest] for digest in held) for held in (self.packed, self.unopened)]
        arrays = (self.tokens.tobytes(), self.owners.tobytes(), self.contents.tobytes())
        return b"".join((len(self.tokens).to_bytes(8, "big"), *arrays, msgpack.packb(sets)))

    @staticmethod
    def from_bytes(files: Sequence[Digest], data: memoryview) -> Tokens:
        """The inverse, for the same files; the bytes are not copied."""
        count = int.from_bytes(data[:8], "big")
        packed, unopened = msgpack.unpackb(data[8 + 13 * count :])
        return Tokens(
            tuple(files),
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


def _file_tokens(number: int, digest: Digest, size: int, found: Scan, min_size: int) -> tuple[Hashes, _Owners, _Chosen]:
    held = [(digest, size), *((member.digest, member.size) for member in found.members)]
    marks = [_mark(mark) for unit in found.units for mark in unit.marks]
    keys = np.array([*(token(one) for one, _ in held), *marks], np.uint64)
    counts = np.array([*(length > 0 and length >= min_size for _, length in held), *(False for _ in marks)], bool)
    prints = [np.frombuffer(unit.hashes, "<u8").astype(np.uint64, copy=False) for unit in found.units]
    tokens = np.concatenate([keys, *prints])
    contents = np.zeros(len(tokens), bool)
    contents[: len(counts)] = counts
    return tokens, np.full(len(tokens), number, np.uint32), contents


def _mark(mark: str) -> int:
    return int.from_bytes(hashlib.sha256(mark.encode("utf-8", "surrogatepass")).digest()[:8], "little")
