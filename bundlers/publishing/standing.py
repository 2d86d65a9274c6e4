"""How a destination stands, before anybody says that it shows something already.

Names and sizes of what a publication needs are looked at, and when each role's metadata ends; what lacks is
written again by the publication, whose bytes are all in the store.

    lacking(destination, number, targets)                  # paths that are gone or have another size
    fresh(destination, number, lifetimes, now)             # False: publish again before a consumer is refused
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime, timedelta

from attest.errors import VerificationError
from bundlers.publishing import tuf_repository, writing
from bundlers.publishing.destinations import Destination
from bundlers.publishing.tuf_repository import Lifetimes, TargetInfo

_DUE = {"root": 4, "targets": 2, "snapshot": 2, "timestamp": 2}
"""A role is renewed when less than this part of its life is left."""


def lacking(destination: Destination, targets: Mapping[str, TargetInfo]) -> tuple[str, ...]:
    """The targets that are not there in their size."""
    return tuple(
        path
        for path, info in targets.items()
        if not all(destination.has(place, info.length) for place in writing.places(path, info))
    )


def readable(destination: Destination, number: int) -> bool:
    """Whether the metadata of a publication is whole: each file names the next one by its hash."""
    targets, snapshot = (destination.read(f"metadata/{number}.{role}.json") for role in ("targets", "snapshot"))
    timestamp = destination.read("metadata/timestamp.json")
    return all(
        above is not None and below is not None and tuf_repository.names(above, below)
        for above, below in ((timestamp, snapshot), (snapshot, targets))
    )


def fresh(destination: Destination, number: int, lifetimes: Lifetimes, now: datetime) -> bool:
    """Whether every role is there, can be read and lives for a while: a consumer is refused by whichever ends first."""
    newest = tuf_repository.newest_root(lambda version: destination.read(f"metadata/{version}.root.json"))
    files = {
        "root": newest,
        "targets": destination.read(f"metadata/{number}.targets.json"),
        "snapshot": destination.read(f"metadata/{number}.snapshot.json"),
        "timestamp": destination.read("metadata/timestamp.json"),
    }
    days = asdict(lifetimes)
    try:
        return all(
            data is not None and tuf_repository.expiry_of(data) - now > timedelta(days=days[role]) / _DUE[role]
            for role, data in files.items()
        )
    except VerificationError:
        return False
