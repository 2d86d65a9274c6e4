"""ProductManifest: the digests that make one build of a product (docs/formats/product-manifest.md).

Everything downstream stands on it: a bundler's reader opens only what it lists, an archive is a
function of it and of the listed blobs, and an install checks every file against it. No version
stands in it: what did not change keeps its digest.

    parse(manifest.to_bytes()) == manifest          # made of trees by `manifest_building.build`
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

from attest import canonical, digests
from attest.core import limits
from attest.core.fields import Fields
from attest.core.values import dataclass
from attest.digests import Digest
from attest.errors import BadInput, FormatError
from bundlers.products.forbidden import Forbidden
from bundlers.products.layouts import FOLDER_MODES, MODES
from casstore.errors import UnsupportedInput
from casstore.ledger.release_objects import DEFAULT, build_key
from casstore.objects.platforms import Platform
from casstore.objects.tree import check_link

FORMAT = "casstore-product-manifest/3"
MAX_TIME = 8**11 - 1
"""What a tar header can say."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")
_DOTS = frozenset(("", ".", ".."))
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]")
_OPTIONAL = ("folders", "platform", "wrap", "bin", "config", "foreign", "never")


@dataclass(frozen=True, slots=True)
class ComponentTree:
    """A component's tree, why it may be in more than one product, and the time that its files bear."""

    tree: Digest
    shared: str = ""
    time: int = 0
    """Seconds since 1970."""


@dataclass(frozen=True, slots=True)
class ProductFile:
    """A file (mode, size, digest) or a symbolic link (link) of a build; its path is below `wrap`."""

    path: str
    mode: int = 0o644
    size: int = 0
    digest: Digest | None = None
    link: str = ""
    component: str = ""
    """Who brings it."""

    @property
    def content(self) -> Digest:
        """The digest of a file."""
        if self.digest is None:
            raise FormatError(f"{self.path} is a link and has no digest")
        return self.digest

    def to_json(self) -> dict[str, Any]:
        """A row of `files`."""
        by = {"path": self.path, "component": self.component}
        if self.digest is None:
            return {**by, "link": self.link}
        return {**by, "mode": f"{self.mode:04o}", "size": self.size, "digest": self.digest}


@dataclass(frozen=True, slots=True)
class ProductFolder:
    """An empty folder of a build; its path is below `wrap`."""

    path: str
    mode: int = 0o755
    component: str = ""
    """Who brings it."""

    def to_json(self) -> dict[str, Any]:
        """A row of `folders`."""
        return {"path": self.path, "mode": f"{self.mode:04o}", "component": self.component}


@dataclass(frozen=True)
class ProductManifest:
    """One build of a product, file by file, sorted by the paths' UTF-8 bytes."""

    product: str
    archive_format: str
    components: Mapping[str, ComponentTree]
    files: tuple[ProductFile, ...]
    build: str = DEFAULT
    platform: Platform | None = None
    wrap: str = ""
    """The folder of the archive that all files lie in."""
    bin: tuple[str, ...] = ()
    """Programs that an install may link."""
    config: tuple[str, ...] = ()
    """Files that a consumer may change: an update keeps theirs."""
    foreign: str = ""
    """Why it may hold programs of another platform."""
    never: tuple[str, ...] = ()
    """Globs of paths that may not be in it, nor in what is packed in it (`forbidden`)."""
    folders: tuple[ProductFolder, ...] = ()
    """Empty folders that it keeps, sorted as `files`."""

    @property
    def key(self) -> str:
        """`product`, or `product/build`."""
        return build_key(self.product, self.build)

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
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)

    @property
    def rows(self) -> tuple[ProductFile | ProductFolder, ...]:
        """Files and links, then the empty folders."""
        return (*self.files, *self.folders)

    @property
    def epoch(self) -> int:
        """The newest of its components' times."""
        return max((component.time for component in self.components.values()), default=0)

    def time(self, file: ProductFile | ProductFolder) -> int:
        """The time that a file or folder bears: that of the component that brings it."""
        return self.components[file.component].time

    def wrapped(self) -> ProductManifest:
        """As the archive holds it: every path with `wrap` before it."""
        if not self.wrap:
            return self
        files = tuple(replace(file, path=f"{self.wrap}/{file.path}") for file in self.files)
        folders = tuple(replace(folder, path=f"{self.wrap}/{folder.path}") for folder in self.folders)
        return replace(self, files=files, folders=folders)

    def to_json(self) -> dict[str, Any]:
        """The JSON value."""
        return {
            "format": FORMAT,
            "product": self.product,
            "build": self.build,
            "archiveFormat": self.archive_format,
            "components": {
                name: {"tree": c.tree, "time": c.time, **({"shared": c.shared} if c.shared else {})}
                for name, c in self.components.items()
            },
            "files": [file.to_json() for file in self.files],
            **({"folders": [folder.to_json() for folder in self.folders]} if self.folders else {}),
            **({"platform": self.platform.to_json()} if self.platform else {}),
            **({"wrap": self.wrap} if self.wrap else {}),
            **({"bin": list(self.bin)} if self.bin else {}),
            **({"config": list(self.config)} if self.config else {}),
            **({"foreign": self.foreign} if self.foreign else {}),
            **({"never": list(self.never)} if self.never else {}),
        }


