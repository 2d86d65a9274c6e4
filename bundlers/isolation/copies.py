"""Copies inside larger files: what the fingerprints hint at is compared byte by byte, and measured.

A copy counts when it has `min_copy` bytes in a row that nothing accounts for which both products may
carry, enough entropy, and the copies between two files add up to `min_copy_total`.

    for copy in find(store, blobs, carried, exempt, settings, known): ...
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import IO

import numpy as np

from attest import digests
from attest.digests import Digest
from bundlers.isolation.fingerprints import Hashes, K, Prints
from bundlers.isolation.matching import Candidate, Carried, Known, candidates, is_in, merged
from bundlers.isolation.reopening import Opener
from bundlers.isolation.scanning import ContentStore
from bundlers.isolation.settings import Settings

MAX_FOUND = 1000
"""When so many pairs of files are found no further ones are looked for."""

_PIECE = 256 * 1024
_SAMPLE = 1024 * 1024
_BATCH = 1000
"""Pairs with most in common first; within a batch in the order of their files, which are opened once then."""


@dataclass(frozen=True, slots=True)
class Copy:
    """The longest run of equal bytes between two units, and how much is equal altogether."""

    a: int
    b: int
    offset_a: int
    offset_b: int
    length: int
    digest: Digest
    total: int


@dataclass(frozen=True, slots=True)
class Run:
    """Equal bytes: from where in a, less where in b, how many; how many of them both may not carry, and in a row."""

    start: int
    shift: int
    length: int
    own: int
    in_a_row: int


def find(
    store: ContentStore,
    blobs: Sequence[Digest],
    carried: Sequence[Carried],
    exempt: Sequence[Known],
    settings: Settings,
    known: Callable[[int, int], bool],
) -> Iterator[Copy]:
    """Copies between units (`blobs` names each one's blob). `known` pairs are told already and left out."""
    opener = Opener(store, settings, ((blob, item.unit.path) for blob, item in zip(blobs, carried, strict=True)))
    hints = (hint for hint in candidates(carried, exempt) if not known(hint.a, hint.b))

    @functools.cache
    def common(one: int, two: int) -> Hashes:
        return merged([item for item in exempt if item.among(one, two)])

    count = 0
    while count < MAX_FOUND and (batch := list(islice(hints, _BATCH))):
        for hint in sorted(batch, key=lambda hint: (blobs[hint.a], hint.a, blobs[hint.b], hint.b)):
            a, b = (opener.open(blobs[number], carried[number].unit.path) for number in (hint.a, hint.b))
            spans = _exempt_spans(carried[hint.a], common(carried[hint.a].product, carried[hint.b].product))
            found = _measure(hint, a, b, spans, settings)
            if found is not None:
                yield found
                count += 1


def _measure(
    candidate: Candidate, a: IO[bytes], b: IO[bytes], spans: list[tuple[int, int]], settings: Settings
) -> Copy | None:
    runs = [
        run
        for run in _runs(candidate, a, b, spans)
        if run.in_a_row >= settings.min_copy and _entropy(a, run) >= settings.min_entropy
    ]
    total = sum(run.own for run in runs)
    if not runs or total < settings.min_copy_total:
        return None
    best = max(runs, key=lambda run: run.length)
    return Copy(
        candidate.a,
        candidate.b,
        best.start,
        best.start - best.shift,
        best.length,
        _digest(a, best),
        total,
    )


def _runs(candidate: Candidate, a: IO[bytes], b: IO[bytes], spans: list[tuple[int, int]]) -> Iterator[Run]:
    shift, reached = None, 0
    for at, by in zip(candidate.offsets.tolist(), candidate.shifts.tolist(), strict=True):
        if by == shift and at < reached:
            continue
        start = at - _equal_before(a, b, at, at - by)
        end = at + _equal_from(a, b, at, at - by)
        shift, reached = by, max(end, at + 1)
        if end - start >= K:
            yield Run(start, by, end - start, *_uncovered(start, end, spans))


def _equal_from(a: IO[bytes], b: IO[bytes], at_a: int, at_b: int) -> int:
    """How many bytes are equal from here on."""
    length, size = 0, 4096
    a.seek(at_a)
    b.seek(at_b)
    while True:
        one, two = a.read(size), b.read(size)
        count = min(len(one), len(two))
        if not count or one != two:
            return length + _first_difference(one[:count], two[:count])
        length += count
        size = _PIECE


def _equal_before(a: IO[bytes], b: IO[bytes], at_a: int, at_b: int) -> int:
    """How many bytes are equal just before here."""
    length, size = 0, 4096
    while count := min(size, at_a - length, at_b - length):
        a.seek(at_a - length - count)
        b.seek(at_b - length - count)
        one, two = a.read(count), b.read(count)
        if one != two:
            return length + _first_difference(one[::-1], two[::-1])
        length += count
        size = _PIECE
    return length


def _first_difference(one: bytes, two: bytes) -> int:
    unequal = np.frombuffer(one, np.uint8) != np.frombuffer(two, np.uint8)
    return int(unequal.argmax()) if unequal.any() else len(one)


def _exempt_spans(carried: Carried, common: Hashes) -> list[tuple[int, int]]:
    """Stretches between two kept fingerprints that are both no evidence."""
    if not len(common):
        return []
    prints = Prints.from_bytes(carried.unit.hashes, carried.unit.steps)
    theirs = is_in(prints.hashes, common)
    both = np.flatnonzero(theirs[1:] & theirs[:-1])
    return [(int(prints.offsets[n]), int(prints.offsets[n + 1]) + K) for n in both]


def _uncovered(start: int, end: int, spans: list[tuple[int, int]]) -> tuple[int, int]:
    """Bytes that no span covers: altogether, and in a row at most."""
    total, longest, reached = 0, 0, start
    for first, last in [*spans, (end, end)]:
        gap = max(0, min(first, end) - reached)
        total, longest, reached = total + gap, max(longest, gap), max(reached, last)
    return total, longest


def _entropy(a: IO[bytes], run: Run) -> float:
    """Shannon's, in bits per byte, of the first MiB."""
    a.seek(run.start)
    counts = np.bincount(np.frombuffer(a.read(min(run.length, _SAMPLE)), np.uint8))
    parts = counts[counts > 0] / counts.sum()
    return float(-(parts * np.log2(parts)).sum())


def _digest(a: IO[bytes], run: Run) -> Digest:
    hashing, left = hashlib.sha256(), run.length
    a.seek(run.start)
    while left and (piece := a.read(min(left, _PIECE))):
        hashing.update(piece)
        left -= len(piece)
    return digests.from_raw(hashing.digest())
