"""What a run of gc did, or would do, and why one object is kept: frozen values for the command line."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from attest.core import times
from attest.core.values import dataclass
from attest.digests import Digest


@dataclass(frozen=True, slots=True)
class PackRow:
    """A pack that a run gives up, or would; `needed` = bytes that are moved out of it first."""

    pack: Digest
    size: int
    needed: int
    until: datetime | None = None
    """Not deleted before."""

    def to_json(self) -> dict[str, Any]:
        """Plain values, keys in camelCase."""
        until = times.format(self.until) if self.until else None
        return {"pack": self.pack, "size": self.size, "needed": self.needed, "until": until}


@dataclass(frozen=True, slots=True)
class CollectReport:
    """`done` = the run was confirmed. Sizes are those of files."""

    done: bool
    ledgers: tuple[str, ...]
    packs: int
    bytes: int
    objects: int
    needed: int
    fresh: int
    """Packs that nothing needs, but too young to be judged."""
    condemned: tuple[PackRow, ...]
    """Newly."""
    waiting: tuple[PackRow, ...]
    """Condemned before, their grace is not over."""
    deleted: tuple[PackRow, ...]
    lifted: tuple[Digest, ...]
    moved: int
    """Bytes of new packs."""
    note: str = ""

    @property
    def freed(self) -> int:
        """Bytes of the files that were removed."""
        return sum(row.size for row in self.deleted)

    def to_json(self) -> dict[str, Any]:
        """Plain values, keys in camelCase."""
        return {
            "done": self.done,
            "ledgers": list(self.ledgers),
            "packs": self.packs,
            "bytes": self.bytes,
            "objects": self.objects,
            "needed": self.needed,
            "fresh": self.fresh,
            "condemned": [row.to_json() for row in self.condemned],
            "waiting": [row.to_json() for row in self.waiting],
            "deleted": [row.to_json() for row in self.deleted],
            "lifted": list(self.lifted),
            "moved": self.moved,
            "freed": self.freed,
            "note": self.note,
        }


@dataclass(frozen=True, slots=True)
class WhyReport:
    """Why an object is kept: every path leads from a root to it. No path: nothing needs it."""

    digest: Digest
    kept: bool
    verdict: str
    paths: tuple[tuple[str, ...], ...]
    more: int
    """Roots beyond those that are told."""
    packs: tuple[Digest, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values, keys in camelCase."""
        return {
            "digest": self.digest,
            "kept": self.kept,
            "verdict": self.verdict,
            "paths": [list(path) for path in self.paths],
            "more": self.more,
            "packs": list(self.packs),
        }
