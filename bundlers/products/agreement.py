"""What an archive is said to hold against what was put: ProductManifest against the trees of its components.

A ProductManifest follows from its components alone, so it is made anew from the trees of the release and must be
the very bytes: a builder cannot list another file, another mode or another tree than the ones that were put,
signed and shown.

    check_release(store, release)       # or VerificationError naming product and path
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from attest.digests import Digest
from attest.errors import BadInput, VerificationError
from bundlers.products import product_manifests
from bundlers.products.product_manifests import ProductManifest, TreeStore
from casstore.errors import UnsupportedInput
from casstore.ledger.release_objects import Release

_HINT = "do not approve, promote or install it: its builder must release again, or be replaced"


class ReadStore(TreeStore, Protocol):
    """What is needed of a store."""

    def read(self, digest: Digest, *, max_bytes: int = ...) -> bytes:
        """An object's verified bytes."""


def check_release(store: ReadStore, release: Release) -> None:
    """Every product of a release. Raises VerificationError, FormatError, NoSuchObject, ObjectDamaged."""
    rows = release.products.items()
    check_all(store, release, {n: product_manifests.parse(store.read(row.product_manifest)) for n, row in rows})


def check_all(trees: TreeStore, release: Release, manifests: Mapping[str, ProductManifest]) -> None:
    """Every product, by ProductManifests that have the digests which the release names. Raises as `check_release`."""
    for name, product in sorted(release.products.items()):
        manifest = manifests[name]
        if (manifest.product, manifest.version, manifest.archive_format) != (name, release.version, product.format):
            raise VerificationError(
                f"product {name}: its ProductManifest is another product's or version's", hint=_HINT
            )
        check(trees, manifest, release)


def check(trees: TreeStore, manifest: ProductManifest, release: Release) -> None:
    """One product. Raises as `check_release`."""
    for name, component in manifest.components.items():
        if release.components.get(name) != component.tree:
            raise VerificationError(
                f"product {manifest.product}: its component {name} is {component.tree}, not that of the release",
                hint=_HINT,
            )
    try:
        made = product_manifests.build(
            trees,
            manifest.product,
            manifest.archive_format,
            manifest.components,
            manifest.version,
            manifest.epoch,
            platform=manifest.platform,
        )
    except (BadInput, UnsupportedInput) as exc:
        raise VerificationError(f"product {manifest.product}: {exc.message}", hint=_HINT) from exc
    if made.digest != manifest.digest:
        raise VerificationError(f"product {manifest.product}: {_first_difference(manifest, made)}", hint=_HINT)


def _first_difference(said: ProductManifest, made: ProductManifest) -> str:
    files, put = {f.path: f for f in said.files}, {f.path: f for f in made.files}
    for path in sorted({*files, *put}):
        if path not in put:
            return f"lists {path}, which no component holds"
        if path not in files:
            return f"leaves out {path} of its components"
        if files[path] != put[path]:
            return f"lists {path} otherwise than its component holds it"
    return "its ProductManifest is not what its components make"
