"""ProductManifest: the digests that make one build of a product (docs/formats/product-manifest.md).

Everything downstream stands on it: a bundler's reader opens only what it lists, an archive is a
function of it and of the listed blobs, and an install checks every file against it. No version
stands in it: what did not change keeps its digest.

    parse(manifest.to_bytes()) == manifest          # made of trees by `manifest_building.build`
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import chain
from typing import Any, cast

from attest import canonical, digests
from attest.core import limits
from attest.core.fields import Fields
from attest.core.values import dataclass
from attest.digests import Digest
from attest.errors import BadInput, FormatError
from bundlers.products import manifest_text
from bundlers.products.forbidden import Forbidden
from bundlers.products.layouts import FOLDER_MODES
from bundlers.products.product_files import FileRows, ProductFile, ProductFolder, in_order
from bundlers.products.product_paths import check_path, check_rows
from casstore.ledger.release_objects import DEFAULT, build_key
from casstore.objects.platforms import Platform

__all__ = [
    "FORMAT",
    "MAX_TIME",
    "ComponentTree",
    "FileRows",
    "ProductFile",
    "ProductFolder",
    "ProductManifest",
    "check",
    "check_path",
    "parse",
    "read",
    "unions",
]

FORMAT = "casstore-product-manifest/3"
MAX_TIME = 8**11 - 1
"""What a tar header can say."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")
_OPTIONAL = ("folders", "platform", "wrap", "bin", "config", "foreign", "never")


@dataclass(frozen=True, slots=True)
class ComponentTree:
    """A component's tree, why it may be in more than one product, and the time that its files bear."""

    tree: Digest
    shared: str = ""
    time: int = 0
    """Seconds since 1970."""


@dataclass(frozen=True)
class ProductManifest:
    """One build of a product, file by file, sorted by the paths' UTF-8 bytes."""

    product: str
    archive_format: str
    components: Mapping[str, ComponentTree]
    files: Sequence[ProductFile]
    """Packed, in whatever form they are given."""
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

    def __post_init__(self) -> None:
        object.__setattr__(self, "files", FileRows.of(self.files))

    @property
    def packed(self) -> FileRows:
        """The files, to be asked by path."""
        return cast("FileRows", self.files)

    @property
    def key(self) -> str:
        """`product`, or `product/build`."""
        return build_key(self.product, self.build)

    def pieces(self) -> Iterator[bytes]:
        """The canonical bytes, piece by piece. Raises BadInput above a limit."""
        count = 0
        for piece in manifest_text.written(self._around(), self.files):
            count += len(piece)
            if count > limits.PRODUCT_MANIFEST:
                limits.check(range(count), limits.PRODUCT_MANIFEST, f"product {self.product}: ProductManifest")
            yield piece

    def to_bytes(self) -> bytes:
        """The canonical bytes; of a product of very many files `pieces` takes less memory."""
        return b"".join(self.pieces())

    @cached_property
    def digest(self) -> Digest:
        """The digest of the canonical bytes."""
        hashing = hashlib.sha256()
        for piece in self.pieces():
            hashing.update(piece)
        return digests.from_raw(hashing.digest())

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return self.packed.size

    @property
    def rows(self) -> Iterator[ProductFile | ProductFolder]:
        """Files and links, then the empty folders."""
        return chain(self.files, self.folders)

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
        folders = tuple(folder._replace(path=f"{self.wrap}/{folder.path}") for folder in self.folders)
        return replace(self, files=self.packed.below(self.wrap), folders=folders)

    def to_json(self) -> dict[str, Any]:
        """The JSON value."""
        return {**self._around(), "files": [file.to_json() for file in self.files]}

    def says_what(self, value: Mapping[str, Any]) -> bool:
        """Whether a JSON value says of all but the files what this would write."""
        return canonical.dumps({**self._around(), "files": []}) == canonical.dumps({**value, "files": []})

    def _around(self) -> dict[str, Any]:
        """The JSON value but for its files."""
        return {
            "format": FORMAT,
            "product": self.product,
            "build": self.build,
            "archiveFormat": self.archive_format,
            "components": {
                name: {"tree": c.tree, "time": c.time, **({"shared": c.shared} if c.shared else {})}
                for name, c in self.components.items()
            },
            **({"folders": [folder.to_json() for folder in self.folders]} if self.folders else {}),
            **({"platform": self.platform.to_json()} if self.platform else {}),
            **({"wrap": self.wrap} if self.wrap else {}),
            **({"bin": list(self.bin)} if self.bin else {}),
            **({"config": list(self.config)} if self.config else {}),
            **({"foreign": self.foreign} if self.foreign else {}),
            **({"never": list(self.never)} if self.never else {}),
        }


def unions(manifests: Mapping[str, ProductManifest]) -> dict[str, ProductManifest]:
    """Product -> all that any of its builds holds, as one; the paths of several builds begin with the build's name.

    For whoever compares products and not builds; the digest of such a union is nobody's.
    """
    by_product: dict[str, list[ProductManifest]] = {}
    for manifest in manifests.values():
        by_product.setdefault(manifest.product, []).append(manifest)
    return {p: held[0] if held[0].build == DEFAULT else _union(held) for p, held in sorted(by_product.items())}


