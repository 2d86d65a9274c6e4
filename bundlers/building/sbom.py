"""A CycloneDX bill of materials of what is in a tree, made by cyclonedx-python-lib.

Promises: a function of the tree alone (no clock, no random serial number: the same tree gives the
same bytes); one component per file with its sha256, and one per installed Python package
(`*.dist-info/METADATA`) or npm package (`package.json`) that lies in it. Leaves to others:
what a linked binary is made of; signing (`casstore attest sign`).

    document = of_tree(store, tree, name="core-bin", version="1.4.0")
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.parser import HeaderParser
from typing import TYPE_CHECKING, Any

from attest import canonical
from attest.digests import Digest, hex_of
from attest.errors import NotInstalled
from attest.statements.predicates import cyclonedx
from casstore.objects.tree import TreeEntry, show

if TYPE_CHECKING:
    from casstore.store.store import Store

MAX_METADATA = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Package:
    """A package whose metadata lies in the tree."""

    name: str
    version: str
    purl_type: str
    """`pypi` or `npm`."""
    licence: str = ""


@dataclass(frozen=True, slots=True)
class Sbom:
    """A document, and the metadata of packages that nobody could read, which it therefore leaves out."""

    document: dict[str, Any]
    unread: tuple[str, ...]


def of_tree(store: Store, tree: Digest, *, name: str, version: str) -> Sbom:
    """The document. Raises NotInstalled without cyclonedx-python-lib, NoSuchObject, ObjectDamaged."""
    try:
        from cyclonedx.model.bom import Bom
        from cyclonedx.model.component import Component, ComponentType
        from cyclonedx.output import make_outputter
        from cyclonedx.schema import OutputFormat, SchemaVersion
    except ImportError as exc:
        raise NotInstalled(
            "a bill of materials is made by cyclonedx-python-lib, which is not installed",
            hint='pip install "casstore[sbom]"',
        ) from exc
    bom = Bom()
    bom.metadata.component = Component(
        name=name, version=version, type=ComponentType.APPLICATION, bom_ref=f"tree:{hex_of(tree)}"
    )
    files = [(path, entry) for path, entry in store.walk(tree) if entry.kind == "file"]
    for path, entry in files:
        bom.components.add(_file(path, entry))
    unread: list[str] = []
    for package in sorted(
        set(_packages(store, files, unread)), key=lambda item: (item.purl_type, item.name, item.version)
    ):
        bom.components.add(_package(package))
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


def _package(package: Package) -> Any:
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.model.license import DisjunctiveLicense
    from packageurl import PackageURL

    namespace, _, name = package.name.rpartition("/")
    purl = PackageURL(type=package.purl_type, namespace=namespace or None, name=name, version=package.version)
    return Component(
        name=package.name,
        version=package.version,
        type=ComponentType.LIBRARY,
        purl=purl,
        bom_ref=str(purl),
        licenses=[DisjunctiveLicense(name=package.licence)] if package.licence else [],
    )


def _packages(store: Store, files: list[tuple[bytes, TreeEntry]], unread: list[str]) -> Iterator[Package]:
    """What says of itself which package it is; metadata that cannot be read as that is named in `unread`."""
    for path, entry in files:
        read = _reader(path)
        if read is None:
            continue
        found = read(store.read(entry.content)) if entry.size <= MAX_METADATA else None
        if found is not None:
            yield found
        elif not path.endswith(b"/package.json") or _is_package(path):
            unread.append(show(path))


def _reader(path: bytes) -> Callable[[bytes], Package | None] | None:
    folder, _, last = path.rpartition(b"/")
    if last == b"METADATA" and folder.endswith(b".dist-info"):
        return _python
    return _npm if last == b"package.json" and b"node_modules/" in path else None


def _is_package(path: bytes) -> bool:
    """Whether it lies at the top of a package: others say how a folder is read (`{"type": "module"}`)."""
    inside = path.rpartition(b"node_modules/")[2].split(b"/")
    return len(inside) == (3 if inside[0].startswith(b"@") else 2)


def _python(data: bytes) -> Package | None:
    headers = HeaderParser().parsestr(data.decode("utf-8", "replace"))
    name, version = headers.get("Name", "").strip(), headers.get("Version", "").strip()
    licence = (headers.get("License-Expression") or headers.get("License") or "").strip().splitlines()
    return Package(name, version, "pypi", licence[0][:200] if licence else "") if name and version else None


def _npm(data: bytes) -> Package | None:
    try:
        value = json.loads(data.decode("utf-8-sig"))  # whatever npm itself takes: a BOM, keys twice, large numbers
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict):
        return None
    name, version, licence = (value.get(key) for key in ("name", "version", "license"))
    if not isinstance(name, str) or not isinstance(version, str) or not name or not version:
        return None
    return Package(name, version, "npm", licence if isinstance(licence, str) else "")


def to_bytes(document: dict[str, Any]) -> bytes:
    """Readable JSON with sorted keys, for a file."""
    return (json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()
