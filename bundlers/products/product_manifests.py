"""ProductManifest: the digests that make one product (docs/formats/product-manifest.md).

Everything downstream stands on it: a bundler's reader opens only what it lists, an archive is a
function of it and of the listed blobs, and an install checks every file against it.

    manifest = build(store, "core", "tar.gz", {"core-bin": ComponentTree(tree)}, "1.4.0", epoch)
    parse(manifest.to_bytes()) == manifest
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol

from attest import canonical, digests
from attest.core import limits
from attest.core.fields import Fields
from attest.digests import Digest
from attest.errors import BadInput, FormatError
from bundlers.products import platforms
from casstore.errors import UnsupportedInput
from casstore.ledger.release_objects import check_version
from casstore.objects.tree import TreeEntry, check_link

FORMAT = "casstore-product-manifest/1"
WITH_COMPONENTS = "casstore-product-manifest/2"
"""Each file names its component; for formats that keep components apart."""

_KEEP_COMPONENTS = ("oci",)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")
_MODES = {"0644": 0o644, "0755": 0o755}
_MAX_EPOCH = 8**11 - 1
"""What a tar header can say."""


class TreeStore(Protocol):
    """What building a ProductManifest needs of the store."""

    def walk(self, digest: Digest) -> Iterator[tuple[bytes, TreeEntry]]:
        """(path, entry) of every file and link below a tree."""


@dataclass(frozen=True, slots=True)
class ComponentTree:
    """A component's tree, and why it may be in more than one product."""

    tree: Digest
    shared: str = ""


@dataclass(frozen=True, slots=True)
class ProductFile:
    """A file (mode, size, digest) or a symbolic link (link) of a product."""

    path: str
    mode: int = 0o644
    size: int = 0
    digest: Digest | None = None
    link: str = ""
    component: str = ""
    """Who brings it, where the archive keeps components apart; otherwise empty."""

    @property
    def content(self) -> Digest:
        """The digest of a file."""
        if self.digest is None:
            raise FormatError(f"{self.path} is a link and has no digest")
        return self.digest

    def to_json(self) -> dict[str, Any]:
        """A row of `files`."""
        by = {"component": self.component} if self.component else {}
        if self.digest is None:
            return {"path": self.path, "link": self.link, **by}
        return {"path": self.path, "mode": f"{self.mode:04o}", "size": self.size, "digest": self.digest, **by}


@dataclass(frozen=True)
class ProductManifest:
    """One product of one version, file by file, sorted by the paths' UTF-8 bytes."""

    product: str
    version: str
    archive_format: str
    epoch: int
    """Seconds since 1970, the time of every member of the archive."""
    components: Mapping[str, ComponentTree]
    files: tuple[ProductFile, ...]
    platform: str = ""

    @cached_property
    def raw(self) -> bytes:
        """The canonical bytes."""
        raw = canonical.dumps(self.to_json())
        limits.check(raw, limits.PRODUCT_MANIFEST, f"product {self.product}: ProductManifest")
        return raw

    def to_bytes(self) -> bytes:
        """The canonical bytes."""
        return self.raw

    @cached_property
    def digest(self) -> Digest:
        """The digest of the canonical bytes."""
        return digests.sha256(self.raw)

    @property
    def has_components(self) -> bool:
        """Whether its files name their components."""
        return any(file.component for file in self.files)

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)

    def to_json(self) -> dict[str, Any]:
        """The JSON value."""
        value: dict[str, Any] = {
            "format": WITH_COMPONENTS if self.has_components else FORMAT,
            "product": self.product,
            "version": self.version,
            "archiveFormat": self.archive_format,
            "epoch": self.epoch,
            "components": {
                name: {"tree": c.tree, **({"shared": c.shared} if c.shared else {})}
                for name, c in self.components.items()
            },
            "files": [file.to_json() for file in self.files],
        }
        return {**value, "platform": self.platform} if self.platform else value


def build(
    store: TreeStore,
    product: str,
    archive_format: str,
    components: Mapping[str, ComponentTree],
    version: str,
    epoch: int,
    *,
    platform: str = "",
) -> ProductManifest:
    """The ProductManifest of some trees.

    Raises UnsupportedInput for a name that the product or its platform cannot hold, BadInput when
    two components bring different files under one path.
    """
    files: dict[str, ProductFile] = {}
    brought: dict[str, str] = {}
    for name, component in sorted(components.items()):
        for raw, entry in store.walk(component.tree):
            file = _file(product, name, raw, entry)
            if files.setdefault(file.path, file) != file:
                raise BadInput(
                    f"product {product}: the components {brought[file.path]} and {name} bring different files"
                    f" as {file.path}",
                    hint="give one of them another path",
                )
            brought.setdefault(file.path, name)
    if not files:
        raise BadInput(f"product {product}: its components hold no file", hint="look at their include globs")
    ordered = tuple(files[path] for path in sorted(files, key=str.encode))
    if archive_format in _KEEP_COMPONENTS:
        ordered = tuple(replace(file, component=brought[file.path]) for file in ordered)
    manifest = ProductManifest(
        product, version, archive_format, epoch, dict(sorted(components.items())), ordered, platform
    )
    _check_files(manifest)
    platforms.check(manifest)
    return manifest


