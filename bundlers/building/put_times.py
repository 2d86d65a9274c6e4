"""The time that a component's files bear in archives: that of its tree's first put, told by the put's provenance.

Promises: the same tree keeps its time in every version; another tree of a component gets a later one,
by two seconds at least (what zip can tell), so that whoever compares size and time sees the change.

    put_times.of(predicate, "core-bin").tree
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from attest.digests import Digest
from attest.errors import BadInput
from casstore.ledger.states.state import LedgerState

MAX_TIME = 8**11 - 1
_GRAIN = 2
_KEY = "times"


class Times(NamedTuple):
    """Seconds since 1970: of this tree, and the newest that its component ever had."""

    tree: int
    newest: int


def of(predicate: Mapping[str, Any], name: str) -> Times | None:
    """What a provenance says of a component; None where it does not."""
    definition = predicate.get("buildDefinition")
    internal = definition.get("internalParameters") if isinstance(definition, Mapping) else None
    times = internal.get(_KEY) if isinstance(internal, Mapping) else None
    row = times.get(name) if isinstance(times, Mapping) else None
    if not isinstance(row, list) or len(row) != 2:
        return None
    tree, newest = row
    fits = all(type(item) is int and 0 <= item <= MAX_TIME for item in row)
    return Times(tree, newest) if fits else None


def parameters(times: Mapping[str, Times]) -> dict[str, Any]:
    """For the provenance."""
    return {_KEY: {name: list(row) for name, row in times.items()}}


def for_put(
    state: LedgerState,
    predicate_of: Callable[[Digest], Mapping[str, Any]],
    trees: Mapping[str, Digest],
    now: datetime,
    source_date_epoch: str | None,
) -> dict[str, Times]:
    """The times of what is put now. Raises BadInput for a SOURCE_DATE_EPOCH that is none."""
    claimed = _claimed(now, source_date_epoch)
    return {name: _one(state, predicate_of, name, tree, claimed) for name, tree in trees.items()}


def _one(
    state: LedgerState, predicate_of: Callable[[Digest], Mapping[str, Any]], name: str, tree: Digest, claimed: int
) -> Times:
    if (put := state.last_puts.get(name)) is None:
        return Times(claimed, claimed)
    last = of(predicate_of(put), name)
    newest = last.newest if last else 0
    first = state.first_puts.get((name, tree))
    same = None if first is None else of(predicate_of(first), name)
    if same is not None:
        return Times(same.tree, max(newest, same.tree))
    time = min(max(claimed, newest + _GRAIN if last else 0), MAX_TIME)
    return Times(time, time)


def _claimed(now: datetime, text: str | None) -> int:
    if text is None:
        return int(now.timestamp())
    if not text.isdecimal() or int(text) > MAX_TIME:
        raise BadInput(f"SOURCE_DATE_EPOCH is no number of seconds since 1970: {text[:40]!r}")
    return int(text)
