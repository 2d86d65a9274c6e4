"""What one product carries in all its builds: the union of their files, and the components behind them.

Beside that what it is built from: an input that only this product has belongs to it like a file that it ships, what
several products are built from is common ground. And its own word on what it may never hold.

Contents.of({"default": manifest})
Contents.of({"linux-x86_64": one, "windows-x86_64": two})
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from types import MappingProxyType

from attest.core.values import dataclass
from attest.digests import Digest
from bundlers.products.product_files import FileRows, Packing, ProductFile, ProductFolder, in_order
from bundlers.products.product_manifests import ComponentTree, ProductManifest


@dataclass(frozen=True, slots=True)
class Contents:
    """One side of a comparison. Builds of one product may hold the same."""

    builds: Mapping[str, Digest]
    """Build -> its ProductManifest."""
    components: tuple[tuple[str, ComponentTree], ...]
    files: FileRows
    """Each path and content once; links are left out."""
    inputs: tuple[ProductFile, ...] = ()
    """What only this product is built from, and does not ship as it is; no part of its size."""
    never: tuple[tuple[FileRows, tuple[str, ...]], ...] = ()
    """Files and links of builds that have rules, with these."""
    ruled_folders: tuple[tuple[ProductFolder, tuple[str, ...]], ...] = ()
    """Empty folders of these: no content, but a name."""

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return self.files.size

    @property
    def rules(self) -> tuple[str, ...]:
        """What none of its builds, or one of them, may ever hold."""
        return tuple(sorted({rule for _, rules in self.never for rule in rules}))

    @staticmethod
    def of(builds: Mapping[str, ProductManifest]) -> Contents:
        """The union of a product's builds."""
        components = {(name, tree) for made in builds.values() for name, tree in made.components.items()}
        folders = {(f.path, made.never): f for made in builds.values() if made.never for f in made.folders}
        ruled = sorted({made.never for made in builds.values() if made.never})
        return Contents(
            {name: made.digest for name, made in sorted(builds.items())},
            tuple(sorted(components, key=lambda item: (item[0], item[1].tree, item[1].shared))),
            _once([made.packed.contents() for made in builds.values()]),
            never=tuple((_once([m.packed for m in builds.values() if m.never == rules]), rules) for rules in ruled),
            ruled_folders=tuple((folder, rules) for (_, rules), folder in folders.items()),
        )

    @staticmethod
    def each(
        manifests: Mapping[str, ProductManifest], inputs: Mapping[str, Sequence[ProductFile]] = MappingProxyType({})
    ) -> dict[str, Contents]:
        """Product -> what all its builds carry. `inputs`: component -> what it says that it is built from."""
        builds: dict[str, dict[str, ProductManifest]] = {}
        for made in manifests.values():
            builds.setdefault(made.product, {})[made.build] = made
        found = {product: Contents.of(held) for product, held in sorted(builds.items())}
        taken = {product: dict(_inputs(held, inputs)) for product, held in found.items()}
        users = Counter(digest for rows in taken.values() for digest in {digest for _, digest in rows})
        return {
            product: replace(held, inputs=tuple(_owned(held, taken[product], users))) for product, held in found.items()
        }


def _once(builds: Sequence[FileRows]) -> FileRows:
    """The rows of all, each path and content once."""
    if len(builds) == 1:
        return builds[0]
    packing = Packing()
    for _, same in groupby(in_order(builds), key=lambda file: file.path):
        found: dict[Digest | None, ProductFile] = {}
        for file in same:
            found.setdefault(file.digest, file)
        for digest in sorted(found, key=str):
            packing.add(found[digest])
    return packing.done()


def _inputs(
    held: Contents, inputs: Mapping[str, Sequence[ProductFile]]
) -> Iterator[tuple[tuple[str, Digest], ProductFile]]:
    for name, _ in held.components:
        for file in inputs.get(name, ()):
            yield (file.path, file.content), file


def _owned(
    held: Contents, rows: Mapping[tuple[str, Digest], ProductFile], users: Mapping[Digest, int]
) -> Iterator[ProductFile]:
    wanted = {digest for _, digest in rows}
    shipped = wanted.intersection(held.files.digests()) if wanted else frozenset()
    for (_, digest), file in sorted(
        rows.items(), key=lambda row: (row[0][0].encode("utf-8", "surrogatepass"), row[0][1])
    ):
        if users[digest] == 1 and digest not in shipped:
            yield file
