"""What a put is asked for, and what it tells.

options = IngestOptions(workers=1)
report.to_json()
"""

from __future__ import annotations

from typing import Any

from attest.core.values import dataclass
from attest.digests import Digest
from casstore.ingest.losses import Loss


@dataclass(frozen=True, slots=True)
class IngestOptions:
    """How a put is done; never what it gives."""

    workers: int = 0
    """0 = as many as there are processors."""
    stat_cache: bool = True


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What a put did. `new_*`: file contents that were not in the store before; `stored_bytes`: what they took."""

    tree: Digest
    files: int
    bytes: int
    new_files: int
    new_bytes: int
    stored_bytes: int
    seconds: float
    losses: tuple[Loss, ...] = ()
    """What lies in the folder otherwise than the tree keeps it."""

    def to_json(self) -> dict[str, Any]:
        """Plain values, keys in camelCase."""
        return {
            "tree": self.tree,
            "files": self.files,
            "bytes": self.bytes,
            "newFiles": self.new_files,
            "newBytes": self.new_bytes,
            "storedBytes": self.stored_bytes,
            "seconds": round(self.seconds, 3),
            "losses": [loss.to_json() for loss in self.losses],
        }
