"""Do two products carry the same content? By content, whatever the names say (docs/isolation.md).

`check` compares all products of a release; components that are shared with a reason are taken
out, as are files below `min_size`. It promises to find a file under another name or mode and a
hard link (the same blob), and a file inside a nested archive (`nested`).

    report = check(store, manifests, Settings())
    report.require()            # raises CrossProductLeak
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, BinaryIO, Protocol

from attest.digests import Digest
from attest.errors import BadInput
from attest.predicates.isolation import Isolation
from bundlers.errors import CrossProductLeak
from bundlers.isolation import nested
from bundlers.product_manifests import ProductManifest
from casstore.objects.tree import TreeEntry

__all__ = ["Finding", "IsolationReport", "Settings", "check"]


class ContentStore(Protocol):
    """What the check needs of the store."""

    def walk(self, digest: Digest) -> Iterator[tuple[bytes, TreeEntry]]:
        """(path, entry) of every file and link below a tree."""

    def open_blob(self, digest: Digest) -> BinaryIO:
        """A seekable, verified stream."""


@dataclass(frozen=True, slots=True)
class Settings:
    """`[isolation]` of casstore.toml."""

    min_size: int = 1
    """Smaller files are not compared; empty files never are."""
    max_depth: int = 4
    """How many archives inside each other are opened."""
    max_member: int = 1 << 30
    """Larger members are not opened; they are listed as unopened."""

    @staticmethod
    def parse(table: Mapping[str, Any]) -> Settings:
        """The table to settings. Raises BadInput for an unknown key or a value below 0."""
        known = {item.name for item in fields(Settings)}
        for key, value in table.items():
            if key not in known or not isinstance(value, int) or isinstance(value, bool) or value < 0:
                raise BadInput(
                    f"[isolation] {key} = {value!r}: not a setting", hint=f"known: {', '.join(sorted(known))}"
                )
        return Settings(**table)

    def to_json(self) -> dict[str, int]:
        """The parameters, as they are attested."""
        return {"minSize": self.min_size, "maxDepth": self.max_depth, "maxMember": self.max_member}


@dataclass(frozen=True, slots=True)
class Finding:
    """The same content in two products. A nested place is written `outer.zip!inner/path`."""

    kind: str
    """`file` or `nested`."""
    product_a: str
    path_a: str
    product_b: str
    path_b: str
    digest: Digest
    size: int

    def to_json(self) -> dict[str, Any]:
        """For the attestation and `--json`."""
        return {
            "kind": self.kind,
            "products": [self.product_a, self.product_b],
            "paths": [self.path_a, self.path_b],
            "digest": self.digest,
            "size": self.size,
        }

    @property
    def told(self) -> str:
        """One line."""
        return f"{self.product_a}: {self.path_a} is {self.product_b}: {self.path_b} ({self.digest}, {self.size} bytes)"


@dataclass(frozen=True, slots=True)
class IsolationReport:
    """What was compared and what was found."""

    products: Mapping[str, Digest]
    settings: Settings
    shared: Mapping[str, str]
    findings: tuple[Finding, ...]
    compared: int
    unopened: tuple[str, ...]

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
        return self.predicate().to_json()


@dataclass
class _Places:
    """Content -> where it is, by product."""

    of: dict[Digest, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))
    sizes: dict[Digest, int] = field(default_factory=dict)

    def add(self, digest: Digest, size: int, product: str, path: str) -> None:
        self.sizes[digest] = size
        self.of[digest].setdefault(product, path)


def check(store: ContentStore, manifests: Mapping[str, ProductManifest], settings: Settings) -> IsolationReport:
    """Compare all products. Reads only what could be an archive; the rest is known by digest."""
    shared = _shared(store, manifests)
    places, unopened = _Places(), []
    opened: dict[Digest, nested.Inside] = {}
    for product, manifest in sorted(manifests.items()):
        for file in manifest.files:
            if file.digest is None or file.digest in shared or not file.size or file.size < settings.min_size:
                continue
            places.add(file.digest, file.size, product, file.path)
            if file.digest not in opened:
                with store.open_blob(file.digest) as blob:
                    opened[file.digest] = nested.look_inside(blob, settings.max_depth, settings.max_member)
            inside = opened[file.digest]
            unopened += [f"{product}: {file.path}{place}" for place in inside.unopened]
            for member in inside.members:
                if member.digest not in shared and member.size and member.size >= settings.min_size:
                    places.add(member.digest, member.size, product, f"{file.path}!{member.path}")
    return IsolationReport(
        {product: manifest.digest for product, manifest in sorted(manifests.items())},
        settings,
        _reasons(manifests),
        tuple(_findings(places)),
        len(places.of),
        tuple(sorted(unopened)),
    )


def _shared(store: ContentStore, manifests: Mapping[str, ProductManifest]) -> frozenset[Digest]:
    """The contents of all components that are shared with a reason."""
    trees = {c.tree for manifest in manifests.values() for c in manifest.components.values() if c.shared}
    return frozenset(entry.content for tree in trees for _, entry in store.walk(tree) if entry.kind == "file")


def _reasons(manifests: Mapping[str, ProductManifest]) -> dict[str, str]:
    found = ((name, c.shared) for manifest in manifests.values() for name, c in manifest.components.items())
    return {name: reason for name, reason in sorted(found) if reason}


def _findings(places: _Places) -> Iterator[Finding]:
    for digest in sorted(places.of):
        found = sorted(places.of[digest].items())
        for number, (product_a, path_a) in enumerate(found):
            for product_b, path_b in found[number + 1 :]:
                kind = "nested" if "!" in path_a or "!" in path_b else "file"
                yield Finding(kind, product_a, path_a, product_b, path_b, digest, places.sizes[digest])
