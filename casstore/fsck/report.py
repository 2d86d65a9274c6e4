"""What a check has found, as plain values.

Damage(pack, digest, 4096, "its bytes do not have its digest", ("release 1.4.0",))
"""

from __future__ import annotations

from typing import Any

from attest.core.values import dataclass
from attest.digests import Digest


@dataclass(frozen=True, slots=True)
class Damage:
    """Something that is not what was stored.

    `object` is None when it is not known which objects are hit; `pack` is None for an object
    that something names and no pack holds.
    """

    pack: Digest | None
    object: Digest | None
    offset: int
    what: str
    needed_by: tuple[str, ...] = ()
    """What refers to the object: "component core-bin of 1.4.0: bin/core", "release 1.4.0", ..."""
    record: str | None = None
    """The key of what is damaged, where it is no pack."""

    def to_json(self) -> dict[str, Any]:
        """Plain values, keys in camelCase."""
        return {
            "pack": self.pack,
            "object": self.object,
            "offset": self.offset,
            "what": self.what,
            "neededBy": list(self.needed_by),
            "record": self.record,
        }


@dataclass(frozen=True, slots=True)
class Mended:
    """Something that was damaged and is right now; `object` is None for a pack whose objects were not known."""

    pack: Digest | None
    object: Digest | None
    how: str
    record: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain values, keys in camelCase."""
        return {"pack": self.pack, "object": self.object, "how": self.how, "record": self.record}


@dataclass(frozen=True, slots=True)
class FsckReport:
    """`damaged` is empty when every byte is right; `healed` says what was wrong with the index and is right now."""

    packs: int
    objects: int
    bytes: int
    damaged: tuple[Damage, ...]
    healed: tuple[str, ...]
    seconds: float
    mended: tuple[Mended, ...] = ()
    strangers: tuple[str, ...] = ()
    """Files that are nobody's; they stop nothing."""

    @property
    def ok(self) -> bool:
        """Whether nothing is damaged."""
        return not self.damaged

    def to_json(self) -> dict[str, Any]:
        """Plain values, keys in camelCase."""
        return {
            "ok": self.ok,
            "packs": self.packs,
            "objects": self.objects,
            "bytes": self.bytes,
            "damaged": [one.to_json() for one in self.damaged],
            "mended": [one.to_json() for one in self.mended],
            "strangers": list(self.strangers),
            "healed": list(self.healed),
            "seconds": round(self.seconds, 3),
        }
