"""Which trees hold a content, and where: the question that an incident asks.

Every folder object is read once, however many trees share it.

    found = holding(store.tree, [tree], {digest})
    found[tree][digest]          # -> (b"bin/tool",)
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping

from attest.digests import Digest
from casstore.objects.tree import Tree

Places = Mapping[Digest, tuple[bytes, ...]]
"""Content -> its paths in one tree, in order."""

ReadTree = Callable[[Digest], Tree]


def holding(read: ReadTree, trees: Iterable[Digest], wanted: Collection[Digest]) -> dict[Digest, Places]:
    """The trees that hold one of the wanted files or folders at any depth. Raises NoSuchObject, ObjectDamaged."""
    known: dict[Digest, Places] = {}
    asked = frozenset(wanted)
    return {tree: found for tree in dict.fromkeys(trees) if (found := _of(read, tree, asked, known))}


def _of(read: ReadTree, folder: Digest, wanted: frozenset[Digest], known: dict[Digest, Places]) -> Places:
    if (before := known.get(folder)) is not None:
        return before
    found: dict[Digest, list[bytes]] = {}
    for entry in read(folder):
        if entry.digest in wanted and entry.digest is not None:
            found.setdefault(entry.digest, []).append(entry.name)
        if entry.kind == "dir":
            for content, paths in _of(read, entry.content, wanted, known).items():
                found.setdefault(content, []).extend(entry.name + b"/" + path for path in paths)
    known[folder] = {content: tuple(paths) for content, paths in found.items()}
    return known[folder]
