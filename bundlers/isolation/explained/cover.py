"""Which bytes of a file are explained between two products: compared byte by byte with what both may carry.

Fingerprints only say where to begin: from there both are read until they differ, to both sides, but
never from one accepted stretch into the next. Texts of licences are known by their words.

    cover = Cover(allowed, opener)
    cover.of(row, "core", "agent")       # merged stretches of the row's bytes
"""

from __future__ import annotations

from bisect import bisect_right

import numpy as np
from numpy.typing import NDArray

from attest.core.values import dataclass
from bundlers.inspection.fingerprints import Hashes, K, Offsets, Prints
from bundlers.isolation.explained import licences
from bundlers.isolation.explained.allowed import Allowed, Group, KnownUnit
from bundlers.isolation.explained.relocated import Linked
from bundlers.isolation.scans.reopening import Opener
from bundlers.isolation.stretches import spans
from bundlers.isolation.stretches.equal_bytes import equal_before, equal_from
from bundlers.isolation.stretches.matching import Carried
from bundlers.isolation.stretches.spans import Span

_TRIED = 8
"""Of many equal places in what is known so many are tried."""
_LARGEST_TEXT = 16 << 20
_LARGEST_PROGRAM = 1 << 30
_LICENCE, _OBJECTS = -1, 1 << 20
"""Beside the numbers of groups."""
_PROGRAM = (b"\x7fELF", b"MZ", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe")
"""ELF, PE, Mach-O of 64 bits, several of these in one file."""


@dataclass(frozen=True, slots=True)
class _Known:
    """A group's fingerprints, sorted; which unit each is of, and where."""

    hashes: Hashes
    owners: NDArray[np.int64]
    offsets: Offsets


class Cover:
    """What is explained, held for all pairs of one comparison."""

    def __init__(self, allowed: Allowed, opener: Opener) -> None:
        self._groups = [group for group in allowed.groups if group.units or group.objects]
        self._known = {number: _sorted(group) for number, group in enumerate(self._groups) if group.units}
        self._opener = opener
        self._held: dict[tuple[str, str, int], list[Span]] = {}
        self._made: dict[int, Linked] = {}

    def of(self, row: Carried, one: str, two: str) -> list[Span]:
        """The explained stretches of a unit between two products."""
        found = list(self._by_licence(row)) if row.unit.text and row.unit.size <= _LARGEST_TEXT else []
        for number, group in enumerate(self._groups):
            if one in group.products and two in group.products:
                found += self._by_group(row, number) if group.units else ()
                found += self._by_objects(row, number) if group.objects else ()
        return spans.merged(found)

    def _by_licence(self, row: Carried) -> list[Span]:
        key = (row.blob, row.unit.path, _LICENCE)
        if key not in self._held:
            text = self._opener.open(row.blob, row.unit.path)
            text.seek(0)
            self._held[key] = licences.cover(text.read())
        return self._held[key]

    def _by_group(self, row: Carried, number: int) -> list[Span]:
        key = (row.blob, row.unit.path, number)
        if key not in self._held:
            self._held[key] = spans.merged(self._grown(row, self._groups[number], self._known[number]))
        return self._held[key]

    def _by_objects(self, row: Carried, number: int) -> list[Span]:
        """Of a program, what was linked from a reference's objects."""
        key = (row.blob, row.unit.path, _OBJECTS + number)
        if key not in self._held:
            program = self._opener.open(row.blob, row.unit.path)
            program.seek(0)
            data = program.read() if row.unit.size <= _LARGEST_PROGRAM else b""
            fits = data.startswith(_PROGRAM)
            self._held[key] = self._linked(number).cover(data, self._opener.tables(program)) if fits else []
        return self._held[key]

    def _linked(self, number: int) -> Linked:
        if number not in self._made:
            objects = self._groups[number].objects
            self._made[number] = Linked(piece for one in sorted(objects) for piece in self._opener.objects(one))
        return self._made[number]

    def _grown(self, row: Carried, group: Group, known: _Known) -> list[Span]:
        """From each common fingerprint to where the bytes differ."""
        prints = Prints.from_bytes(row.unit.hashes, row.unit.steps)
        first = np.searchsorted(known.hashes, prints.hashes, "left")
        last = np.searchsorted(known.hashes, prints.hashes, "right")
        found: list[Span] = []
        for place in np.flatnonzero(last > first).tolist():
            at = int(prints.offsets[place])
            if found and found[-1][0] <= at and at + K <= found[-1][1]:
                continue
            tried = range(int(first[place]), min(int(last[place]), int(first[place]) + _TRIED))
            grown = [self._equal(row, at, group.units[known.owners[n]], int(known.offsets[n])) for n in tried]
            found.append(max(grown, key=lambda span: (span[1] - span[0], span)))
        return found

    def _equal(self, row: Carried, at: int, known: KnownUnit, there: int) -> Span:
        if (row.blob, row.unit.path) == (known.blob, known.unit.path) and at == there:
            return 0, row.unit.size
        a = self._opener.open(row.blob, row.unit.path)
        b = self._opener.open(known.blob, known.unit.path)
        number = bisect_right(known.ends, there)
        low, high = (known.ends[number - 1] if number else 0), known.ends[number]
        before = min(equal_before(a, b, at, there), there - low)
        after = min(equal_from(a, b, at, there), high - there)
        return at - before, at + after


def _sorted(group: Group) -> _Known:
    hashes, owners, offsets = [], [], []
    for number, known in enumerate(group.units):
        prints = Prints.from_bytes(known.unit.hashes, known.unit.steps)
        hashes.append(prints.hashes)
        offsets.append(prints.offsets)
        owners.append(np.full(len(prints.hashes), number, np.int64))
    joined = np.concatenate(hashes)
    order = np.argsort(joined, kind="stable")
    return _Known(joined[order], np.concatenate(owners)[order], np.concatenate(offsets)[order])
