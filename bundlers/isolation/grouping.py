"""Findings told together: what two products have in common once is one group, in however many files it is.

Two findings between the same products belong together where they have a whole content, a stretch or a
fingerprint of one in common.

    for group in groups(report.found): group.size, group.first, group.rows
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence

from attest.core.values import dataclass
from bundlers.isolation.reports import Finding, distinct


@dataclass(frozen=True, slots=True)
class Group:
    """Findings between two products that have something in common, the largest first."""

    rows: tuple[Finding, ...]

    @property
    def first(self) -> Finding:
        """The gravest, then the largest."""
        return self.rows[0]

    @property
    def fails(self) -> bool:
        """Whether one of them stops a release."""
        return self.first.fails

    @property
    def size(self) -> int:
        """Bytes, what stands in many files counted once."""
        whole = {row.digest: row.size for row in self.rows if not row.stretches}
        return sum(whole.values()) + distinct(self.rows)

    @property
    def files(self) -> tuple[int, int]:
        """In how many files of either product."""
        rows = self.rows
        return len({p for r in rows for p in (r.path_a, *r.also[0])}), len(
            {p for r in rows for p in (r.path_b, *r.also[1])}
        )

    @property
    def told(self) -> str:
        """One line."""
        one, two = self.files
        more = f"; and {len(self.rows) - 1} more pairs of {one} and {two} files with it" if len(self.rows) > 1 else ""
        return f"{self.first.told}{more}"


def groups(findings: Sequence[Finding]) -> list[Group]:
    """The failing ones first, then the largest."""
    made = [Group(tuple(sorted(rows, key=_grave))) for rows in _joined(findings)]
    return sorted(made, key=lambda group: (not group.fails, -group.size, _grave(group.first)))


def _grave(row: Finding) -> tuple[bool, int, str, str, str, str]:
    return not row.fails, -row.size, row.product_a, row.path_a, row.product_b, row.path_b


def _joined(findings: Sequence[Finding]) -> Iterator[list[Finding]]:
    above = list(range(len(findings)))

    def top(number: int) -> int:
        while above[number] != number:
            above[number] = above[above[number]]
            number = above[number]
        return number

    holders: dict[Hashable, int] = {}
    for number, row in enumerate(findings):
        for key in _keys(row):
            above[top(number)] = top(holders.setdefault((row.product_a, row.product_b, key), number))
    found: dict[int, list[Finding]] = {}
    for number, row in enumerate(findings):
        found.setdefault(top(number), []).append(row)
    yield from found.values()


def _keys(row: Finding) -> Iterator[Hashable]:
    yield row.mark or row.digest
    yield from (part.digest for part in row.stretches)
    yield from row.prints
