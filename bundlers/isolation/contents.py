"""What one product carries in all its builds: the union of their files, and the components behind them.

Contents.of({"default": manifest})
Contents.of({"linux-x86_64": one, "windows-x86_64": two})
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from attest.digests import Digest
from bundlers.products.product_manifests import ComponentTree, ProductFile, ProductManifest


@dataclass(frozen=True, slots=True)
class Contents:
    """One side of a comparison. Builds of one product may hold the same."""

    builds: Mapping[str, Digest]
    """Build -> its ProductManifest."""
    components: tuple[tuple[str, ComponentTree], ...]
    files: tuple[ProductFile, ...]
    """Each path and content once; links are left out."""

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)

    @staticmethod
    def of(builds: Mapping[str, ProductManifest]) -> Contents:
        """The union of a product's builds."""
        components = {(name, tree) for made in builds.values() for name, tree in made.components.items()}
        files = {(f.path, f.digest): f for made in builds.values() for f in made.files if f.digest is not None}
        return Contents(
            {name: made.digest for name, made in sorted(builds.items())},
            tuple(sorted(components, key=lambda item: (item[0], item[1].tree, item[1].shared))),
            tuple(files[key] for key in sorted(files, key=lambda key: (key[0].encode(), key[1] or ""))),
        )

    @staticmethod
    def each(manifests: Mapping[str, ProductManifest]) -> dict[str, Contents]:
        """Product -> what all its builds carry."""
        builds: dict[str, dict[str, ProductManifest]] = {}
        for made in manifests.values():
            builds.setdefault(made.product, {})[made.build] = made
        return {product: Contents.of(held) for product, held in sorted(builds.items())}
