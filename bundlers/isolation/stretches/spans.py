"""Stretches of a file, as sorted (from, to) that do not touch: merged, and what is left of one.

merged([(5, 9), (0, 6)]) == [(0, 9)]
left_of(0, 20, [(5, 9)]) == [(0, 5), (9, 20)]
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence

Span = tuple[int, int]


def merged(spans: Iterable[Span]) -> list[Span]:
    """Sorted, and those that touch made one."""
    found: list[Span] = []
    for first, last in sorted(spans):
        if found and first <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], last))
        elif first < last:
            found.append((first, last))
    return found


def left_of(first: int, last: int, cover: Sequence[Span]) -> Iterator[Span]:
    """The parts of (first, last) that no span of a merged cover holds."""
    at = first
    for start, end in cover[max(0, bisect_right(cover, (first, first)) - 1) :]:
        if start >= last:
            break
        if start > at:
            yield at, start
        at = max(at, end)
    if at < last:
        yield at, last


def length(spans: Iterable[Span]) -> int:
    """Bytes of all of them together, what overlaps counted once."""
    return sum(last - first for first, last in merged(spans))
