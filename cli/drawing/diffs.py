"""How differences are shown: the same rows to approvers, in `diff` and in reports.

say_rows(diff.rows)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from cli.drawing import render

if TYPE_CHECKING:
    from bundlers.releases.differences import Stat
    from casstore.objects.tree_changes import DiffRow


def say_rows(
    rows: Iterable[DiffRow], *, names: bool = False, indent: str = "", say: Callable[[str], None] = render.line
) -> None:
    """One line each, or names alone."""
    for row in rows:
        say(f"{indent}{row.name}" if names else f"{indent}{row.sign} {row.name}  {row.told}".rstrip())


def say_stat(stats: Sequence[Stat]) -> None:
    """Names and how much of each differs, in two columns."""
    width = max((len(stat.name) for stat in stats), default=0)
    for stat in stats:
        render.line(f"{stat.name:<{width}} | {stat.told}")


def say_patch(lines: Iterable[str]) -> None:
    """Lines of texts, as they are."""
    for line in lines:
        render.line(line)