def _union(held: Sequence[ProductManifest]) -> ProductManifest:
    folders = [folder._replace(path=f"{one.build}/{folder.path}") for one in held for folder in one.folders]
    components = {name: component for one in held for name, component in one.components.items()}
    files = FileRows.of(in_order([one.packed.below(one.build) for one in held]))
    made = ProductManifest(held[0].product, "union", dict(sorted(components.items())), files)
    return replace(made, folders=tuple(sorted(folders, key=lambda folder: folder.path.encode())))


def parse(data: bytes) -> ProductManifest:
    """Canonical bytes to value. Raises FormatError."""
    return read([data])


def read(pieces: Iterable[bytes]) -> ProductManifest:
    """As `parse`, of bytes that come piece by piece and are not kept: those of `store.chunks`, say."""
    hashing = hashlib.sha256()
    value, files = manifest_text.read(_hashed(pieces, hashing))
    names = ("format", "product", "build", "archiveFormat", "components", "files")
    f = Fields(value, "ProductManifest", required=names, optional=_OPTIONAL)
    if f.text("format") != FORMAT:
        raise FormatError(f"ProductManifest: the format is {f.text('format')[:60]!r}, not {FORMAT}")
    if not isinstance(value.get("folders", []), list):
        raise FormatError("ProductManifest: folders is no list")
    manifest = ProductManifest(
        f.text("product"),
        f.text("archiveFormat"),
        {name: _component(name, item) for name, item in f.mapping("components").items()},
        files,
        f.text("build"),
        Platform.parse(value["platform"]) if "platform" in value else None,
        f.text("wrap", ""),
        f.texts("bin", ()),
        f.texts("config", ()),
        f.text("foreign", ""),
        f.texts("never", ()),
        tuple(map(_folder_row, value.get("folders", []))),
    )
    if not manifest.says_what(value):
        raise FormatError("ProductManifest: an empty field that would be left out")
    check(manifest)
    _check_never(manifest)
    vars(manifest)["digest"] = digests.from_raw(hashing.digest())  # what was read is what would be written
    return manifest


def _hashed(pieces: Iterable[bytes], hashing: hashlib._Hash) -> Iterator[bytes]:
    for piece in pieces:
        hashing.update(piece)
        yield piece


def _check_never(manifest: ProductManifest) -> None:
    """Whoever reads it holds it to its own word."""
    if manifest.never != tuple(sorted(set(manifest.never))):
        raise FormatError("ProductManifest: never is not sorted, or names a rule twice")
    try:
        forbidden = Forbidden(manifest.never)
    except BadInput as exc:
        raise FormatError(f"ProductManifest: never: {exc.message}") from exc
    for file in manifest.rows if manifest.never else ():
        if rule := forbidden.rule(file.path):
            raise FormatError(f"ProductManifest: {manifest.key} holds {file.path}, which it may never ({rule})")


def _component(name: str, value: object) -> ComponentTree:
    f = Fields(value, f"ProductManifest: component {name}", required=("tree", "time"), optional=("shared",))
    return ComponentTree(f.digest("tree"), f.text("shared", ""), f.integer("time"))


def _folder_row(value: object) -> ProductFolder:
    f = Fields(value, "ProductManifest: folder", required=("path", "mode", "component"))
    mode = FOLDER_MODES.get(f.text("mode"))
    if mode is None:
        raise FormatError(f"ProductManifest: {f.text('path')[:80]!r} has a mode that no folder of a product keeps")
    return ProductFolder(f.text("path"), mode, f.text("component"))


def check(manifest: ProductManifest) -> None:
    """What holds for one that is read, and for one that is made of trees. Raises FormatError."""
    for what, name in (("product", manifest.product), ("build", manifest.build)):
        if not _NAME.fullmatch(name):
            raise FormatError(f"ProductManifest: not the name of a {what}: {name[:80]!r}")
    if manifest.epoch > MAX_TIME:
        raise FormatError(f"ProductManifest: the time {manifest.epoch} is later than an archive can say")
    if manifest.wrap:
        check_path(manifest.wrap)
    files = manifest.packed
    if not {*files.components, *(folder.component for folder in manifest.folders)} <= manifest.components.keys():
        raise FormatError("ProductManifest: a file or folder is of a component that the product has not")
    check_rows(files, manifest.folders)
    if lost := [path for path in manifest.bin if files.find(path) is None]:
        raise FormatError(f"ProductManifest: bin names {lost[0]}, which it has not")
    if lost := [path for path in manifest.config if not _is_plain(files, path) or path in manifest.bin]:
        raise FormatError(f"ProductManifest: config names {lost[0]}, which is no plain file of it, or a program")
    single = len(files) == 1 and files[0].digest is not None and not manifest.folders
    if manifest.archive_format == "file" and not single:
        raise FormatError("ProductManifest: what is shipped as a finished file is one file, no link, and no folder")


def _is_plain(files: FileRows, path: str) -> bool:
    file = files.get(path)
    return file is not None and file.digest is not None
