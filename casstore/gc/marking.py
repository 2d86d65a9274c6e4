"""What is needed, and why: from the roots to every object that they lean on.

`casstore.gc.roots` says what is needed by itself, `mark` follows it: trees to what is in them, releases to
their parts, attestations to what their predicates name, and anything needed to the attestations
about it. What is needed and is not there stops the collection, unless it may be gone by right.

    marks = mark(contents, roots)
    raw in marks.needed
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import field

from attest.core.values import dataclass
from attest.digests import Digest, from_raw, to_raw
from attest.errors import FormatError
from casstore.errors import StoreDamaged
from casstore.gc import naming
from casstore.gc.contents import Contents
from casstore.objects import tree as trees
from casstore.objects.tree import show


@dataclass(frozen=True, slots=True)
class Root:
    """Something that is needed by itself. `may_be_gone`: an earlier collection had the right to take it."""

    digest: Digest
    reason: str
    tree: bool = False
    may_be_gone: bool = False


@dataclass(frozen=True, slots=True)
class Edge:
    """One object leads to another: `how` is what it is there ("file bin/core", "attestation about it")."""

    source: bytes | None
    how: str


@dataclass(slots=True)
class Marks:
    """What is needed. `edges` is filled only where somebody asks why."""

    needed: set[bytes] = field(default_factory=set)
    edges: dict[bytes, list[Edge]] = field(default_factory=dict)
    missing: dict[bytes, Edge] = field(default_factory=dict)


def mark(contents: Contents, roots: Iterable[Root], *, tell: bool = False) -> Marks:
    """Raises StoreDamaged when something is needed and gone whose own needs cannot be known."""
    walk = _Walk(contents, Marks(), tell)
    for root in roots:
        walk.reach(to_raw(root.digest), None, root.reason, tree=root.tree, lenient=root.may_be_gone)
    walk.run()
    return walk.marks


class _Walk:
    """One traversal; an object is expanded once, however many ways lead to it."""

    def __init__(self, contents: Contents, marks: Marks, tell: bool) -> None:
        self._contents = contents
        self._tell = tell
        self._queue: deque[tuple[bytes, bool, bool]] = deque()
        self._expanded: set[tuple[bytes, bool, bool]] = set()
        self.marks = marks

    def reach(self, raw: bytes, source: bytes | None, how: str, *, tree: bool, lenient: bool) -> None:
        """An object is needed."""
        if self._tell:
            self.marks.edges.setdefault(raw, []).append(Edge(source, how))
        if raw not in self._contents.first:
            self._gone(raw, Edge(source, how), tree, lenient)
            return
        self.marks.needed.add(raw)
        tree = tree or self._contents.is_tree(raw)
        if not {(raw, tree, lenient), (raw, tree, False)} & self._expanded:
            self._expanded.add((raw, tree, lenient))
            self._queue.append((raw, tree, lenient))

    def run(self) -> None:
        """Follow everything."""
        while self._queue:
            raw, tree, lenient = self._queue.popleft()
            for attestation in sorted(self._contents.about.get(raw, ())):
                self.reach(attestation, raw, "attestation about it", tree=False, lenient=True)
            if tree:
                self._follow_tree(raw, lenient)
            elif self._contents.is_attestation(raw):
                for digest, how in naming.named_by_attestation(self._contents.read(raw)):
                    self.reach(to_raw(digest), raw, how, tree=False, lenient=True)

    def _follow_tree(self, raw: bytes, lenient: bool) -> None:
        try:
            found = trees.parse(self._contents.read(raw))
        except FormatError:
            return  # a blob that somebody took for a tree needs nothing else
        for entry in found.entries:
            if entry.kind != "link":
                folder = entry.kind == "dir"
                how = f"{'folder' if folder else 'file'} {show(entry.name)}"
                self.reach(to_raw(entry.content), raw, how, tree=folder, lenient=lenient)

    def _gone(self, raw: bytes, edge: Edge, tree: bool, lenient: bool) -> None:
        if lenient:
            return
        self.marks.missing[raw] = edge
        if tree:
            raise StoreDamaged(
                f"{from_raw(raw)}: is gone, and is needed ({edge.how}); what is in it cannot be known,"
                " so nothing is collected",
                hint="mend it from another copy of the store: casstore fsck --repair --from STORE",
            )
