"""What the isolation check found, and how it is told, attested and refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from attest.digests import Digest
from attest.statements.predicates.isolation import Isolation
from bundlers.errors import CrossProductLeak
from bundlers.isolation.settings import Settings


@dataclass(frozen=True, slots=True)
class Finding:
    """The same content in two products. A nested place is written `outer.zip!inner/path`."""

    kind: str
    """`file`, `nested`, `variant` (the same program, stripped or signed), `copy` or `unopened`."""
    product_a: str
    path_a: str
    product_b: str
    path_b: str
    digest: Digest
    """Of what is the same; of the first file for a variant."""
    size: int
    """Bytes that are the same; for a copy all runs together."""
    offset_a: int | None = None
    """Of a copy's longest run."""
    offset_b: int | None = None
    length: int | None = None
    why: str = ""

    def to_json(self) -> dict[str, Any]:
        """For the attestation and `--json`."""
        value: dict[str, Any] = {
            "kind": self.kind,
            "products": [self.product_a, self.product_b],
            "paths": [self.path_a, self.path_b],
            "digest": self.digest,
            "size": self.size,
        }
        if self.offset_a is not None and self.offset_b is not None:
            value |= {"offsets": [self.offset_a, self.offset_b], "length": self.length}
        return {**value, "why": self.why} if self.why else value

    @property
    def told(self) -> str:
        """One line."""
        a, b = f"{self.product_a}: {self.path_a}", f"{self.product_b}: {self.path_b}"
        if self.kind == "unopened":
            return f"{a} could not be looked into: {self.why}"
        if self.kind == "variant":
            return f"{a} is a variant of {b} ({self.why}; {self.digest})"
        if self.kind == "copy":
            return (
                f"{a} at byte {self.offset_a} has {self.length} bytes of {b} at byte {self.offset_b}"
                f" ({self.digest}, {self.size} bytes copied in all)"
            )
        return f"{a} is {b} ({self.digest}, {self.size} bytes)"


REFERENCE = "a reference of common content"


@dataclass(frozen=True, slots=True)
class Common:
    """What two products both carry, and may: whole files of one component, or of one reference."""

    product_a: str
    product_b: str
    source: str
    why: str
    files: int
    size: int

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "products": [self.product_a, self.product_b],
            "source": self.source,
            "why": self.why,
            "files": self.files,
            "bytes": self.size,
        }


@dataclass(frozen=True, slots=True)
class IsolationReport:
    """What was compared and what was found."""

    products: Mapping[str, Digest]
    settings: Settings
    shared: Mapping[str, str]
    findings: tuple[Finding, ...]
    compared: int
    unopened: tuple[str, ...]
    common: tuple[Common, ...]
    sizes: Mapping[str, tuple[int, int]]
    """Product -> (files, bytes)."""

    def between(self, one: str, two: str) -> tuple[list[Common], list[Finding]]:
        """What two products share: with a reason, and without."""
        pair = {one, two}
        may = [row for row in self.common if {row.product_a, row.product_b} == pair]
        return may, [found for found in self.findings if {found.product_a, found.product_b} == pair]

    def require(self) -> None:
        """Raises CrossProductLeak naming the first finding and how many there are."""
        if self.findings:
            more = f" (and {len(self.findings) - 1} more)" if len(self.findings) > 1 else ""
            raise CrossProductLeak(
                f"{self.findings[0].told}{more}",
                hint="take it out of one product, or put it into a component that is shared with a reason",
            )

    def predicate(self) -> Isolation:
        """The claim to sign."""
        return Isolation(
            self.products,
            self.settings.to_json(),
            self.shared,
            tuple(finding.to_json() for finding in self.findings),
            self.compared,
            self.unopened,
        )

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {**self.predicate().to_json(), "common": [row.to_json() for row in self.common]}
