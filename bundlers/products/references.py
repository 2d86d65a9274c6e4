"""What a person calls a thing: REF to digests, and what is below it.

A REF is a digest; COMPONENT@VERSION; or RELEASE[/PRODUCT[/PATH]] or RELEASE/ARCHIVE, where RELEASE
is a version, a release digest or a channel, and PRODUCT is PRODUCT/BUILD for one of several builds.

    target = resolve(store, state, "prod/core/bin/tool")
    write_to(store, target, "./tool")
"""

from __future__ import annotations

import contextlib
import heapq
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from attest import digests
from attest.core.values import dataclass
from attest.errors import BadInput
from casstore.errors import Conflict, NoSuchObject
from casstore.machine.modes import set_mode
from casstore.machine.naming import take_name
from casstore.objects.kinds import Kind

if TYPE_CHECKING:  # what a REF by digest never needs is not loaded for it
    from attest.digests import Digest
    from bundlers.products.product_manifests import ProductFile, ProductFolder, ProductManifest
    from casstore.ledger.release_objects import Release
    from casstore.ledger.states.state import LedgerState
    from casstore.objects.tree import TreeEntry
    from casstore.store.store import Store


@dataclass(frozen=True, slots=True)
class Target:
    """What a REF names: one blob, or many files by path."""

    ref: str
    blob: Digest | None = None
    tree: Digest | None = None
    files: Mapping[str, ProductFile] = field(default_factory=dict)
    """Of a product, a release, or an archive, which is a blob as well."""
    folders: Mapping[str, ProductFolder] = field(default_factory=dict)
    """Empty folders of a product or an archive."""
    release: Digest | None = None
    """Of a whole release."""


class Row(NamedTuple):
    """One line of a listing."""

    path: str
    mode: str
    size: int
    digest: Digest | None

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {"path": self.path, "mode": self.mode, "size": self.size, "digest": self.digest}


class Written(NamedTuple):
    """What `get` wrote."""

    path: str
    digest: Digest | None
    files: int
    bytes: int

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {"path": self.path, "digest": self.digest, "files": self.files, "bytes": self.bytes}


def resolve(store: Store, state: Callable[[], LedgerState], ref: str) -> Target:
    """REF to what it names. Raises NoSuchObject, saying which part is unknown."""
    if digests.is_digest(ref):
        return _by_digest(store, digests.parse(ref))
    name, at, version = ref.partition("@")
    if at and "/" not in name:
        tree = state().components.get((version, name))
        if tree is None:
            raise NoSuchObject(f"no component {name} of version {version}", hint="casstore ls")
        return Target(ref, tree=tree)
    return _in_release(store, state(), ref)


def manifests_of(
    store: Store, state: LedgerState, ref: str, products: tuple[str, ...] = ()
) -> dict[str, ProductManifest]:
    """The ProductManifests of a release, all or those of some products, by build. Raises NoSuchObject."""
    from casstore.ledger.release_objects import split_key

    made = _release(store, state, ref)
    unknown = [name for name in products if name not in made.products]
    if unknown:
        raise NoSuchObject(f"{made.version} has no product {unknown[0]!r}", hint=f"it has: {', '.join(made.products)}")
    keys = [key for key in sorted(made.builds) if not products or split_key(key)[0] in products]
    return {key: _manifest(store, made, key) for key in keys}


def blob_of(target: Target) -> Digest:
    """The one blob. Raises BadInput for a folder."""
    if target.blob is None:
        raise BadInput(f"{target.ref} is no single file", hint="casstore ls shows what is in it")
    return target.blob


def listing(store: Store, target: Target) -> Iterator[Row]:
    """Every file, link and empty folder below a target."""
    if target.blob is not None:
        yield Row(target.ref, "-", store.size(target.blob), target.blob)
    elif target.tree is not None:
        yield from (_tree_row(path, entry) for path, entry in store.contents(target.tree))
    else:
        yield from map(_product_row, target.files.values())
        yield from (Row(f"{folder.path}/", f"{folder.mode:04o}", 0, None) for folder in target.folders.values())


def entries(store: Store, target: Target) -> dict[bytes, TreeEntry]:
    """The files, links and empty folders of a target that has some, by path."""
    if target.tree is not None:
        return dict(store.contents(target.tree))
    return dict(_sorted_entries(target))


def _sorted_entries(target: Target) -> Iterator[tuple[bytes, TreeEntry]]:
    """Of a target that is no tree, by the bytes of their paths."""
    from bundlers.products.product_files import FilesByPath

    held: Iterable[ProductFile] = target.files.values()
    if not isinstance(target.files, FilesByPath):
        held = sorted(held, key=lambda file: file.path.encode())
    files = ((file.path.encode(), _entry(file)) for file in held)
    folders = ((folder.path.encode(), _folder_entry(folder)) for folder in target.folders.values())
    return heapq.merge(files, folders, key=lambda row: row[0])


def tree_of(store: Store, target: Target) -> Digest:
    """The tree of a target that has files. Raises BadInput for a single file."""
    if target.blob is not None:
        raise BadInput(f"{target.ref} is a single file", hint="name a component, a product or a tree")
    return target.tree or store.build_tree(entries(store, target))


