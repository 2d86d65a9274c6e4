"""What owners are shown before they sign is all of what they sign."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from moves import root

from attest import canonical
from attest.ceremony import ceremony, told

PAYLOAD = ceremony.draft(root())


def places(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The place of every plain value."""
    if isinstance(value, dict | list) and value:
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from places(value[key], (*place, key))
    else:
        yield place


def changed(place: tuple[Any, ...]) -> bytes:
    document = json.loads(PAYLOAD)
    holder = document
    for key in place[:-1]:
        holder = holder[key]
    old = holder[place[-1]]
    holder[place[-1]] = old + 1 if isinstance(old, int) and not isinstance(old, bool) else f"{old}x"
    return canonical.dumps(document)


def test_whatever_differs_in_the_bytes_differs_in_what_is_shown() -> None:
    every = list(places(json.loads(PAYLOAD)))
    assert len(every) > 40
    for place in every:
        other = changed(place)
        assert told.lines(other) != told.lines(PAYLOAD), place
        assert [line[0] for line in told.changes(other, PAYLOAD)] == ["-", "+"], place


def test_nothing_is_shown_twice_and_nothing_changes_by_itself() -> None:
    shown = told.lines(PAYLOAD)
    assert len(set(shown)) == len(shown)
    assert told.changes(PAYLOAD, PAYLOAD) == ()
