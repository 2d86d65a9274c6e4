"""What the isolation check found, and how it is told, attested and refused."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from typing import Any

from attest.core.shown import shown
from attest.core.values import dataclass
from attest.digests import Digest
from attest.judging.explained import ACCEPTANCE, REFERENCE, Explained, ordered
from attest.statements.predicates.isolation import Isolation
from bundlers.errors import CrossProductLeak
from bundlers.isolation.explained.allowed import Taken
from bundlers.isolation.settings import Settings
from bundlers.isolation.stretches import spans
from bundlers.isolation.stretches.spans import Span

_LONGEST_NAME = 400
NEVER = "never"
"""The kind of what a product holds and may never."""
NEVER_FIX = "leave it out of the component, or let the owners of the product take the rule back: never = [...]"
FIX = "take it out of one product, share it with a reason, or accept it: casstore isolation accept"


@dataclass(frozen=True, slots=True)
class Stretch:
    """Equal bytes that nothing explains: where in a, where in b, how many, and which."""

    at_a: int
    at_b: int
    length: int
    digest: Digest


@dataclass(frozen=True, slots=True)
class Finding:
    """The same content in two products. A nested place is written `outer.zip!inner/path`."""

    kind: str
    """`file`, `nested`, `variant` (the same program, stripped or signed), `secret`, `copy`; of one product alone
    `never`, `unopened`, `reference`."""
    product_a: str
    path_a: str
    product_b: str
    path_b: str
    digest: Digest
    """Of what is the same; of the first file for a variant."""
    size: int
    """Bytes that are the same; for a copy all stretches together."""
    why: str = ""
    fails: bool = True
    """Whether it stops a release; else it is told."""
    blobs: tuple[Digest, Digest] | None = None
    """The outer files."""
    units: tuple[str, str] = ("", "")
    """Where inside them, for a copy."""
    also: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
    """Other paths of the same two files."""
    stretches: tuple[Stretch, ...] = ()
    """Of a copy, the longest first."""
    smaller: int = 0
    """Bytes of the smaller file, for a copy."""
    mark: str = ""
    """By what a program or secret was known."""
    prints: frozenset[int] = field(default=frozenset(), compare=False, repr=False)

    @property
    def is_whole(self) -> bool:
        """Whether it is a whole file, or half of one."""
        return self.kind != "copy" or 2 * self.size >= self.smaller

    def to_json(self) -> dict[str, Any]:
        """For the attestation."""
        value: dict[str, Any] = {
            "kind": self.kind,
            "products": [self.product_a, self.product_b],
            "paths": [self.path_a, self.path_b],
            "digest": self.digest,
            "size": self.size,
        }
        if self.stretches:
            first = self.stretches[0]
            value |= {"offsets": [first.at_a, first.at_b], "length": first.length}
        return {**value, "why": self.why} if self.why else value

    def to_report(self) -> dict[str, Any]:
        """For `--json` and `accept`: all paths and stretches as well."""
        value = self.to_json() | {"fails": self.fails, "also": [list(paths) for paths in self.also]}
        if self.blobs is not None:
            value |= {"files": list(self.blobs), "units": list(self.units)}
        if self.mark:
            value["mark"] = self.mark
        if self.stretches:
            value["smaller"] = self.smaller
            value["stretches"] = [[part.at_a, part.at_b, part.length, part.digest] for part in self.stretches]
        return value

    @property
    def told(self) -> str:
        """One line."""
        a, b = f"{self.product_a}: {self.path_a}", f"{self.product_b}: {self.path_b}"
        if self.kind == NEVER:
            return f"{a} may never be in {self.product_a} ({self.why})"
        if self.kind == "unopened":
            return f"{a} could not be looked into: {self.why}"
        if self.kind == "reference":
            return f"the reference {self.path_a} explains too much of {self.product_a}: {self.why}"
        if self.kind == "variant":
            return f"{a} is a variant of {b} ({self.why}; {self.digest})"
        if self.kind == "secret":
            return f"{a} has a secret of {b} ({self.why})"
        if self.kind == "copy":
            first, beside = self.stretches[0], f"; {self.why}" if self.why else ""
            return (
                f"{a} at byte {first.at_a} has {first.length} bytes of {b} at byte {first.at_b}"
                f" ({self.digest}, {self.size} bytes copied in all{beside})"
            )
        beside = f"; {self.why}" if self.why else ""
        return f"{a} is {b} ({self.digest}, {self.size} bytes{beside})"

    @property
    def fix(self) -> str:
        """What to do."""
        return NEVER_FIX if self.kind == NEVER else FIX


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

    products: Mapping[str, Mapping[str, Digest]]
    """Product -> build -> its ProductManifest."""
    settings: Settings
    shared: Mapping[str, str]
    found: tuple[Finding, ...]
    """All of it, the failing and the told."""
    compared: int
    unopened: tuple[str, ...]
    common: tuple[Common, ...]
    sizes: Mapping[str, tuple[int, int]]
    """Product -> (files, bytes)."""
    accepted: tuple[Taken, ...] = ()
    references: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Name -> (files, bytes)."""
    never: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Product -> its rules on what it may never hold."""
    inputs: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Product -> (files, bytes) of what only it is built from."""

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What stops a release."""
        return tuple(found for found in self.found if found.fails)

    @property
    def reported(self) -> tuple[Finding, ...]:
        """What is told only."""
        return tuple(found for found in self.found if not found.fails)

    def between(self, one: str, two: str) -> tuple[list[Common], list[Finding]]:
        """What two products share: with a reason, and without."""
        pair = {one, two}
        may = [row for row in self.common if {row.product_a, row.product_b} == pair]
        return may, [found for found in self.findings if {found.product_a, found.product_b} == pair]

    def require(self) -> None:
        """Raises CrossProductLeak naming the first finding and how many there are."""
        if self.findings:
            more = f" (and {len(self.findings) - 1} more)" if len(self.findings) > 1 else ""
            raise CrossProductLeak(f"{self.findings[0].told}{more}", hint=self.findings[0].fix)

    @property
    def explained(self) -> tuple[Explained, ...]:
        """What a release object lists: references and acceptances, and how much each explains."""
        references = [
            Explained(REFERENCE, name, tree, self.references[name][1], self.references[name][0])
            for name, tree in self.settings.references.items()
        ]
        accepted = [
            Explained(
                ACCEPTANCE,
                row.accepted.name,
                row.accepted.tree,
                row.made.size,
                row.files,
                row.made.between,
                row.accepted.reason,
                row.made.whole,
            )
            for row in self.accepted
        ]
        return ordered((*references, *accepted))

    def predicate(self) -> Isolation:
        """The claim to sign."""
        return Isolation(
            self.products,
            {
                **self.settings.to_json(),
                **({"never": {product: list(rules) for product, rules in self.never.items()}} if self.never else {}),
            },
            self.shared,
            tuple(finding.to_json() for finding in self.findings),
            tuple(_reported(self.reported)),
            tuple(_accepted(row) for row in self.accepted),
            self.compared,
            self.unopened,
            {product: {"files": files, "bytes": size} for product, (files, size) in self.inputs.items()},
        )

    def to_json(self) -> dict[str, Any]:
        """For `--json`, and what `casstore isolation accept` reads."""
        return {
            **self.predicate().to_json(),
            "found": [finding.to_report() for finding in self.found],
            "common": [row.to_json() for row in self.common],
        }


def told_unopened(rows: Iterable[tuple[str, str, str, Digest]]) -> tuple[str, ...]:
    """(product, path, why, file) as lines to be signed: what a file calls its parts is anything."""
    lines = [f"{product}: {_shortened(path)} ({why})" for product, path, why, _ in rows]
    if not lines:
        return ()
    from bundlers.inspection.secret_forms import redacted

    return tuple(sorted({shown(redacted(line)) for line in lines}))


def _shortened(path: str) -> str:
    return path if len(path) <= _LONGEST_NAME else f"{path[:_LONGEST_NAME]}..."


def _reported(rows: Sequence[Finding]) -> Iterator[dict[str, Any]]:
    """What was told and how much, by two products."""
    by_pair: dict[tuple[str, str], list[Finding]] = {}
    for row in rows:
        by_pair.setdefault((row.product_a, row.product_b), []).append(row)
    for pair, found in sorted(by_pair.items()):
        yield {
            "products": list(pair),
            "pairs": len(found),
            "bytes": distinct(found),
            "longest": max(part.length for row in found for part in row.stretches),
        }


def distinct(rows: Sequence[Finding]) -> int:
    """Bytes that copies between two products have in common, what stands in many files counted once."""
    seen: set[Digest] = set()
    sides: list[dict[tuple[Digest, str], list[Span]]] = [{}, {}]
    for row in rows:
        for part in row.stretches:
            if part.digest not in seen and row.blobs is not None:
                seen.add(part.digest)
                for side, blob, path, at in zip(
                    sides, row.blobs, (row.path_a, row.path_b), (part.at_a, part.at_b), strict=True
                ):
                    side.setdefault((blob, path), []).append((at, at + part.length))
    return min(sum(spans.length(parts) for parts in side.values()) for side in sides)


def _accepted(row: Taken) -> dict[str, Any]:
    return {
        "name": row.accepted.name,
        "tree": row.accepted.tree,
        "between": list(row.made.between),
        "reason": row.accepted.reason,
        "whole": row.made.whole,
        "bytes": row.made.size,
        "files": row.files,
    }
