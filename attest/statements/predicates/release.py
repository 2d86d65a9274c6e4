"""in-toto release v0.2: these artifacts are one release of a package.

Source: https://github.com/in-toto/attestation/blob/main/spec/predicates/release.md
"""

from __future__ import annotations

import urllib.parse
from typing import Any

from attest.core.values import dataclass
from attest.errors import FormatError

TYPE = "https://in-toto.io/attestation/release/v0.2"


@dataclass(frozen=True, slots=True)
class ReleaseClaim:
    """The package URL, and what stays the same for all releases of the package."""

    purl: str
    package_id: str = ""

    def to_json(self) -> dict[str, Any]:
        """The predicate."""
        value = {"purl": self.purl}
        return {**value, "packageId": self.package_id} if self.package_id else value


def parse(value: object) -> ReleaseClaim:
    """The predicate's JSON to value; unknown fields are ignored (spec). Raises FormatError."""
    purl = value.get("purl") if isinstance(value, dict) else None
    package_id = value.get("packageId", "") if isinstance(value, dict) else None
    if not isinstance(purl, str) or not isinstance(package_id, str):
        raise FormatError("release predicate: purl is missing")
    return ReleaseClaim(purl, package_id)


def purl_of(ledger: str, version: str) -> str:
    """`pkg:generic/<ledger>@<version>`."""
    return f"pkg:generic/{urllib.parse.quote(ledger, safe='')}@{urllib.parse.quote(version, safe='')}"
