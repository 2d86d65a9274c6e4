"""Where the parsers of what others packed are asked, in a cell: `casstore.hostile` has the limits.

units, told = look(stream, size, Limits(), prints=True, budget=Budget())
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import IO, Any

from bundlers.inspection.units import Limits, Member, raw_of, text_of
from casstore.hostile import Budget, Door

DOOR = Door("bundlers.inspection.looking")


def look(
    stream: IO[bytes], size: int, limits: Limits, *, prints: bool, budget: Budget
) -> tuple[list[list[Any]], dict[str, Any]]:
    """Rows of units; `members` and `unopened`. Raises OverBudget."""
    *parts, inside = DOOR.ask("look", stream, size, [limits.to_row(), prints], budget)
    return [unit for part in (*parts, inside["units"]) for unit in part], inside


def listed(stream: IO[bytes], size: int, limits: Limits, budget: Budget) -> list[Member]:
    """What is packed in a file. Raises OverBudget."""
    (rows,) = DOOR.ask("listed", stream, size, [limits.to_row()], budget)
    return [Member.of_row(row) for row in rows]


def secrets(stream: IO[bytes], size: int, limits: Limits, budget: Budget) -> dict[str, Any]:
    """`secrets` as [rule, fingerprint, offset, place], and `unopened`. Raises OverBudget."""
    (found,) = DOOR.ask("secrets", stream, size, [limits.to_row()], budget)
    return dict(found)


def members(
    stream: IO[bytes], size: int, limits: Limits, path: str, others: Iterable[str], room: int, budget: Budget
) -> Iterator[tuple[str, bytes | None]]:
    """The bytes of some members, each begun by None. Raises OverBudget."""
    asked = [limits.to_row(), raw_of(path), [raw_of(other) for other in others], room]
    return _files(DOOR.ask("members", stream, size, asked, budget))


def packages(stream: IO[bytes], size: int, budget: Budget) -> tuple[list[tuple[str, str, str]], str]:
    """What was linked into a program: type, name, version; and why that cannot be read. Raises OverBudget."""
    (found,) = DOOR.ask("packages", stream, size, None, budget)
    return [(str(kind), str(name), str(version)) for kind, name, version in found["packages"]], str(found["unread"])


def package(stream: IO[bytes], size: int, kind: str, budget: Budget) -> tuple[str, str, str] | None:
    """Name, version, licence of a METADATA (`pypi`) or a package.json (`npm`), if it is one. Raises OverBudget."""
    (found,) = DOOR.ask("package", stream, size, kind, budget)
    return None if found is None else (str(found[0]), str(found[1]), str(found[2]))


def lock(stream: IO[bytes], size: int, kind: str, budget: Budget) -> Iterator[Any]:
    """The packages of a lock: of `npm` [place, row], of `cargo` rows. Raises OverBudget, FormatError."""
    *parts, _ = DOOR.ask("lock", stream, size, kind, budget)
    return (row for part in parts for row in part)


def objects(stream: IO[bytes], size: int, budget: Budget) -> Iterator[tuple[bytes, bytes]]:
    """What a linker takes from an object file, and where that is fixed. Raises OverBudget."""
    *parts, _ = DOOR.ask("objects", stream, size, None, budget)
    return ((content, fixed) for part in parts for content, fixed in part)


def tables(stream: IO[bytes], size: int, budget: Budget) -> Iterator[tuple[int, int, list[int]]]:
    """Stretches of a program that Go's linker made, and where the names stand that they name. Raises OverBudget."""
    *parts, _ = DOOR.ask("tables", stream, size, None, budget)
    return ((int(start), int(end), [int(name) for name in names]) for part in parts for start, end, names in part)


def unpack(stream: IO[bytes], size: int, budget: Budget) -> Iterator[tuple[str, bytes | None]]:
    """All members of a packed file, each begun by None; none where it is not packed. Raises OverBudget, FormatError."""
    return _files(DOOR.ask("unpack", stream, size, None, budget))


def _files(told: Iterator[Any]) -> Iterator[tuple[str, bytes | None]]:
    for row in told:
        if isinstance(row, list):
            yield text_of(row[0]), row[1]
