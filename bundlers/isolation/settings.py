"""`[isolation]` of casstore.toml: how hard products are compared (docs/isolation.md lists every key).

Settings.parse({"min_copy": 1024, "references": {"glibc 2.36": "sha256:..."}})
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from attest import digests
from attest.digests import Digest
from attest.errors import BadInput

_CHOICES = {"copies": ("fail", "off"), "unopened": ("report", "fail")}
MIN_COPY = 512
"""Shorter copies cannot be promised to be found."""


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
    """Bytes in a row that are a copy; 512 at least."""
    min_copy_total: int = MIN_COPY
    """Copied bytes between two files from which on it is a finding."""
    min_entropy: float = 2.5
    """Bits per byte of the copied bytes; below that (tables of zeros, padding) they are no evidence."""
    references: Mapping[str, Digest] = field(default_factory=dict)
    """Name -> tree of common content (a language's runtime, system libraries) that anybody may carry."""
    unopened: str = "report"
    """Whether something packed that cannot be opened is a finding: `report` or `fail`."""

    @staticmethod
    def parse(table: Mapping[str, Any]) -> Settings:
        """The table to settings. Raises BadInput for an unknown key or a value that it cannot have."""
        known = {item.name: item for item in fields(Settings)}
        for key, value in table.items():
            if key not in known or not _fits(key, value):
                hint = f"known: {', '.join(sorted(known))} (docs/isolation.md)"
                raise BadInput(f"[isolation] {key} = {value!r}: not a setting", hint=hint)
        references = {name: _tree(name, value) for name, value in table.get("references", {}).items()}
        return Settings(**{**table, "references": references})

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
            "minCopyTotal": self.min_copy_total,
            "minEntropy": f"{self.min_entropy:g}",
            "references": dict(self.references),
            "unopened": self.unopened,
        }


def _fits(key: str, value: object) -> bool:
    if key in _CHOICES:
        return value in _CHOICES[key]
    if key == "references":
        return isinstance(value, Mapping)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    if key == "min_entropy":
        return 0 <= value <= 8
    return isinstance(value, int) and value >= (MIN_COPY if key.startswith("min_copy") else 0)


def _tree(name: str, value: object) -> Digest:
    if not isinstance(value, str) or not digests.is_digest(value):
        raise BadInput(
            f"[isolation] references.{name} = {value!r}: not the digest of a tree",
            hint="casstore put FOLDER prints the digest of its tree",
        )
    return Digest(value)
