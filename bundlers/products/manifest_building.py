"""A ProductManifest of trees: the files and empty folders of a product's components, laid out as they ship.

Promises: the same trees, layout and times give the same manifest; what two components bring under one path, a name
that the platform cannot hold, or a rule of a layout that fits nothing is an error here, before anything is packed.

    manifest = build(store, "core", "tar.gz", {"core-bin": ComponentTree(tree, time=1767225600)})
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from attest.digests import Digest
from attest.errors import BadInput, FormatError
from bundlers.products import platforms, product_manifests
from bundlers.products.forbidden import Forbidden
from bundlers.products.layouts import Laying, Layout
from bundlers.products.product_files import FileRows, Packing, ProductFile, ProductFolder, in_order
from bundlers.products.product_manifests import ComponentTree, ProductManifest
from casstore.errors import UnsupportedInput
from casstore.ledger.release_objects import DEFAULT
from casstore.objects.platforms import Platform
from casstore.objects.tree import TreeEntry, show


class TreeStore(Protocol):
    """What building a ProductManifest needs of the store."""

    def contents(self, digest: Digest) -> Iterator[tuple[bytes, TreeEntry]]:
        """(path, entry) of every file, link and empty folder below a tree."""


def build(
    store: TreeStore,
    product: str,
    archive_format: str,
    components: Mapping[str, ComponentTree],
    *,
    name: str = DEFAULT,
    platform: Platform | None = None,
    wrap: str = "",
    bin: Sequence[str] = (),  # noqa: A002 - as the format calls it
    config: Sequence[str] = (),
    foreign: str = "",
    never: Sequence[str] = (),
    layouts: Mapping[str, Layout] | None = None,
    lost: set[str] | None = None,
) -> ProductManifest:
    """The ProductManifest of some trees, laid out; a component without a layout lies as it was put.

    `lost` gets the empty folders that no rule of a layout keeps, as they were put.

    Raises UnsupportedInput for a name that the product or its platform cannot hold, BadInput when
    two components bring different files or folders under one path, or a rule of a layout fits nothing.
    """
    parts: list[FileRows] = []
    folders: dict[str, ProductFolder] = {}
    for component, held in sorted(components.items()):
        packing = Packing()
        for file in _laid(store, product, component, held.tree, (layouts or {}).get(component, Layout()), lost):
            if isinstance(file, ProductFolder):
                if folders.setdefault(file.path, file).mode != file.mode:
                    raise BadInput(f"product {product}: two components give the empty folder {file.path} another mode")
            else:
                packing.add(file)
        parts.append(packing.done().sorted())
    single = len(parts) == 1 and parts[0].distinct
    ordered = parts[0] if single else _once(product, in_order(parts))
    if not ordered:
        raise BadInput(f"product {product}: its components hold no file", hint="look at their include globs")
    manifest = ProductManifest(
        product,
        archive_format,
        dict(sorted(components.items())),
        ordered,
        name,
        platform,
        wrap,
        tuple(bin),
        tuple(config),
        foreign,
        tuple(sorted(set(never))),
        _still_empty(product, ordered, folders),
    )
    Forbidden(manifest.never)
    try:
        product_manifests.check(manifest)
    except FormatError as exc:
        raise UnsupportedInput(
            exc.message.replace("ProductManifest", f"product {manifest.key}", 1), hint="lay it out otherwise"
        ) from exc
    platforms.check(manifest)
    return manifest


def _once(product: str, files: Iterable[ProductFile]) -> FileRows:
    """Sorted files, each path once. Raises BadInput for two that differ."""
    packing, before = Packing(), None
    for file in files:
        if before is None or before.path != file.path:
            packing.add(file)
            before = file
        elif before._replace(component="") != file._replace(component=""):
            raise BadInput(
                f"product {product}: the components {before.component} and {file.component} bring different files"
                f" as {file.path}",
                hint=f'give one of them another path: to = "FOLDER" under [components.{file.component}]',
            )
    return packing.done()


def _still_empty(product: str, files: FileRows, folders: Mapping[str, ProductFolder]) -> tuple[ProductFolder, ...]:
    """Those that no other component fills. Raises BadInput where its mode would be lost."""
    held = FileRows.of(ProductFile(path, link=path) for path in sorted(folders, key=str.encode))
    kept = []
    for path, *_ in held:
        if not (files.has_below(path) or held.has_below(path)):
            kept.append(folders[path])
        elif folders[path].mode != 0o755:
            raise BadInput(
                f"product {product}: {path} is an empty folder of mode {folders[path].mode:04o} in the component"
                f" {folders[path].component}, and another one fills it",
                hint=f"take its rule out of folders under [components.{folders[path].component}], or write 0755",
            )
    return tuple(kept)


def _laid(
    store: TreeStore, product: str, component: str, tree: Digest, layout: Layout, lost: set[str] | None
) -> Iterator[ProductFile | ProductFolder]:
    """A component's files and the empty folders that it keeps, as they lie below `wrap`.

    Raises BadInput, UnsupportedInput.
    """
    laying = Laying(component, layout)
    links: dict[str, str] = {}
    laid: dict[str, str] = {}
    moves = bool(layout.rename)
    for raw, entry in store.contents(tree):
        if entry.kind == "dir":
            if kept := laying.folder(os.fsdecode(raw)):
                path = _path(product, component, raw)[0]
                if moves:
                    laid[path] = kept[0]
                yield ProductFolder(*kept, component)
            elif lost is not None:
                lost.add(show(raw))
            continue
        path, link = _path(product, component, raw, entry.target)
        new = laying.path(path)
        if moves:
            laid[path] = new
        if entry.kind == "link":
            if moves:
                links[path] = link
            yield ProductFile(new, link=link, component=component)
        else:
            yield ProductFile(new, laying.mode(new, entry.mode), entry.size, entry.content, component=component)
    laying.check_used()
    if moves:
        laying.check_links(links, laid)


def _path(product: str, component: str, raw: bytes, target: bytes = b"") -> tuple[str, str]:
    """A path and where a link leads, as text. Raises UnsupportedInput."""
    try:
        path, link = raw.decode("utf-8"), target.decode("utf-8")
        product_manifests.check_path(path)
    except (UnicodeDecodeError, FormatError) as exc:
        raise UnsupportedInput(
            f"product {product}, component {component}: a product's paths are UTF-8 without control characters,"
            f" this one is not: {raw!r}",
            hint="rename the file or folder, or exclude it from the component",
        ) from exc
    return path, link