def all_folders(paths: Iterable[str]) -> set[str]:
    """The folders that any of them lies in."""
    found: set[str] = set()
    for path in paths:
        while (path := path.rpartition("/")[0]) and path not in found:
            found.add(path)
    return found


def unions(manifests: Mapping[str, ProductManifest]) -> dict[str, ProductManifest]:
    """Product -> all that any of its builds holds, as one; the paths of several builds begin with the build's name.

    For whoever compares products and not builds; the digest of such a union is nobody's.
    """
    by_product: dict[str, list[ProductManifest]] = {}
    for manifest in manifests.values():
        by_product.setdefault(manifest.product, []).append(manifest)
    return {p: held[0] if held[0].build == DEFAULT else _union(held) for p, held in sorted(by_product.items())}


def _union(held: Sequence[ProductManifest]) -> ProductManifest:
    files = [replace(file, path=f"{one.build}/{file.path}") for one in held for file in one.files]
    folders = [replace(folder, path=f"{one.build}/{folder.path}") for one in held for folder in one.folders]
    components = {name: component for one in held for name, component in one.components.items()}
    ordered = tuple(sorted(files, key=lambda file: file.path.encode()))
    made = ProductManifest(held[0].product, "union", dict(sorted(components.items())), ordered)
    return replace(made, folders=tuple(sorted(folders, key=lambda folder: folder.path.encode())))


def parse(data: bytes) -> ProductManifest:
    """Canonical bytes to value. Raises FormatError."""
    value = canonical.loads_canonical(
        data, what="ProductManifest", max_bytes=limits.PRODUCT_MANIFEST, max_values=limits.VALUES_OF_LISTS
    )
    names = ("format", "product", "build", "archiveFormat", "components", "files")
    f = Fields(value, "ProductManifest", required=names, optional=_OPTIONAL)
    if f.text("format") != FORMAT:
        raise FormatError(f"ProductManifest: the format is {f.text('format')[:60]!r}, not {FORMAT}")
    if not isinstance(value["files"], list) or not isinstance(value.get("folders", []), list):
        raise FormatError("ProductManifest: files or folders is no list")
    manifest = ProductManifest(
        f.text("product"),
        f.text("archiveFormat"),
        {name: _component(name, item) for name, item in f.mapping("components").items()},
        tuple(map(_row, value["files"])),
        f.text("build"),
        Platform.parse(value["platform"]) if "platform" in value else None,
        f.text("wrap", ""),
        f.texts("bin", ()),
        f.texts("config", ()),
        f.text("foreign", ""),
        f.texts("never", ()),
        tuple(map(_folder_row, value.get("folders", []))),
    )
    if manifest.to_bytes() != data:
        raise FormatError("ProductManifest: an empty field that would be left out")
    check(manifest)
    _check_never(manifest)
    return manifest


def _check_never(manifest: ProductManifest) -> None:
    """Whoever reads it holds it to its own word."""
    if manifest.never != tuple(sorted(set(manifest.never))):
        raise FormatError("ProductManifest: never is not sorted, or names a rule twice")
    try:
        forbidden = Forbidden(manifest.never)
    except BadInput as exc:
        raise FormatError(f"ProductManifest: never: {exc.message}") from exc
    for file in manifest.rows:
        if rule := forbidden.rule(file.path):
            raise FormatError(f"ProductManifest: {manifest.key} holds {file.path}, which it may never ({rule})")


