"""Which fingerprints two products have in common, and where: places that are worth comparing byte by byte.

Works on whole arrays: all fingerprints are sorted once, and what only one product has falls away.

    for candidate in candidates(carried): ...
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from attest.digests import Digest
from bundlers.isolation.fingerprints import Hashes, Offsets, Prints
from bundlers.isolation.scanning import Unit

_REACH = 8
"""Among many equal fingerprints each is held against so many neighbours; every product meets another."""


@dataclass(frozen=True, slots=True)
class Carried:
    """A unit as one product carries it."""

    product: int
    blob: Digest
    content: Digest
    """Of the unit itself: the blob, or a member of it."""
    unit: Unit


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
    if not parts:
        return np.empty(0, np.uint64)
    found = np.sort(np.concatenate(parts))
    return found[np.concatenate(([True], found[1:] != found[:-1]))]


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
    a, b, at_a, at_b = _pairs(hashes, owners, offsets, products)
    shifts = at_a - at_b
    order = np.lexsort((at_a, shifts, b, a))
    a, b, at_a, shifts = a[order], b[order], at_a[order], shifts[order]
    starts = np.flatnonzero(np.concatenate(([True], (a[1:] != a[:-1]) | (b[1:] != b[:-1]))))
    ends = np.append(starts[1:], len(a))
    for number in np.argsort(starts - ends, kind="stable"):
        part = slice(starts[number], ends[number])
        yield Candidate(int(a[part.start]), int(b[part.start]), at_a[part], shifts[part])


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
    every = np.sort(np.concatenate([hashes_of(units) for units in by_product.values()] or [np.empty(0, np.uint64)]))
    repeated: Hashes = every[1:][every[1:] == every[:-1]]
    return repeated


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