def write_to(store: Store, target: Target, path: str) -> Written:
    """Write a target to a path that does not exist, complete or not at all. Raises Conflict, ObjectDamaged."""
    if os.path.lexists(path):
        raise Conflict(f"{path}: is there already and was not overwritten", hint="name another path")
    if target.blob is not None:
        return Written(path, target.blob, 1, _write_blob(store, target.blob, path))
    tree = target.tree
    report = store.checkout(tree, path) if tree else store.checkout_files(_sorted_entries(target), path)
    return Written(path, report.tree, report.files, report.bytes)


def _by_digest(store: Store, digest: Digest) -> Target:
    if store.kind(digest) is Kind.TREE:
        return Target(digest, tree=digest)
    return Target(digest, blob=digest)


def _release(store: Store, state: LedgerState, ref: str) -> Release:
    from casstore.ledger import release_objects

    return release_objects.parse(store.read(state.find_release(ref).digest))


def _manifest(store: Store, made: Release, key: str) -> ProductManifest:
    from bundlers.products import product_manifests

    return product_manifests.read(store.chunks(made.builds[key].product_manifest))


def _in_release(store: Store, state: LedgerState, ref: str) -> Target:
    release, _, rest = ref.partition("/")
    made = _release(store, state, release)
    if not rest:
        return Target(ref, files=dict(_archives(made)), release=made.digest)
    if rest in made.archives:
        key = next(key for key, build in made.builds.items() if build.archive.name == rest)
        return _inside(_manifest(store, made, key), Target(ref, made.archives[rest]), "")
    manifest, name, path = _product(store, made, rest)
    if (file := manifest.packed.get(path)) is not None:
        return Target(ref, blob=file.content)
    found = _inside(manifest, Target(ref), path)
    if not found.files and not found.folders:
        raise NoSuchObject(f"{release}/{name} has no {path}", hint=f"casstore ls {release}/{name}")
    return found


def _inside(manifest: ProductManifest, target: Target, path: str) -> Target:
    """With what lies below a path, or all."""
    from bundlers.products.product_files import FileRows, FilesByPath

    rows = manifest.packed
    if path:
        rows = FileRows.of(file for file in rows if file.path.startswith(f"{path}/"))
    folders = {one.path: one for one in manifest.folders if not path or f"{one.path}/".startswith(f"{path}/")}
    return replace(target, files=FilesByPath(rows), folders=folders)


def _product(store: Store, made: Release, rest: str) -> tuple[ProductManifest, str, str]:
    """PRODUCT, or PRODUCT/BUILD for one of several; what it is called, and the path below."""
    from bundlers.products.product_manifests import unions

    name, _, path = rest.partition("/")
    builds = made.products.get(name, {})
    if not builds:
        raise NoSuchObject(f"{made.version} has no product {name!r}", hint=f"it has: {', '.join(made.products)}")
    build, _, deeper = path.partition("/")
    if f"{name}/{build}" in made.builds:
        name, path = f"{name}/{build}", deeper
    elif name not in made.builds and path:
        raise NoSuchObject(f"{name} {made.version} has no build {build!r}", hint=f"it has: {', '.join(builds)}")
    if name in made.builds:
        manifest = _manifest(store, made, name)
    else:
        manifest = unions({key: _manifest(store, made, key) for key in made.builds if key.startswith(f"{name}/")})[name]
    return manifest, name, path


def _archives(made: Release) -> Iterator[tuple[str, ProductFile]]:
    from bundlers.products.product_manifests import ProductFile

    for row in made.builds.values():
        yield row.archive.name, ProductFile(row.archive.name, 0o644, row.archive.size, row.archive.digest)


def _entry(file: ProductFile) -> TreeEntry:
    from casstore.objects.tree import TreeEntry

    name = file.path.rpartition("/")[2].encode()
    if file.digest is None:
        return TreeEntry(name, "link", target=file.link.encode())
    return TreeEntry(name, "file", file.mode, file.size, file.digest)


def _folder_entry(folder: ProductFolder) -> TreeEntry:
    from casstore.objects.tree import EMPTY, TreeEntry

    return TreeEntry(folder.path.rpartition("/")[2].encode(), "dir", folder.mode, 0, EMPTY)


def _tree_row(path: bytes, entry: TreeEntry) -> Row:
    from casstore.objects.tree import show

    if entry.kind == "link":
        return Row(show(path), f"link to {show(entry.target)}", 0, None)
    if entry.kind == "dir":
        return Row(f"{show(path)}/", f"{entry.mode:04o}", 0, None)
    return Row(show(path), f"{entry.mode:04o}", entry.size, entry.digest)


def _product_row(file: ProductFile) -> Row:
    if file.digest is None:
        return Row(file.path, f"link to {file.link}", 0, None)
    return Row(file.path, f"{file.mode:04o}", file.size, file.digest)


def _write_blob(store: Store, digest: Digest, path: str) -> int:
    import tempfile

    folder = os.path.dirname(os.path.abspath(path))
    size = 0
    fd, temporary = tempfile.mkstemp(prefix=f".{os.path.basename(path)}.", dir=folder)
    try:
        with os.fdopen(fd, "wb") as file:
            for chunk in store.chunks(digest):
                size += file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        set_mode(temporary, 0o644)
        take_name(temporary, path)
    except FileExistsError as exc:
        raise Conflict(f"{path}: appeared meanwhile and was not overwritten") from exc
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
    return size