def _component(name: str, value: object) -> ComponentTree:
    f = Fields(value, f"ProductManifest: component {name}", required=("tree", "time"), optional=("shared",))
    return ComponentTree(f.digest("tree"), f.text("shared", ""), f.integer("time"))


def _row(value: object) -> ProductFile:
    if isinstance(value, Mapping) and "link" in value:
        f = Fields(value, "ProductManifest: file", required=("path", "link", "component"))
        return ProductFile(f.text("path"), link=f.text("link"), component=f.text("component"))
    f = Fields(value, "ProductManifest: file", required=("path", "mode", "size", "digest", "component"))
    mode = MODES.get(f.text("mode"))
    if mode is None:
        raise FormatError(f"ProductManifest: {f.text('path')[:80]!r} has a mode that no product keeps")
    return ProductFile(f.text("path"), mode, f.integer("size"), f.digest("digest"), component=f.text("component"))


def _folder_row(value: object) -> ProductFolder:
    f = Fields(value, "ProductManifest: folder", required=("path", "mode", "component"))
    mode = FOLDER_MODES.get(f.text("mode"))
    if mode is None:
        raise FormatError(f"ProductManifest: {f.text('path')[:80]!r} has a mode that no folder of a product keeps")
    return ProductFolder(f.text("path"), mode, f.text("component"))


def check(manifest: ProductManifest) -> None:
    for what, name in (("product", manifest.product), ("build", manifest.build)):
        if not _NAME.fullmatch(name):
            raise FormatError(f"ProductManifest: not the name of a {what}: {name[:80]!r}")
    if manifest.epoch > MAX_TIME:
        raise FormatError(f"ProductManifest: the time {manifest.epoch} is later than an archive can say")
    if manifest.wrap:
        check_path(manifest.wrap)
    rows = manifest.rows
    for what, paths in (
        ("files", [file.path for file in manifest.files]),
        ("folders", [folder.path for folder in manifest.folders]),
    ):
        encoded = [path.encode() for path in paths]
        if encoded != sorted(set(encoded)):
            raise FormatError(f"ProductManifest: {what} are not sorted, or a path stands twice")
    if any(one.component not in manifest.components for one in rows):
        raise FormatError("ProductManifest: a file or folder is of a component that the product has not")
    known = {file.path for file in manifest.files}
    for one in rows:
        check_path(one.path)
    for above in sorted(known & all_folders(one.path for one in rows)):
        below = next(one.path for one in rows if one.path.startswith(f"{above}/"))
        raise FormatError(f"ProductManifest: {above} is a file and the folder of {below}")
    for file in manifest.files:
        if file.digest is None:
            _check_link(file)
    _check_folders(rows, {folder.path for folder in manifest.folders}, known)
    if lost := [path for path in manifest.bin if path not in known]:
        raise FormatError(f"ProductManifest: bin names {lost[0]}, which it has not")
    plain = {file.path for file in manifest.files if file.digest is not None}
    if lost := [path for path in manifest.config if path not in plain or path in manifest.bin]:
        raise FormatError(f"ProductManifest: config names {lost[0]}, which is no plain file of it, or a program")
    single = len(rows) == 1 and rows[0] in manifest.files and rows[0].path in plain
    if manifest.archive_format == "file" and not single:
        raise FormatError("ProductManifest: what is shipped as a finished file is one file, no link, and no folder")


def _check_folders(rows: Sequence[ProductFile | ProductFolder], folders: set[str], files: set[str]) -> None:
    """A folder is no file, and nothing lies in it."""
    if both := sorted(folders & files):
        raise FormatError(f"ProductManifest: {both[0]} is a file and an empty folder")
    for above in sorted(folders & all_folders(row.path for row in rows)) if folders else ():
        below = next(row.path for row in rows if row.path.startswith(f"{above}/"))
        raise FormatError(f"ProductManifest: {above} is an empty folder, and {below} lies in it")


def check_path(path: str) -> None:
    """A relative path that stays inside, one writing. Raises FormatError."""
    if not _DOTS.isdisjoint(path.split("/")) or _CONTROLS.search(path):
        raise FormatError(f"not a path inside a product: {path[:200]!r}")


def _check_link(file: ProductFile) -> None:
    try:
        check_link(file.path.encode(), file.link.encode())
    except UnsupportedInput as exc:
        raise FormatError(f"ProductManifest: {exc.message}") from exc
