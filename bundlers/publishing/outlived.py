"""Files of a destination that no reader needs any more: what newer publications replaced under the same names.

A reader that began with an older timestamp goes on with what that led to, so the files of the last 8 publications
stay. Releases, archives, trust roots, the feed, whole tiles and what people have links to always stay.

    destination.remove(outlived(read, sizes, 20))
"""

from __future__ import annotations

from collections.abc import Callable

from attest.log import tiles
from attest.log.tiles import WIDTH
from bundlers.publishing.layout import older_lists, published_paths, target_lists
from bundlers.publishing.layout.target_lists import ReadClaim
from bundlers.publishing.layout.tuf_repository import target_name

STAY = 8
_STAYS = ("releases/", "archives/", "trust-root/", "sigstore/", "publications/", "evidence/")


def outlived(read: ReadClaim, size_of: Callable[[int], int], number: int) -> list[str]:
    """The paths that publication `number` lets go: those of the one that is `STAY` older, sorted."""
    old = number - STAY
    if old < 1:
        return []
    found = {f"metadata/{old}.targets.json", f"metadata/{old}.snapshot.json"}
    found |= _roles(read, old) - _roles(read, old + 1)
    found |= {f"ledger/{path}" for path in _partial(size_of(old)) - _partial(size_of(old + 1))}
    after, now = target_lists.whole(read, old + 1).targets, target_lists.whole(read, number).targets
    for path, target in target_lists.whole(read, old).targets.items():
        replaced = path in now and target not in (now[path], after.get(path))
        if replaced and not path.startswith(_STAYS):
            found.add(f"targets/{target_name(path, target.digest)}")
    return sorted(found)


def _roles(read: ReadClaim, number: int) -> set[str]:
    """The older roles that a publication leads to."""
    rows, parts = target_lists.whole(read, number).roles, older_lists.parts_of(read, number)
    live = rows.keys() & older_lists.names_of(parts)
    return {published_paths.role_path(rows[name].version, name) for name in live}


def _partial(size: int) -> set[str]:
    """The tiles of a log of this size that are not full."""
    return {tile.path for tile in (*tiles.grown(0, size), *tiles.grown_entries(0, size)) if tile.width < WIDTH}