def parse(data: bytes) -> ProductManifest:
    """Canonical bytes to value. Raises FormatError."""
    value = canonical.loads_canonical(data, what="ProductManifest", max_bytes=limits.PRODUCT_MANIFEST)
    names = ("format", "product", "version", "archiveFormat", "epoch", "components", "files")
    f = Fields(value, "ProductManifest", required=names, optional=("platform",))
    if f.text("format") not in (FORMAT, WITH_COMPONENTS):
        raise FormatError(f"ProductManifest: the format is {f.text('format')[:60]!r}, not {FORMAT}")
    by = ("component",) if f.text("format") == WITH_COMPONENTS else ()
    if not isinstance(value["files"], list):
        raise FormatError("ProductManifest: files is no list")
    manifest = ProductManifest(
        f.text("product"),
        f.text("version"),
        f.text("archiveFormat"),
        f.integer("epoch"),
        {name: _component(name, item) for name, item in f.mapping("components").items()},
        tuple(_row(item, by) for item in value["files"]),
        f.text("platform", ""),
    )
    if manifest.has_components != bool(by) or (by and manifest.archive_format not in _KEEP_COMPONENTS):
        raise FormatError(f"ProductManifest: it is not one of {f.text('format')}")
    _check_files(manifest)
    return manifest


def _component(name: str, value: object) -> ComponentTree:
    f = Fields(value, f"ProductManifest: component {name}", required=("tree",), optional=("shared",))
    return ComponentTree(f.digest("tree"), f.text("shared", ""))


def _row(value: object, by: tuple[str, ...]) -> ProductFile:
    if isinstance(value, Mapping) and "link" in value:
        f = Fields(value, "ProductManifest: link", required=("path", "link", *by))
        return ProductFile(f.text("path"), link=f.text("link"), component=f.text("component") if by else "")
    f = Fields(value, "ProductManifest: file", required=("path", "mode", "size", "digest", *by))
    if f.text("mode") not in _MODES:
        raise FormatError(f"ProductManifest: {f.text('path')}: the mode is neither 0644 nor 0755")
    mode, component = _MODES[f.text("mode")], f.text("component") if by else ""
    return ProductFile(f.text("path"), mode, f.integer("size"), f.digest("digest"), component=component)


def _check_files(manifest: ProductManifest) -> None:
    if not _NAME.fullmatch(manifest.product):
        raise FormatError(f"ProductManifest: not a product name: {manifest.product[:80]!r}")
    try:
        check_version(manifest.version)  # it becomes a part of file names
    except BadInput as exc:
        raise FormatError(f"ProductManifest: {exc.message}") from exc
    if manifest.epoch > _MAX_EPOCH:
        raise FormatError(f"ProductManifest: the epoch {manifest.epoch} is later than an archive can say")
    paths = [file.path.encode() for file in manifest.files]
    if paths != sorted(set(paths)):
        raise FormatError("ProductManifest: files are not sorted, or a path stands twice")
    if manifest.has_components and any(file.component not in manifest.components for file in manifest.files):
        raise FormatError("ProductManifest: a file is of a component that the product has not")
    known = {file.path for file in manifest.files}
    for file in manifest.files:
        check_path(file.path)
        above = posixpath.dirname(file.path)
        while above:
            if above in known:
                raise FormatError(f"ProductManifest: {above} is a file and the folder of {file.path}")
            above = posixpath.dirname(above)
        if file.digest is None:
            _check_link(file)


def check_path(path: str) -> None:
    """A relative path that stays inside, one writing. Raises FormatError."""
    parts = path.split("/")
    if any(part in ("", ".", "..") for part in parts) or any(ord(c) < 0x20 or c == "\x7f" for c in path):
        raise FormatError(f"not a path inside a product: {path[:200]!r}")


def _check_link(file: ProductFile) -> None:
    try:
        check_link(file.path.encode(), file.link.encode())
    except UnsupportedInput as exc:
        raise FormatError(f"ProductManifest: {exc.message}") from exc


def _file(product: str, component: str, raw: bytes, entry: TreeEntry) -> ProductFile:
    where = f"product {product}, component {component}"
    try:
        path, link = raw.decode("utf-8"), entry.target.decode("utf-8")
        check_path(path)
    except (UnicodeDecodeError, FormatError) as exc:
        raise UnsupportedInput(
            f"{where}: a product's paths are UTF-8 without control characters, this one is not: {raw!r}",
            hint="rename the file, or exclude it from the component",
        ) from exc
    if entry.kind == "link":
        return ProductFile(path, link=link)
    return ProductFile(path, entry.mode, entry.size, entry.content)
