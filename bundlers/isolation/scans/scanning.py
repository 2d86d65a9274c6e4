"""One look at each blob: what is packed inside, the fingerprints of all of it, and marks of programs.

Blobs are looked at in cells (`bundlers.inspection`), side by side, each one once, whatever the number of products;
what was found is kept in the cache. A blob that costs more than its budget is `refused`, with the limit and the figure,
and the others are looked at all the same. What the findings mean is left to `comparing` and `copies`.

    scans = scan(store, [(digest, size)], settings)
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, BinaryIO, Protocol

from attest import canonical
from attest.core.values import dataclass
from attest.digests import Digest
from bundlers.formats.parallel import in_order
from bundlers.inspection import door
from bundlers.inspection.units import Member, Unit, raw_of, text_of
from bundlers.isolation.scans.scan_cache import ScanCache
from bundlers.isolation.settings import Settings
from casstore.errors import OverBudget
from casstore.objects.tree import TreeEntry

_VERSION = 7
"""Of what a scan looks for; the fingerprints have their own."""
_BATCH = 10_000
"""So many are asked of the cache before those are looked at that it lacks."""


class ContentStore(Protocol):
    """What the check needs of the store."""

    def walk(self, digest: Digest) -> Iterator[tuple[bytes, TreeEntry]]:
        """(path, entry) of every file and link below a tree."""

    def open_blob(self, digest: Digest) -> BinaryIO:
        """A seekable, verified stream."""

    def read(self, digest: Digest, *, max_bytes: int | None = None) -> bytes:
        """The verified bytes of an object."""


@dataclass(frozen=True, slots=True)
class Scan:
    """What one blob holds."""

    members: tuple[Member, ...]
    unopened: tuple[tuple[str, str], ...]
    units: tuple[Unit, ...]
    refused: str = ""
    """Why nothing of it is known."""


def scan(
    store: ContentStore, blobs: Iterable[tuple[Digest, int]], settings: Settings, workers: int = 2
) -> Iterator[tuple[Digest, Scan]]:
    """The scan of every blob, by its size; known ones from the cache. Raises ObjectDamaged, NoSuchObject."""
    cache = ScanCache(cache_folder(store), asked(settings))
    left = iter(blobs)
    try:
        while batch := list(islice(left, _BATCH)):
            new = []
            for digest, size in batch:
                row = cache.get(digest)
                if row is None:
                    new.append((digest, size))
                else:
                    yield digest, _from_row(row)
            for digest, found in in_order(_scanner(store, settings), new, workers):
                if not found.refused:  # another time it may take less
                    cache.put(digest, _to_row(found))
                yield digest, found
    finally:
        cache.close()


def cache_folder(store: object) -> str | None:
    """Where a store's index lies on this machine, if it has one."""
    catalog = getattr(store, "catalog", None)
    folder = getattr(catalog, "folder", None)
    return folder if isinstance(folder, str) and os.path.isdir(folder) else None


def asked(settings: Settings) -> str:
    """What a look is asked for, as text: what was found by another one is no answer."""
    from bundlers.inspection import fingerprints

    what = [_VERSION, fingerprints.VERSION, settings.copies != "off", settings.limits.to_row()]
    return canonical.dumps({"asked": what}).decode()


def _scanner(store: ContentStore, settings: Settings) -> Callable[[tuple[Digest, int]], tuple[Digest, Scan]]:
    prints = settings.copies != "off"

    def work(item: tuple[Digest, int]) -> tuple[Digest, Scan]:
        digest, size = item
        with store.open_blob(digest) as blob:
            try:
                units, inside = door.look(blob, size, settings.limits, prints=prints, budget=settings.budget)
            except OverBudget as exc:
                return digest, Scan((), (), (), exc.message)
        return digest, _from_row({**inside, "units": units})

    return work


def _to_row(found: Scan) -> dict[str, Any]:
    return {
        "members": [member.to_row() for member in found.members],
        "unopened": [[raw_of(place), why] for place, why in found.unopened],
        "units": [unit.to_row() for unit in found.units],
    }


def _from_row(row: Mapping[str, Any]) -> Scan:
    return Scan(
        tuple(Member.of_row(member) for member in row["members"]),
        tuple((text_of(place), why) for place, why in row["unopened"]),
        tuple(Unit.of_row(unit) for unit in row["units"]),
    )
