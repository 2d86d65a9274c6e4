"""What each release holds alone and shares with others.

rows = usage(store, state)
"""

from __future__ import annotations

from typing import Any, NamedTuple

from attest.core.values import dataclass
from attest.digests import Digest
from casstore.ledger import release_objects
from casstore.ledger.states.state import LedgerState
from casstore.store.store import Store


@dataclass(frozen=True, slots=True)
class Usage:
    """What a release holds; `alone` is in no other release."""

    version: str
    files: int
    bytes: int
    alone: int

    @property
    def shared(self) -> int:
        """Bytes that other releases hold as well."""
        return self.bytes - self.alone

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "version": self.version,
            "files": self.files,
            "bytes": self.bytes,
            "alone": self.alone,
            "shared": self.shared,
        }


class StoreUsage(NamedTuple):
    """What all releases hold, each content counted once, and what the store takes: its packs, compressed."""

    releases: list[Usage]
    bytes: int
    stored: int

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        rows = [row.to_json() for row in self.releases]
        return {"releases": rows, "bytes": self.bytes, "storedBytes": self.stored}


def usage(store: Store, state: LedgerState) -> StoreUsage:
    """Distinct contents per release (files and archives), uncompressed bytes."""
    held = {info.version: _contents(store, info.digest) for info in state.releases.values()}
    counts: dict[Digest, int] = {}
    for contents in held.values():
        for digest in contents:
            counts[digest] = counts.get(digest, 0) + 1
    rows = [
        Usage(
            version,
            len(contents),
            sum(contents.values()),
            sum(size for digest, size in contents.items() if counts[digest] == 1),
        )
        for version, contents in held.items()
    ]
    every = {digest: size for contents in held.values() for digest, size in contents.items()}
    stored = store.catalog.ask(lambda index: sum(index.pack(number).size for number in index.packs().values()))
    return StoreUsage(rows, sum(every.values()), stored)


def _contents(store: Store, release: Digest) -> dict[Digest, int]:
    made = release_objects.parse(store.read(release))
    found = {row.archive.digest: row.archive.size for row in made.builds.values()}
    for tree in made.components.values():
        found |= {entry.content: entry.size for _, entry in store.walk(tree) if entry.kind == "file"}
    return found
