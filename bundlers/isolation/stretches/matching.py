"""Which fingerprints two products have in common, and where: places that are worth comparing byte by byte.

Works on whole arrays: all fingerprints are sorted once, and what only one product has falls away.

    for candidate in candidates(carried): ...
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

import numpy as np

from attest.core.values import dataclass
from attest.digests import Digest
from bundlers.inspection.fingerprints import Hashes, Offsets, Prints
from bundlers.inspection.units import Unit

_REACH = 8
"""Among many equal fingerprints each is held against so many neighbours; every product meets another."""


_MEMBERS = 256
"""Of a fingerprint that stands very often so many places are asked."""
_SAMPLE, _LEAST = 256, 16
"""So many fingerprints of a unit are asked for its partners, fewer when there are many units."""
_BUDGET = 20_000_000
_AGREE = 3
_PARTNERS = 4
_OFFSET_BITS = 40
"""Enough for a distance in a file, forward or back; above it stands a unit's number."""


@dataclass(frozen=True, slots=True)
class Carried:
    """A unit as one product carries it."""

    product: int
    blob: Digest
    content: Digest
    """Of the unit itself: the blob, or a member of it."""
    unit: Unit
    size: int = 0
    """Of the blob."""
    encoded: bool = False
    """Whether it stands there as base64 or hex."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """Two carried units, by their numbers, that share fingerprints: where, in the order of `shift`."""

    a: int
    b: int
    offsets: Offsets
    """In a."""
    shifts: Offsets
    """Offset in a less offset in b."""


def hashes_of(units: Iterable[Unit]) -> Hashes:
    """All fingerprints of some units, sorted, each once."""
    parts = [np.frombuffer(unit.hashes, "<u8") for unit in units if unit.hashes]
    return _once(np.sort(np.concatenate(parts))) if parts else np.empty(0, np.uint64)


def in_two(products: Iterable[Hashes]) -> Hashes:
    """What two products have or more, sorted, each once; of each its own are sorted."""
    each = sorted(products, key=len)
    if not each:
        return np.empty(0, np.uint64)
    largest, rest = each.pop(), [_once(held) for held in each]
    every = np.sort(np.concatenate([np.empty(0, np.uint64), *rest]), kind="stable")  # sorted runs are merged
    others = _once(every)
    return np.union1d(every[1:][every[1:] == every[:-1]], others[is_in(others, largest)])


def _once(hashes: Hashes) -> Hashes:
    if not len(hashes):
        return hashes
    found: Hashes = hashes[np.concatenate(([True], hashes[1:] != hashes[:-1]))]
    return found


def is_in(hashes: Hashes, common: Hashes) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """For each fingerprint whether it is one of the (sorted) common ones."""
    if not len(common):
        return np.zeros(len(hashes), bool)
    at = np.minimum(np.searchsorted(common, hashes), len(common) - 1)
    found: np.ndarray[tuple[int], np.dtype[np.bool_]] = common[at] == hashes
    return found


def candidates(carried: Sequence[Carried]) -> Iterator[Candidate]:
    """Pairs of units in different products, those with most in common first."""
    hashes, owners, offsets = _shared(carried)
    if not len(hashes):
        return
    products = np.array([item.product for item in carried], np.int32)
    near, crowded = _pairs(hashes, owners, offsets, products), _crowded(hashes, owners, offsets, products)
    a, b, at_a, at_b = (np.concatenate(column) for column in zip(near, crowded, strict=True))
    shifts = at_a - at_b
    order = np.lexsort((at_a, shifts, b, a))
    a, b, at_a, shifts = a[order], b[order], at_a[order], shifts[order]
    starts = np.flatnonzero(np.concatenate(([True], (a[1:] != a[:-1]) | (b[1:] != b[:-1]))))
    ends = np.append(starts[1:], len(a))
    for number in np.argsort(starts - ends, kind="stable"):
        part = slice(starts[number], ends[number])
        yield Candidate(int(a[part.start]), int(b[part.start]), at_a[part], shifts[part])


def _crowded(
    hashes: Hashes,
    owners: Offsets,
    offsets: Offsets,
    products: np.ndarray[tuple[int], np.dtype[np.int32]],
) -> tuple[Offsets, Offsets, Offsets, Offsets]:
    """Places among fingerprints that stand so often that neighbours do not meet all: each unit's best partners.

    Many files that hold pieces of a content crowd out the one that holds all of it: but only that one agrees
    with its partner at one distance again and again.
    """
    none = (np.empty(0, np.int64),) * 4
    starts = np.flatnonzero(np.concatenate(([True], hashes[1:] != hashes[:-1])))
    ends = np.append(starts[1:], len(hashes))
    large = (ends - starts) > _REACH
    if not large.any():
        return none
    group = np.repeat(np.arange(len(starts)), ends - starts)
    mine = np.flatnonzero(large[group])
    mine = mine[np.lexsort((offsets[mine], owners[mine]))]
    edges = np.flatnonzero(np.concatenate(([True], owners[mine][1:] != owners[mine][:-1], [True])))
    most = max(_LEAST, min(_SAMPLE, _BUDGET // max(1, (len(edges) - 1) * _MEMBERS)))
    found = [
        _partners(_spread(mine[first:last], most), starts[group], ends[group], owners, offsets, products)
        for first, last in pairwise(edges.tolist())
        if last - first >= _AGREE
    ]
    rows = [row for row in found if len(row[0])]
    if not rows:
        return none
    a, b, at_a, at_b = (np.concatenate(column) for column in zip(*rows, strict=True))
    swap = products[a] > products[b]
    return np.where(swap, b, a), np.where(swap, a, b), np.where(swap, at_b, at_a), np.where(swap, at_a, at_b)


def _spread(places: Offsets, most: int) -> Offsets:
    """At most so many, from front to back."""
    return places if len(places) <= most else places[np.linspace(0, len(places) - 1, most).astype(np.int64)]


def _partners(
    places: Offsets,
    starts: Offsets,
    ends: Offsets,
    owners: Offsets,
    offsets: Offsets,
    products: np.ndarray[tuple[int], np.dtype[np.int32]],
) -> tuple[Offsets, Offsets, Offsets, Offsets]:
    """Of one unit: the few others in other products that agree with it most often at one distance, and where."""
    others = [_spread(np.arange(starts[at], ends[at]), _MEMBERS) for at in places]
    own = np.repeat(places, [len(row) for row in others])
    other = np.concatenate(others)
    apart = products[owners[own]] != products[owners[other]]
    own, other = own[apart], other[apart]
    keys = (owners[other] << _OFFSET_BITS) + (offsets[own] - offsets[other])
    _, of, counts = np.unique(keys, return_inverse=True, return_counts=True)
    best = np.argsort(-counts, kind="stable")[:_PARTNERS]
    chosen = np.isin(of.reshape(-1), best[counts[best] >= _AGREE])
    own, other = own[chosen], other[chosen]
    return owners[own], owners[other], offsets[own], offsets[other]


def _shared(carried: Sequence[Carried]) -> tuple[Hashes, Offsets, Offsets]:
    """Fingerprints of more than one product, sorted; whose they are, and where."""
    wanted = _in_two_products(carried)
    parts = []
    for number, item in enumerate(carried):
        if not item.unit.hashes:
            continue
        prints = Prints.from_bytes(item.unit.hashes, item.unit.steps)
        mine = is_in(prints.hashes, wanted)
        if mine.any():
            parts.append((prints.hashes[mine], np.full(int(mine.sum()), number, np.int64), prints.offsets[mine]))
    if not parts:
        return np.empty(0, np.uint64), np.empty(0, np.int64), np.empty(0, np.int64)
    hashes, owners, offsets = (np.concatenate(column) for column in zip(*parts, strict=True))
    products = np.array([item.product for item in carried], np.int64)[owners]
    order = np.lexsort((products, hashes))
    return hashes[order], owners[order], offsets[order]


def _in_two_products(carried: Sequence[Carried]) -> Hashes:
    by_product: dict[int, list[Unit]] = {}
    for item in carried:
        by_product.setdefault(item.product, []).append(item.unit)
    return in_two(hashes_of(units) for units in by_product.values())


def _pairs(
    hashes: Hashes,
    owners: Offsets,
    offsets: Offsets,
    products: np.ndarray[tuple[int], np.dtype[np.int32]],
) -> tuple[Offsets, Offsets, Offsets, Offsets]:
    found = []
    for reach in range(1, min(_REACH, len(hashes) - 1) + 1):
        one, two = owners[:-reach], owners[reach:]
        hit = (hashes[:-reach] == hashes[reach:]) & (products[one] != products[two])
        found.append((one[hit], two[hit], offsets[:-reach][hit], offsets[reach:][hit]))
    a, b, at_a, at_b = (np.concatenate(column) for column in zip(*found, strict=True))
    return a, b, at_a, at_b
