"""What an archive is said to hold against what was put: ProductManifest against the trees of its components.

A ProductManifest follows from its components and from the layout that the release object shows, so it is made anew
from the trees of the release and must be the very bytes: a builder cannot list another file, another mode or another
tree than the ones that were put, signed and shown.

    check_release(store, release)       # or VerificationError naming product and path
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from attest.core.fields import Fields
from attest.digests import Digest
from attest.errors import BadInput, VerificationError
from bundlers.products import manifest_building, product_manifests
from bundlers.products.layouts import Layout
from bundlers.products.manifest_building import TreeStore
from bundlers.products.product_manifests import ProductManifest
from casstore.errors import UnsupportedInput
from casstore.ledger.release_objects import Release, ReleaseBuild

_HINT = "do not approve, promote or install it: its builder must release again, or be replaced"


class ReadStore(TreeStore, Protocol):
    """What is needed of a store."""

    def chunks(self, digest: Digest) -> Iterator[bytes]:
        """An object's verified bytes in pieces."""


def check_release(store: ReadStore, release: Release) -> None:
    """Every product of a release. Raises VerificationError, FormatError, NoSuchObject, ObjectDamaged."""
    rows = release.builds.items()
    check_all(store, release, {key: product_manifests.read(store.chunks(row.product_manifest)) for key, row in rows})


def check_all(trees: TreeStore, release: Release, manifests: Mapping[str, ProductManifest]) -> None:
    """Every build, by ProductManifests that have the digests which the release names. Raises as `check_release`."""
    for key in sorted(release.builds):
        check(trees, manifests[key], release, key)


def check(trees: TreeStore, manifest: ProductManifest, release: Release, key: str) -> None:
    """One build. Raises as `check_release`."""
    row = release.builds[key]
    said = (manifest.key, manifest.archive_format, manifest.platform, manifest.foreign)
    if said != (key, row.format, row.platform, row.foreign):
        raise VerificationError(f"product {key}: its ProductManifest is another product's or build's", hint=_HINT)
    for name, component in manifest.components.items():
        if release.components.get(name) != component.tree:
            raise VerificationError(
                f"product {key}: its component {name} is {component.tree}, not that of the release",
                hint=_HINT,
            )
    laid, layouts = _layout(row)
    try:
        made = manifest_building.build(
            trees,
            manifest.product,
            manifest.archive_format,
            manifest.components,
            name=manifest.build,
            platform=manifest.platform,
            wrap=laid.text("wrap", ""),
            bin=laid.texts("bin", ()),
            config=laid.texts("config", ()),
            foreign=manifest.foreign,
            never=laid.texts("never", ()),
            layouts=layouts,
        )
    except (BadInput, UnsupportedInput) as exc:
        raise VerificationError(f"product {key}: {exc.message}", hint=_HINT) from exc
    if made.digest != manifest.digest:
        raise VerificationError(f"product {key}: {_first_difference(manifest, made)}", hint=_HINT)


def layout_json(manifest: ProductManifest, layouts: Mapping[str, Layout]) -> dict[str, Any]:
    """What a release object says of how a build is laid out."""
    rows = {name: row for name, layout in sorted(layouts.items()) if (row := layout.to_json())}
    return {
        **({"wrap": manifest.wrap} if manifest.wrap else {}),
        **({"bin": list(manifest.bin)} if manifest.bin else {}),
        **({"config": list(manifest.config)} if manifest.config else {}),
        **({"never": list(manifest.never)} if manifest.never else {}),
        **({"components": rows} if rows else {}),
    }


def _layout(row: ReleaseBuild) -> tuple[Fields, dict[str, Layout]]:
    f = Fields(row.layout, "layout", required=(), optional=("wrap", "bin", "config", "never", "components"))
    return f, {name: Layout.parse(value) for name, value in f.optional_mapping("components").items()}


def _first_difference(said: ProductManifest, made: ProductManifest) -> str:
    files, put = ({row.path: row for row in one.rows} for one in (said, made))
    for path in sorted({*files, *put}):
        if path not in put:
            return f"lists {path}, which no component holds"
        if path not in files:
            return f"leaves out {path} of its components"
        if files[path] != put[path]:
            return f"lists {path} otherwise than its component holds it"
    return "its ProductManifest is not what its components make"
