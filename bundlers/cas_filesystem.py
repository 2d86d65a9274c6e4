"""`cas://` for every library that takes an fsspec URL: a store's files by digest or by their place in a release.

| URL | what it opens |
|---|---|
| `cas://sha256:<hex>` | a blob; for a tree, a folder, with `/path` below it |
| `cas://COMPONENT@VERSION/path` | a file of a component |
| `cas://prod/core/bin/tool` | a file of a product of the release that a channel (or version) names |

Read-only, and verified: the bytes of a file are checked against its digest before the first one is
served. The store is the option `store`, else CASSTORE_STORE, else that of the nearest casstore.toml.
What a channel names is looked up when the file system is made, so one file system is one state.
Missing things raise FileNotFoundError, as fsspec's users expect, damaged ones OSError (EIO).

    fsspec.open("cas://prod/core/data.parquet", store="./store")
"""

from __future__ import annotations

import errno
import os
import posixpath
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import Any, BinaryIO

from fsspec import AbstractFileSystem

from attest import digests
from attest.core.values import dataclass
from attest.digests import Digest
from attest.errors import BadInput, CasstoreError
from bundlers.products import references
from bundlers.products.product_manifests import ProductFile
from bundlers.products.references import Target
from casstore.errors import NoSuchObject, StoreDamaged
from casstore.ledger.book.log import Ledger
from casstore.ledger.folding import replay
from casstore.ledger.release_objects import split_key
from casstore.ledger.states.state import LedgerState
from casstore.machine import config_files
from casstore.network.network import NetworkGuard
from casstore.objects.tree import TreeEntry, show
from casstore.store.store import Store

_MOST_LINKS = 8


@dataclass(frozen=True, slots=True)
class _Node:
    """What stands at a path: a blob, a link to another path, or a folder of nodes."""

    blob: Digest | None = None
    size: int = 0
    link: str = ""
    below: Mapping[str, _Node] | None = None

    def info(self, path: str) -> dict[str, Any]:
        """As fsspec wants it."""
        if self.blob is not None:
            return {"name": path, "size": self.size, "type": "file", "digest": self.blob}
        if self.link:
            return {"name": path, "size": 0, "type": "link", "destination": self.link}
        return {"name": path, "size": 0, "type": "directory"}


_FOLDER = _Node(below={})


