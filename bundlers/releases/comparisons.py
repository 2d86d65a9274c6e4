"""What differs between two targets, and what each release holds alone and shares.

changes = compare(store, resolve(store, state, "prod"), resolve(store, state, "staging"))
rows = usage(store, state)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from attest.digests import Digest
from bundlers.products.references import Row, Target, listing
from casstore.ledger import release_objects
from casstore.ledger.state import LedgerState
from casstore.store.store import Store


@dataclass(frozen=True, slots=True)
class Change:
    """One path that differs."""

    path: str
    sign: str
    """`+`, `-` or `M`."""
    before: Row | None
    after: Row | None

    @property
    def told(self) -> str:
        """Sizes and modes, where they differ."""
        if self.before is None or self.after is None:
            row = self.after or self.before
            return f"{row.size} bytes" if row else ""
        parts = [f"{self.before.size} -> {self.after.size} bytes"] if self.before.digest != self.after.digest else []
        return ", ".join(
            [*parts, *([f"{self.before.mode} -> {self.after.mode}"] * (self.before.mode != self.after.mode))]
        )

    def to_json(self) -> dict[str, Any]:
        """One row of `changes`."""
        return {
            "path": self.path,
            "sign": self.sign,
            "before": self.before.to_json() if self.before else None,
            "after": self.after.to_json() if self.after else None,
        }


@dataclass(frozen=True, slots=True)
class Changes:
    """A comparison of two targets."""

    rows: tuple[Change, ...]
    same: int

    def _count(self, sign: str) -> int:
        return sum(row.sign == sign for row in self.rows)

    @property
    def added(self) -> int:
        """Paths only in the new one."""
        return self._count("+")

    @property
    def removed(self) -> int:
        """Paths only in the old one."""
        return self._count("-")

    @property
    def changed(self) -> int:
        """Paths with other bytes, mode or target."""
        return self._count("M")

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "changes": [row.to_json() for row in self.rows],
            "same": self.same,
        }


def compare(store: Store, old: Target, new: Target) -> Changes:
    """What differs between two targets, by path."""
    before = {row.path: row for row in listing(store, old)}
    after = {row.path: row for row in listing(store, new)}
    rows = []
    for path in sorted({*before, *after}):
        one, two = before.get(path), after.get(path)
        if one != two:
            rows.append(Change(path, "+" if one is None else "-" if two is None else "M", one, two))
    return Changes(tuple(rows), len(before.keys() & after.keys()) - sum(row.sign == "M" for row in rows))


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
