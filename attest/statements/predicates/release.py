"""in-toto release v0.1: these artifacts are one release of a package.

Source: https://github.com/in-toto/attestation/blob/main/spec/predicates/release.md
"""

from __future__ import annotations

import urllib.parse
from dataclasses import dataclass
from typing import Any

from attest.errors import FormatError

TYPE = "https://in-toto.io/attestation/release/v0.1"


@dataclass(frozen=True, slots=True)
class ReleaseClaim:
    """The package URL, and our ledger's name for the release."""

    purl: str
    release_id: str = ""

    def to_json(self) -> dict[str, Any]:
        """The predicate."""
        value = {"purl": self.purl}
        return {**value, "releaseId": self.release_id} if self.release_id else value


def parse(value: object) -> ReleaseClaim:
    """The predicate's JSON to value; unknown fields are ignored (spec). Raises FormatError."""
    purl = value.get("purl") if isinstance(value, dict) else None
    release_id = value.get("releaseId", "") if isinstance(value, dict) else None
    if not isinstance(purl, str) or not isinstance(release_id, str):
        raise FormatError("release predicate: purl is missing")
    return ReleaseClaim(purl, release_id)


def purl_of(ledger: str, version: str) -> str:
    """`pkg:generic/<ledger>@<version>`."""
    return f"pkg:generic/{urllib.parse.quote(ledger, safe='')}@{urllib.parse.quote(version, safe='')}"
