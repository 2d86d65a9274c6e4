"""Which copies fail a release, and which are only told (the table of docs/isolation.md).

The figures were chosen on five pairs of real products: what belongs to nobody in them (strings and
tables of generated code, tables of linkers) stays below, half a source file is above.

    fails(text=True, longest=1500, total=1500, smaller=90_000)      # True
"""

from __future__ import annotations

from attest.statements.predicates.isolation import FAILS

TEXT: tuple[int, int] = tuple(FAILS["text"])
OTHER: tuple[int, int] = tuple(FAILS["other"])
"""Bytes in a row, and altogether between two files, from which on a copy fails."""
SHARE = int(FAILS["share"].removeprefix("1/"))
"""A copy of a quarter of the smaller file fails."""
TOGETHER: int = FAILS["together"]
"""So many distinct bytes of all that is only told between two products fail."""
REFERENCE_SHARE = int(FAILS["reference"].removeprefix("1/"))
"""A reference explains at most a quarter of a product."""


def fails(*, text: bool, longest: int, total: int, smaller: int) -> bool:
    """Whether a copy between two files stops a release."""
    in_a_row, altogether = TEXT if text else OTHER
    return longest >= in_a_row or total >= altogether or total * SHARE >= smaller
