"""Copies inside larger files: what the fingerprints hint at is compared byte by byte, and measured.

What is explained between the two products (`cover`) is taken out; of the rest a stretch counts when
it has `min_copy` bytes in a row and enough entropy. Which copies are grave is left to `severity`.

    for copy in find(opener, carried, names, cover, settings, known): ...
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import IO

import numpy as np

from attest import digests
from attest.core.values import dataclass
from bundlers.inspection.fingerprints import K, Prints
from bundlers.isolation.explained.cover import Cover
from bundlers.isolation.reports import Stretch
from bundlers.isolation.scans.reopening import Opener
from bundlers.isolation.settings import Settings
from bundlers.isolation.stretches import severity, spans, telling
from bundlers.isolation.stretches.equal_bytes import equal_before, equal_from
from bundlers.isolation.stretches.matching import Candidate, Carried, candidates

MAX_FAILING = 1000
"""When so many pairs of files fail no further ones are looked for."""

_BATCH = 1000
"""Pairs with most in common first; within a batch in the order of their files, which are opened once then."""


@dataclass(frozen=True, slots=True)
class Copy:
    """What two units have in common that nothing explains, the longest stretch first."""

    a: int
    b: int
    stretches: tuple[Stretch, ...]
    total: int
    fails: bool
    prints: frozenset[int]
    """Fingerprints in the stretches: by them copies of one thing are told together."""


def find(
    opener: Opener,
    carried: Sequence[Carried],
    names: Sequence[str],
    cover: Cover,
    settings: Settings,
    known: Callable[[int, int], bool],
) -> Iterator[Copy]:
    """Copies between units. `names` are the products; `known` pairs are told already and left out."""
    hints = (hint for hint in candidates(carried) if not known(hint.a, hint.b))
    failing = 0
    while failing < MAX_FAILING and (batch := list(islice(hints, _BATCH))):
        order = sorted(batch, key=lambda hint: (carried[hint.a].blob, hint.a, carried[hint.b].blob, hint.b))
        for hint in order:
            one, two = carried[hint.a], carried[hint.b]
            explained = [cover.of(row, names[one.product], names[two.product]) for row in (one, two)]
            streams = [opener.open(row.blob, row.unit.path) for row in (one, two)]
            stretches = _stretches(hint, streams[0], streams[1], explained, settings)
            if stretches:
                copy = _copy(hint, one, two, stretches)
                failing += copy.fails
                yield copy


def _copy(hint: Candidate, one: Carried, two: Carried, stretches: list[Stretch]) -> Copy:
    total = min(
        spans.length((s.at_a, s.at_a + s.length) for s in stretches),
        spans.length((s.at_b, s.at_b + s.length) for s in stretches),
    )
    fails = severity.fails(
        text=one.unit.text and two.unit.text,
        longest=stretches[0].length,
        total=total,
        smaller=smaller_of(one, two),
    )
    return Copy(hint.a, hint.b, tuple(stretches), total, fails, _prints(one, stretches))


def smaller_of(one: Carried, two: Carried) -> int:
    """Bytes of the smaller; what stands as base64 or hex in both is no file of its own, and the files count."""
    if one.encoded and two.encoded:
        return min(one.size, two.size)
    return min(one.unit.size, two.unit.size)


def _prints(row: Carried, stretches: Sequence[Stretch]) -> frozenset[int]:
    prints = Prints.from_bytes(row.unit.hashes, row.unit.steps)
    found: set[int] = set()
    for part in stretches:
        first, last = np.searchsorted(prints.offsets, (part.at_a, part.at_a + part.length))
        found.update(prints.hashes[first:last].tolist())
    return frozenset(found)


def _stretches(
    candidate: Candidate, a: IO[bytes], b: IO[bytes], explained: list[list[spans.Span]], settings: Settings
) -> list[Stretch]:
    """The longest first; each once."""
    found = {}
    for start, end, shift in _runs(candidate, a, b):
        for first, last in _unexplained(start, end, shift, explained):
            if last - first >= settings.min_copy:
                for part in _telling(a, first, last, shift, settings):
                    found[part.at_a, shift] = part
    return sorted(found.values(), key=lambda part: (-part.length, part.at_a, part.at_b))


def _telling(a: IO[bytes], first: int, last: int, shift: int, settings: Settings) -> Iterator[Stretch]:
    """Without padding."""
    a.seek(first)
    data = a.read(last - first)
    for start, end in telling.spans_of(data, settings.min_entropy):
        if end - start >= settings.min_copy:
            digest = digests.sha256(data[start:end])
            yield Stretch(first + start, first + start - shift, end - start, digest)


def _unexplained(start: int, end: int, shift: int, explained: list[list[spans.Span]]) -> Iterator[spans.Span]:
    """Equal bytes are explained where they are so on either side."""
    for first, last in spans.left_of(start, end, explained[0]):
        for one, two in spans.left_of(first - shift, last - shift, explained[1]):
            yield one + shift, two + shift


def _runs(candidate: Candidate, a: IO[bytes], b: IO[bytes]) -> Iterator[tuple[int, int, int]]:
    """(from, to, offset in a less offset in b) of equal bytes."""
    shift, reached = None, 0
    for at, by in zip(candidate.offsets.tolist(), candidate.shifts.tolist(), strict=True):
        if by == shift and at < reached:
            continue
        start = at - equal_before(a, b, at, at - by)
        end = at + equal_from(a, b, at, at - by)
        shift, reached = by, max(end, at + 1)
        if end - start >= K:
            yield start, end, by
