"""`[isolation]` of casstore.toml: how hard products are compared (docs/isolation.md lists every key).

Settings.parse({"min_copy": 1024, "references": {"glibc 2.36": "sha256:..."}})
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, fields
from typing import Any

from attest import digests
from attest.core.values import dataclass
from attest.digests import Digest
from attest.errors import BadInput
from attest.statements.predicates.isolation import FAILS
from bundlers.inspection.units import Limits
from casstore.hostile import MEMORY, SECONDS, Budget

_CHOICES = {"copies": ("fail", "off"), "unopened": ("report", "fail")}
MIN_COPY = 512
"""Shorter copies cannot be promised to be found."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """A line of `[[isolation.accepted]]`: which tree, between which products, and why."""

    name: str
    tree: Digest
    between: tuple[str, str]
    reason: str

    @staticmethod
    def parse(row: Mapping[str, Any]) -> Accepted:
        """A table to value. Raises BadInput."""
        name, between, reason = row.get("name"), row.get("between"), row.get("reason")
        whole = set(row) == {"name", "tree", "between", "reason"}
        if not whole or not isinstance(name, str) or not name or not isinstance(reason, str) or not reason.strip():
            named = f" {name!r}" if name else ""
            raise BadInput(
                f"[[isolation.accepted]]{named}: it has name, tree, between and a reason, and nothing else",
                hint="casstore isolation accept writes it",
            )
        if not isinstance(between, list) or len(set(between)) != 2 or not all(isinstance(p, str) for p in between):
            raise BadInput(f"[[isolation.accepted]] {name}: between names two products")
        first, second = sorted(between)
        return Accepted(name, _tree(f"accepted {name}", row.get("tree")), (first, second), reason)


@dataclass(frozen=True, slots=True)
class Settings:
    """The parameters of a comparison; all of them stand in the attestation."""

    min_size: int = 1
    """Smaller files are not compared; empty files never are."""
    max_depth: int = 4
    """How many archives inside each other are opened."""
    max_member: int = 256 << 20
    """Larger members are not opened; they are listed as unopened."""
    max_total: int = 8 << 30
    """So many unpacked bytes are looked at in one file, then the rest is listed as unopened."""
    max_ratio: int = 1000
    """A member that unpacks to more than so many times its packed size is listed as unopened."""
    copies: str = "fail"
    """Whether parts of files are compared: `fail` or `off`."""
    min_copy: int = MIN_COPY
    """Bytes in a row that count as a copy; 512 at least."""
    min_entropy: float = 2.5
    """Bits per byte of the copied bytes; below that (tables of zeros, padding) they are no evidence."""
    references: Mapping[str, Digest] = field(default_factory=dict)
    """Name -> tree of common content (a language's runtime, system libraries) that anybody may carry."""
    accepted: tuple[Accepted, ...] = ()
    """What two products may both carry since somebody looked at it (`casstore isolation accept`)."""
    unopened: str = "report"
    """Whether something packed that cannot be opened is a finding: `report` or `fail`."""
    max_seconds: int = SECONDS
    """By the clock, for one file, and one more for each MiB of it; a file that takes longer is always a finding."""
    max_memory: int = MEMORY
    """Bytes for one file, likewise."""

    @property
    def limits(self) -> Limits:
        """What is looked at in one file."""
        return Limits(self.max_depth, self.max_member, self.max_total, self.max_ratio)

    @property
    def budget(self) -> Budget:
        """What one file may cost."""
        return Budget(self.max_seconds, self.max_memory)

    @staticmethod
    def parse(table: Mapping[str, Any]) -> Settings:
        """The table to settings. Raises BadInput for an unknown key or a value that it cannot have."""
        known = {item.name: item for item in fields(Settings)}
        for key, value in table.items():
            if key not in known or not _fits(key, value):
                hint = f"known: {', '.join(sorted(known))} (casstore help isolation)"
                raise BadInput(f"[isolation] {key} = {value!r}: not a setting", hint=hint)
        references = {name: _tree(f"references.{name}", value) for name, value in table.get("references", {}).items()}
        accepted = tuple(Accepted.parse(row) for row in table.get("accepted", ()))
        if len({row.name for row in accepted}) != len(accepted):
            raise BadInput("[[isolation.accepted]]: two have the same name", hint="give each its own name")
        return Settings(**{**table, "references": references, "accepted": accepted})

    def to_json(self) -> dict[str, Any]:
        """The parameters, as they are attested."""
        return {
            "minSize": self.min_size,
            "maxDepth": self.max_depth,
            "maxMember": self.max_member,
            "maxTotal": self.max_total,
            "maxRatio": self.max_ratio,
            "copies": self.copies,
            "minCopy": self.min_copy,
            "fails": dict(FAILS),
            "minEntropy": f"{self.min_entropy:g}",
            "references": dict(self.references),
            "unopened": self.unopened,
        }


def _fits(key: str, value: object) -> bool:
    if key in _CHOICES:
        return value in _CHOICES[key]
    if key == "references":
        return isinstance(value, Mapping)
    if key == "accepted":
        return isinstance(value, list) and all(isinstance(row, Mapping) for row in value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    if key == "min_entropy":
        return 0 <= value <= 8
    return isinstance(value, int) and value >= (MIN_COPY if key == "min_copy" else 0)


def _tree(name: str, value: object) -> Digest:
    if not isinstance(value, str) or not digests.is_digest(value):
        raise BadInput(
            f"[isolation] {name} = {value!r}: not the digest of a tree",
            hint="casstore put FOLDER prints the digest of its tree",
        )
    return Digest(value)
