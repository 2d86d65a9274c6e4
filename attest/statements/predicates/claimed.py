"""When a predicate says that its work was done: the age of evidence counts from there, at the latest.

claimed_time(statement)        # the scan's end of a vulns predicate; None where it says nothing
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from attest.statements import predicates
from attest.statements.statements import Statement

_PLACES: dict[str, tuple[tuple[str, ...], ...]] = {
    "slsa-provenance": (
        ("runDetails", "metadata", "finishedOn"),
        ("runDetails", "metadata", "startedOn"),
        ("metadata", "buildFinishedOn"),
        ("metadata", "buildStartedOn"),
    ),
    "vulns": (("metadata", "scanFinishedOn"), ("metadata", "scanStartedOn")),
    "openvex": (("last_updated",), ("timestamp",)),
    "spdx": (("creationInfo", "created"),),
    "cyclonedx": (("metadata", "timestamp"),),
    "vsa": (("timeVerified",),),
    "rehearsal": (("time",),),
    "baseline": (("measured",),),
}


def claimed_time(statement: Statement) -> datetime | None:
    """The time that the predicate claims; None where it claims none that can be read."""
    for name, places in _PLACES.items():
        if statement.predicate_type in predicates.types_of(name):
            found = (_time(_at(statement.predicate, place)) for place in places)
            return next((time for time in found if time is not None), None)
    return None


def _at(value: Any, place: tuple[str, ...]) -> Any:
    for key in place:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _time(value: object) -> datetime | None:
    """RFC 3339, which is more than our own times allow: fractions and offsets of other tools."""
    if not isinstance(value, str) or len(value) > 40:
        return None
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        return None
    return found.astimezone(UTC) if found.tzinfo is not None else None
