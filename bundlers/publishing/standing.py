"""How a destination stands, before anybody says that it shows something already.

Names and sizes of what a publication needs are looked at, and when each role's metadata ends; what lacks is
written again by the publication, whose bytes are all in the store.

    is_whole(destination, targets, roles, store, entries)  # False: a file is gone, or has another size
    fresh(destination, number, roles, lifetimes, now)      # False: publish again before a consumer is refused
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from datetime import datetime, timedelta

from attest.errors import VerificationError
from attest.log import checkpoints
from attest.statements.predicates.publication import PublishedRole
from bundlers.publishing import feed, older_signing, writing
from bundlers.publishing.layout import published_paths, tuf_repository
from bundlers.publishing.layout.destinations import Destination
from bundlers.publishing.layout.tuf_repository import Lifetimes, TargetInfo
from casstore.ledger.book.all_entries import AllEntries

_DUE = {"root": 4, "targets": 2, "snapshot": 2, "timestamp": 2}
"""A role is renewed when less than this part of its life is left."""
_LANES = 16
"""So many files of a bucket are asked for at once."""


def is_whole(
    destination: Destination,
    targets: Mapping[str, TargetInfo],
    roles: Mapping[str, PublishedRole],
    store: writing.Blobs,
    entries: AllEntries,
) -> bool:
    """Whether targets, older roles, plain names, tiles and feed are there in their size, the checkpoint is shown."""
    size = checkpoints.parse(store.read(targets[published_paths.CHECKPOINT].digest))[0].size
    end, parts = feed.shown(destination)
    if min(writing.published_size(destination), end) < size:
        return False
    sizes = {place: info.length for path, info in targets.items() for place in writing.places(path, info)}
    sizes |= {published_paths.role_path(row.version, name): row.length for name, row in roles.items()}
    sizes |= {name: build.size for name, build in writing.release_names(targets, store)}
    sizes |= {path: len(data()) for path, data in writing.ledger_tiles(0, size, entries)}
    with ThreadPoolExecutor(_LANES) as pool:
        there = pool.map(lambda row: destination.has(*row), sizes.items())
        return all(there) and all(pool.map(lambda path: destination.read(path, most=1), parts))


def readable(destination: Destination, number: int) -> bool:
    """Whether the metadata of a publication is whole: each file names the next one by its hash."""
    targets, snapshot = (destination.read(f"metadata/{number}.{role}.json") for role in ("targets", "snapshot"))
    timestamp = destination.read("metadata/timestamp.json")
    return all(
        above is not None and below is not None and tuf_repository.names(above, below)
        for above, below in ((timestamp, snapshot), (snapshot, targets))
    )


def fresh(
    destination: Destination, number: int, roles: Mapping[str, PublishedRole], lifetimes: Lifetimes, now: datetime
) -> bool:
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
        return older_signing.fresh(roles, lifetimes, now) and all(
            data is not None and tuf_repository.expiry_of(data) - now > timedelta(days=days[role]) / _DUE[role]
            for role, data in files.items()
        )
    except VerificationError:
        return False
