"""What is packed in files of a store, for those who ask by content: revocation, `whence`, `put`.

As deep as the isolation check opens things by default, in the same cell. What was found in a file is kept beside the
index, so an unchanged file is read once. Of a file that costs too much nothing is told: no release gets past isolation
with it.

    store.inside = reader(store)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from attest import canonical
from attest.digests import Digest
from bundlers.formats.parallel import in_order
from bundlers.inspection import door
from bundlers.inspection.units import Limits, Member
from bundlers.isolation.scans.scan_cache import ScanCache
from bundlers.isolation.scans.scanning import cache_folder
from casstore.errors import OverBudget
from casstore.hostile import Budget
from casstore.store.holders import Inside
from casstore.store.store import Store

_WORKERS = 2
_VERSION = 1
"""Of what is looked for."""
_Members = tuple[tuple[str, Digest], ...]


def reader(store: Store) -> Inside:
    """Who tells what is packed in files of this store; it remembers what it told. Raises ObjectDamaged."""
    known: dict[Digest, _Members] = {}

    def inside(files: Mapping[Digest, int]) -> Iterator[tuple[Digest, Iterable[tuple[str, Digest]]]]:
        new = {digest: size for digest, size in files.items() if digest not in known}
        known.update(_read(store, new) if new else ())
        return ((digest, known[digest]) for digest in files)

    return inside


def _read(store: Store, files: Mapping[Digest, int]) -> Iterator[tuple[Digest, _Members]]:
    limits = Limits()
    cache = ScanCache(cache_folder(store), canonical.dumps({"members": [_VERSION, limits.to_row()]}).decode())

    def look(item: tuple[Digest, int]) -> tuple[Digest, list[Member] | None]:
        digest, size = item
        with store.open_blob(digest) as blob:
            try:
                return digest, door.listed(blob, size, limits, Budget())
            except OverBudget:  # another time it may take less
                return digest, None

    try:
        new = {}
        for digest, size in files.items():
            row = cache.get(digest)
            if row is None:
                new[digest] = size
            else:
                yield digest, _told(map(Member.of_row, row["members"]))
        for digest, members in in_order(look, new.items(), _WORKERS):
            if members is not None:
                cache.put(digest, {"members": [member.to_row() for member in members]})
            yield digest, _told(members or ())
    finally:
        cache.close()


def _told(members: Iterable[Member]) -> _Members:
    return tuple((member.path, member.digest) for member in members)
