"""A CycloneDX bill of materials of what is in a tree, made by cyclonedx-python-lib.

Promises: a function of the tree alone (no clock, no random serial number: the same tree gives the
same bytes); one component per file with its sha256, one per installed Python package
(`*.dist-info/METADATA`) or npm package (`package.json`) that lies in it, per Rust crate or Go module that a
program says was linked into it (`linked`), and per package of a `Cargo.lock` in it or handed in. Leaves to
others: what programs in C are made of; signing (`casstore attest sign`).

    document = of_tree(store, tree, name="core-bin", version="1.4.0")
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from attest import canonical
from attest.core.values import dataclass
from attest.digests import Digest, hex_of
from attest.errors import FormatError, NotInstalled
from attest.statements.predicates import cyclonedx
from bundlers.inspection import door
from casstore.errors import OverBudget
from casstore.hostile import Budget
from casstore.objects.tree import TreeEntry, show

if TYPE_CHECKING:
    from casstore.store.store import Store

MAX_METADATA = 1024 * 1024
MAX_PROGRAM = 256 << 20
_NONE: Mapping[str, bytes] = MappingProxyType({})
_HEADS = (b"\x7fELF", b"MZ", b"\xcf\xfa\xed\xfe", b"\xfe\xed\xfa\xcf")
_PROGRAM = re.compile(rb"\.(?:so(?:\.[0-9.]+)?|dll|exe|dylib|node|pyd)$")


@dataclass(frozen=True, slots=True)
class Package:
    """A package whose metadata lies in the tree."""

    name: str
    version: str
    purl_type: str
    """`pypi`, `npm`, `cargo` or `golang`."""
    licence: str = ""
    within: str = ""
    """The program that it was linked into, or the lock file that names it."""


@dataclass(frozen=True, slots=True)
class Sbom:
    """A document, and the metadata of packages that nobody could read, which it therefore leaves out."""

    document: dict[str, Any]
    unread: tuple[str, ...]


def of_tree(store: Store, tree: Digest, *, name: str, version: str, locks: Mapping[str, bytes] = _NONE) -> Sbom:
    """The document. Raises NotInstalled without cyclonedx-python-lib, NoSuchObject, ObjectDamaged."""
    try:
        from cyclonedx.model.bom import Bom
        from cyclonedx.model.component import Component, ComponentType
        from cyclonedx.output import make_outputter
        from cyclonedx.schema import OutputFormat, SchemaVersion
    except ImportError as exc:
        raise NotInstalled("a bill of materials is made by cyclonedx-python-lib, which is not installed") from exc
    bom = Bom()
    bom.metadata.component = Component(
        name=name, version=version, type=ComponentType.APPLICATION, bom_ref=f"tree:{hex_of(tree)}"
    )
    files = [(path, entry) for path, entry in store.walk(tree) if entry.kind == "file"]
    for path, entry in files:
        bom.components.add(_file(path, entry))
    unread: list[str] = []
    found = {*_packages(store, files, unread), *_linked(store, files, unread), *_locked(locks, unread)}
    by_package: dict[tuple[str, str, str], list[Package]] = {}
    for package in sorted(found, key=lambda item: (item.purl_type, item.name, item.version, item.within)):
        by_package.setdefault((package.purl_type, package.name, package.version), []).append(package)
    for rows in by_package.values():
        bom.components.add(_package(rows))
    bom.register_dependency(bom.metadata.component, list(bom.components))
    text = make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string()
    document = canonical.loads_object(text.encode(), what="CycloneDX document")
    document.pop("serialNumber", None)
    document["metadata"].pop("timestamp", None)
    cyclonedx.check(document)
    return Sbom(document, tuple(unread))


def _file(path: bytes, entry: TreeEntry) -> Any:
    from cyclonedx.model import HashAlgorithm, HashType
    from cyclonedx.model.component import Component, ComponentType

    digest = hex_of(entry.content)
    return Component(
        name=show(path),
        type=ComponentType.FILE,
        bom_ref=f"file:{show(path)}",
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest)],
    )


def _package(rows: Sequence[Package]) -> Any:
    from cyclonedx.model import Property
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.model.license import DisjunctiveLicense
    from packageurl import PackageURL

    package = rows[0]
    namespace, _, name = package.name.rpartition("/")
    purl = PackageURL(type=package.purl_type, namespace=namespace or None, name=name, version=package.version)
    return Component(
        name=package.name,
        version=package.version,
        type=ComponentType.LIBRARY,
        purl=purl,
        bom_ref=str(purl),
        licenses=[DisjunctiveLicense(name=package.licence)] if package.licence else [],
        properties=[Property(name="casstore:within", value=row.within) for row in rows if row.within],
    )


def _packages(store: Store, files: list[tuple[bytes, TreeEntry]], unread: list[str]) -> Iterator[Package]:
    """What says of itself which package it is; metadata that cannot be read as that is named in `unread`."""
    for path, entry in files:
        if path.rpartition(b"/")[2] == b"Cargo.lock":
            rows = _cargo(store.read(entry.content), show(path)) if entry.size <= MAX_METADATA else None
            if rows is None:
                unread.append(show(path))
            yield from rows or ()
        kind = _kind(path)
        if kind is None:
            continue
        found = _described(store.read(entry.content), kind) if entry.size <= MAX_METADATA else None
        if found is not None:
            yield found
        elif not path.endswith(b"/package.json") or _is_package(path):
            unread.append(show(path))


def _kind(path: bytes) -> str | None:
    """`pypi`, `npm`: what a file describes by its name."""
    folder, _, last = path.rpartition(b"/")
    if last == b"METADATA" and folder.endswith(b".dist-info"):
        return "pypi"
    return "npm" if last == b"package.json" and b"node_modules/" in path else None


def _described(data: bytes, kind: str) -> Package | None:
    try:
        found = door.package(io.BytesIO(data), len(data), kind, Budget())
    except OverBudget:
        return None
    return None if found is None else Package(found[0], found[1], kind, found[2])


def _linked(store: Store, files: list[tuple[bytes, TreeEntry]], unread: list[str]) -> Iterator[Package]:
    """What programs say that was linked into them; each is read in a cell."""
    for path, entry in files:
        if not (entry.mode & 0o100 or _PROGRAM.search(path)) or not 0 < entry.size <= MAX_PROGRAM:
            continue
        with store.open_blob(entry.content) as blob:
            if not blob.read(4).startswith(_HEADS):
                continue
            blob.seek(0)
            try:
                rows, why = door.packages(blob, entry.size, Budget())
            except OverBudget as exc:
                rows, why = [], exc.message
        if why:
            unread.append(f"{show(path)}: {why}")
        for kind, name, version in rows:
            yield Package(name, version, kind, within=show(path))


def _locked(locks: Mapping[str, bytes], unread: list[str]) -> Iterator[Package]:
    for name, data in locks.items():
        if (rows := _cargo(data, name)) is None:
            unread.append(name)
        yield from rows or ()


def _cargo(data: bytes, path: str) -> list[Package] | None:
    """Packages of a Cargo.lock but those of the workspace itself: also what only tests and builds use."""
    try:
        rows = list(door.lock(io.BytesIO(data), len(data), "cargo", Budget()))
        return [Package(row["name"], row["version"], "cargo", within=path) for row in rows if "source" in row]
    except (FormatError, OverBudget, KeyError):
        return None


def _is_package(path: bytes) -> bool:
    """Whether it lies at the top of a package: others say how a folder is read (`{"type": "module"}`)."""
    inside = path.rpartition(b"node_modules/")[2].split(b"/")
    return len(inside) == (3 if inside[0].startswith(b"@") else 2)


def to_bytes(document: dict[str, Any]) -> bytes:
    """Readable JSON with sorted keys, for a file."""
    return (json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()
