"""in-toto link v0.3: a command took these materials and gave the subjects.

Source: https://github.com/in-toto/attestation/blob/main/spec/predicates/link.md . What in classic
links are products are the statement's subjects.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any

from attest import digests
from attest.core.values import dataclass
from attest.digests import Digest, hex_of
from attest.errors import FormatError

TYPE = "https://in-toto.io/attestation/link/v0.3"


@dataclass(frozen=True, slots=True)
class Link:
    """One step."""

    name: str
    command: Sequence[str]
    materials: Mapping[str, Digest]
    byproducts: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The predicate."""
        return {
            "name": self.name,
            "command": list(self.command),
            "materials": [
                {"name": name, "digest": {"sha256": hex_of(digest)}} for name, digest in sorted(self.materials.items())
            ],
            "byproducts": dict(self.byproducts),
            "environment": dict(self.environment),
        }


def parse(value: object) -> Link:
    """The predicate's JSON to value; unknown fields are ignored (spec). Raises FormatError."""
    name = value.get("name") if isinstance(value, Mapping) else None
    if not isinstance(value, Mapping) or not isinstance(name, str):
        raise FormatError("link: name is missing")
    command = value.get("command", [])
    if not isinstance(command, list) or not all(isinstance(word, str) for word in command):
        raise FormatError("link: command is no list of texts")
    objects = [value.get(key, {}) for key in ("byproducts", "environment")]
    if not all(isinstance(item, Mapping) for item in objects):
        raise FormatError("link: byproducts or environment is no object")
    return Link(name, tuple(command), dict(_materials(value.get("materials", []))), *objects)


def _materials(rows: object) -> list[tuple[str, Digest]]:
    if not isinstance(rows, list):
        raise FormatError("link: materials is no list")
    found = []
    for row in rows:
        digest = row.get("digest") if isinstance(row, Mapping) else None
        hexed = f"sha256:{digest.get('sha256')}" if isinstance(digest, Mapping) else ""
        if not isinstance(row, Mapping) or not isinstance(row.get("name"), str) or not digests.is_digest(hexed):
            raise FormatError("link: a material without name or sha256")
        found.append((row["name"], digests.parse(hexed)))
    return found
