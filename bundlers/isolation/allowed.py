"""What two products may both carry: what a shared component that both list holds, and what references hold.

Promises: with its content goes everything packed inside it, the marks of its programs and the
fingerprints of its parts. A product that does not list a shared component may carry nothing of it.
Leaves to others: finding what two products have in common.

    allowed = Allowed.of(store, manifests, settings, workers)
    allowed.between(digest, "core", "agent")     # whether both may
    allowed.everywhere(digest, "core")           # whether any other product may as well
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from attest.digests import Digest
from bundlers.isolation import scanning
from bundlers.isolation.matching import Known, hashes_of
from bundlers.isolation.reports import REFERENCE
from bundlers.isolation.scanning import ContentStore, Scan, Unit
from bundlers.isolation.settings import Settings
from bundlers.products.product_manifests import ProductManifest

Source = tuple[str, str]
"""A shared component and its reason, or a reference."""


@dataclass(slots=True)
class _Group:
    """Content that the same products may carry."""

    products: frozenset[str]
    why: dict[Digest, Source] = field(default_factory=dict)
    keys: set[str] = field(default_factory=set)
    """Digests of files and of what is packed in them, marks of programs."""
    units: list[Unit] = field(default_factory=list)

    def take(self, digest: Digest, found: Scan) -> None:
        self.keys.add(digest)
        self.keys.update(member.digest for member in found.members)
        self.keys.update(mark for unit in found.units for mark in unit.marks)
        self.units += found.units


class Allowed:
    """See the module."""

    def __init__(self, products: Sequence[str], groups: Sequence[_Group]) -> None:
        self._products = tuple(products)
        self._groups = tuple(groups)

    @staticmethod
    def of(store: ContentStore, manifests: Mapping[str, ProductManifest], settings: Settings, workers: int) -> Allowed:
        """Scan the shared components that two products list, and the references."""
        groups: dict[frozenset[str], _Group] = {}
        holders: dict[Digest, set[frozenset[str]]] = {}
        sizes: dict[Digest, int] = {}
        for source, tree, products in _sources(manifests, settings):
            group = groups.setdefault(products, _Group(products))
            for _, entry in store.walk(tree):
                if entry.kind == "file" and entry.size:
                    sizes[entry.content] = entry.size
                    group.why.setdefault(entry.content, source)
                    holders.setdefault(entry.content, set()).add(products)
        for digest, found in scanning.scan(store, sizes, settings, workers):
            for products in holders[digest]:
                groups[products].take(digest, found)
        return Allowed(list(manifests), list(groups.values()))

    def between(self, key: str, one: str, two: str) -> bool:
        """Whether both products may carry this content, or a program with this mark."""
        return any(one in group.products and two in group.products and key in group.keys for group in self._groups)

    def everywhere(self, key: str, product: str) -> bool:
        """Whether this product and every other one may: then it need not be compared."""
        held = [group.products for group in self._groups if key in group.keys and product in group.products]
        return all(any(other in products for products in held) for other in self._products if other != product)

    def why(self, digest: Digest | None, one: str, two: str) -> Source | None:
        """Why both products may carry a file, if they may."""
        for group in self._groups:
            if digest in group.why and one in group.products and two in group.products:
                return group.why[digest]
        return None

    def prints(self) -> tuple[Known, ...]:
        """The fingerprints that are no evidence, and among which products (by their numbers)."""
        numbers = {name: number for number, name in enumerate(self._products)}
        return tuple(
            Known(frozenset(numbers[name] for name in group.products), hashes_of(group.units)) for group in self._groups
        )


def _sources(
    manifests: Mapping[str, ProductManifest], settings: Settings
) -> Iterator[tuple[Source, Digest, frozenset[str]]]:
    """Where allowed content comes from, and which products may carry it; references first, they are for all."""
    for name, tree in settings.references.items():
        yield (name, REFERENCE), tree, frozenset(manifests)
    lists: dict[tuple[Source, Digest], set[str]] = {}
    for product, manifest in manifests.items():
        for name, component in manifest.components.items():
            if component.shared:
                lists.setdefault(((name, component.shared), component.tree), set()).add(product)
    for (source, tree), products in lists.items():
        if len(products) > 1:
            yield source, tree, frozenset(products)
