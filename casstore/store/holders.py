"""Which trees hold a content, and where: the question that an incident asks.

Every folder object is read once, however many trees share it. Where the store was given a reader of packed files
(`inside`), the members of archives, wheels and images count like files, at any depth that it opens.

    found = holding(store, [tree], {digest})
    found[tree][digest]          # -> (b"bin/tool", b"lib/core.whl!core/tool")
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Protocol

from attest.digests import Digest
from casstore.objects.tree import Tree

Places = Mapping[Digest, tuple[bytes, ...]]
"""Content -> its paths in one tree, in order; `outer!inner` in something packed."""

Inside = Callable[[Mapping[Digest, int]], Iterator[tuple[Digest, Iterable[tuple[str, Digest]]]]]
"""Files by digest, with their sizes -> what is packed in each: paths and digests."""


class TreeHolder(Protocol):
    """What is needed of a store."""

    @property
    def inside(self) -> Inside | None:
        """Who reads what is packed in files; None where nobody does."""

    def tree(self, digest: Digest) -> Tree:
        """A folder object. Raises NoSuchObject."""

    def read(self, digest: Digest, *, max_bytes: int = ...) -> bytes:
        """Verified bytes. Raises NoSuchObject."""


def holding(store: TreeHolder, trees: Iterable[Digest], wanted: Collection[Digest]) -> dict[Digest, Places]:
    """The trees that hold one of the wanted files or folders at any depth. Raises NoSuchObject, ObjectDamaged."""
    known: dict[Digest, Places] = {}
    asked, all_trees = frozenset(wanted), tuple(dict.fromkeys(trees))
    packed = _packed(store, all_trees, asked)
    return {tree: found for tree in all_trees if (found := _of(store, tree, asked, packed, known))}


def contents(store: TreeHolder, trees: Iterable[Digest]) -> dict[Digest, int]:
    """Every file below some trees, and its size; folders that they share are read once."""
    return dict(_files(store, trees, set()))


def _files(store: TreeHolder, folders: Iterable[Digest], seen: set[Digest]) -> Iterator[tuple[Digest, int]]:
    for folder in folders:
        if folder in seen:
            continue
        seen.add(folder)
        for entry in store.tree(folder):
            if entry.kind == "dir":
                yield from _files(store, (entry.content,), seen)
            elif entry.kind == "file" and entry.size:
                yield entry.content, entry.size


def _packed(
    store: TreeHolder, trees: Iterable[Digest], wanted: frozenset[Digest]
) -> dict[Digest, list[tuple[Digest, bytes]]]:
    """File -> the wanted contents that are packed in it, and where."""
    if store.inside is None:
        return {}
    found: dict[Digest, list[tuple[Digest, bytes]]] = {}
    for blob, members in store.inside(contents(store, trees)):
        for path, digest in members:
            if digest in wanted:
                found.setdefault(blob, []).append((digest, path.encode("utf-8", "surrogatepass")))
    return found


def _of(
    store: TreeHolder,
    folder: Digest,
    wanted: frozenset[Digest],
    packed: Mapping[Digest, Iterable[tuple[Digest, bytes]]],
    known: dict[Digest, Places],
) -> Places:
    if (before := known.get(folder)) is not None:
        return before
    found: dict[Digest, list[bytes]] = {}
    for entry in store.tree(folder):
        if entry.digest in wanted and entry.digest is not None:
            found.setdefault(entry.digest, []).append(entry.name)
        if entry.kind == "dir":
            for content, paths in _of(store, entry.content, wanted, packed, known).items():
                found.setdefault(content, []).extend(entry.name + b"/" + path for path in paths)
        elif entry.digest is not None:
            for content, path in packed.get(entry.digest, ()):
                found.setdefault(content, []).append(entry.name + b"!" + path)
    known[folder] = {content: tuple(paths) for content, paths in found.items()}
    return known[folder]