class CasFileSystem(AbstractFileSystem):  # type: ignore[misc]  # fsspec has no types
    """One store and one ledger as a read-only file system."""

    protocol = "cas"
    cachable = False
    root_marker = ""

    def __init__(self, store: str | None = None, ledger: str | None = None, **options: Any) -> None:
        """`store`: URL or folder; `ledger`: its name. Raises BadInput, NoSuchStore."""
        super().__init__(**options)
        few = _settings()
        url = store or os.environ.get("CASSTORE_STORE") or (few.store_url if few else None)
        if not url:
            raise BadInput("cas://: no store is named", hint="give store=URL, or set CASSTORE_STORE")
        self._store = Store.open(url, network=NetworkGuard(few.allow if few else ()), read_only=True)
        self._ledger_name = ledger or (few.ledger if few else "main")

    @property
    def fsid(self) -> str:
        """The store's id."""
        return f"cas-{self._store.store_id}"

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        """name, size, type (`file` or `directory`), and a file's digest. Links are followed."""
        path = self._strip_protocol(path)
        with _as_os_errors(path):
            return self._followed(path).info(path)

    def ls(self, path: str, detail: bool = True, **_: Any) -> list[Any]:
        """What is directly below a path; at the top, the channels and versions."""
        path = self._strip_protocol(path)
        with _as_os_errors(path):
            node = self._followed(path)
        if node.below is None:
            rows = [node.info(path)]
        else:
            rows = [node.below[name].info(f"{path}/{name}".lstrip("/")) for name in sorted(node.below)]
        return rows if detail else [row["name"] for row in rows]

    def checksum(self, path: str) -> int:
        """The digest of a file, as a number."""
        found = self.info(path)
        return int(digests.hex_of(found["digest"]), 16) if "digest" in found else int(super().checksum(path))

    def _open(self, path: str, mode: str = "rb", **_: Any) -> BinaryIO:
        if mode != "rb":
            raise OSError(errno.EROFS, "cas:// is read-only: what is stored never changes", path)
        with _as_os_errors(path):
            node = self._followed(path)
            if node.blob is None:
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
            return self._store.open_blob(node.blob)

    @cached_property
    def _state(self) -> LedgerState:
        return replay(Ledger(self._store, self._ledger_name), self._store)

    def _followed(self, path: str) -> _Node:
        first = path
        for _ in range(_MOST_LINKS):
            node = self._node(path)
            if not node.link:
                return node
            path = posixpath.normpath(posixpath.join(posixpath.dirname(path), node.link))
        raise NoSuchObject(f"{first}: a circle of links")

    def _node(self, path: str) -> _Node:
        head, _, below = path.partition("/")
        if not head:
            return _Node(below=dict.fromkeys({*self._state.versions, *self._state.channels}, _FOLDER))
        if digests.is_digest(head) or "@" in head:
            return self._of_tree(references.resolve(self._store, lambda: self._state, head), below)
        product, _, inside = below.partition("/")
        found = references.resolve(self._store, lambda: self._state, head)
        if not product or product in found.files:
            return _at({**self._products(head), **_of_files(found.files)}, product, path)
        held = references.resolve(self._store, lambda: self._state, f"{head}/{product}")
        return _at({**_of_files(held.files), **dict.fromkeys(held.folders, _FOLDER)}, inside, path)

    def _products(self, release: str) -> Mapping[str, _Node]:
        keys = references.manifests_of(self._store, self._state, release)
        return dict.fromkeys((split_key(key)[0] for key in keys), _FOLDER)

    def _of_tree(self, target: Target, below: str) -> _Node:
        if target.blob is not None:
            return _at({"": _Node(target.blob, self._store.size(target.blob))}, below, target.ref)
        tree = self._store.tree(references.tree_of(self._store, target))
        name, _, deeper = below.partition("/")
        if not name:
            return _Node(below={show(entry.name): _of_entry(entry) for entry in tree})
        entry = tree.get(os.fsencode(name))
        if entry is None:
            raise NoSuchObject(f"{target.ref} has no {name}")
        if entry.kind == "dir":
            return self._of_tree(Target(f"{target.ref}/{name}", tree=entry.content), deeper)
        return _at({"": _of_entry(entry)}, deeper, f"{target.ref}/{name}")


def _of_entry(entry: TreeEntry) -> _Node:
    if entry.kind == "link":
        return _Node(link=show(entry.target))
    return _FOLDER if entry.kind == "dir" else _Node(entry.content, entry.size)


def _of_files(files: Mapping[str, ProductFile]) -> dict[str, _Node]:
    return {path: _Node(link=file.link) if file.link else _Node(file.digest, file.size) for path, file in files.items()}


def _at(nodes: Mapping[str, _Node], inside: str, path: str) -> _Node:
    """The node at `inside` of a flat map of paths, or the folder that the paths below it make."""
    if inside in nodes:
        return nodes[inside]
    start = f"{inside}/" if inside else ""
    below: dict[str, _Node] = {}
    for name, node in nodes.items():
        if name.startswith(start):
            first, _, deeper = name[len(start) :].partition("/")
            below[first] = _FOLDER if deeper else node
    if not below:
        raise NoSuchObject(f"{path}: no such file or folder")
    return _Node(below=below)


def _settings() -> config_files.FewSettings | None:
    path = config_files.find_config(os.getcwd())
    return config_files.few_settings(path) if path else None


@contextmanager
def _as_os_errors(path: str) -> Iterator[None]:
    """Our errors as those that users of fsspec catch."""
    try:
        yield
    except NoSuchObject as exc:
        raise FileNotFoundError(errno.ENOENT, exc.message, path) from exc
    except StoreDamaged as exc:
        raise OSError(errno.EIO, exc.message, path) from exc
    except CasstoreError as exc:
        raise OSError(errno.EINVAL, exc.message, path) from exc
