"""A hash trie of rows in memory: states share it, a change copies what lies above the row, nodes are read when asked.

The shape is that of docs/formats/state.md: a prefix of the key with at most 64 rows is a leaf, with
more a node over the next hex digit. So the same rows are the same nodes, whatever came before. How
rows, leaves and nodes are written is the form's business; where written ones lie is the reader's.

    after = trie.changed({"channel/prod": {...}}, gone=["void/7"])
    after.get("channel/prod")
    fresh(after, [trie])            # the nodes that must be written for it
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

from attest.digests import Digest, sha256

WIDTH = 64
_HEX = {digit: place for place, digit in enumerate("0123456789abcdef")}

ReadNode = Callable[[Digest], bytes]
"""The checked bytes of a written node."""


class Cell:
    """A row: its bytes, its value, or both, each made from the other when asked."""

    __slots__ = ("_raw", "_value", "known", "name", "ref", "written")

    def __init__(
        self, name: Any, value: Any = None, *, raw: bytes | None = None, ref: Digest | None = None, known: bool = True
    ) -> None:
        self.name = name
        self.known = known
        self.ref = ref
        """Where a large value lies by itself."""
        self.written: bytes | Digest | None = None
        """What stands in its leaf, once a form has made it."""
        self._value = value
        self._raw = raw

    def value(self, form: Form) -> Any:
        """As the state has it."""
        if not self.known:
            self._value = form.value(self.raw(form))
            self.known = True
        return self._value

    def raw(self, form: Form) -> bytes:
        """As it is written."""
        if self._raw is None:
            self._raw = form.read(self.ref) if self.ref is not None else form.raw(self.name, self._value)
        return self._raw


class Form(Protocol):
    """How the rows of a trie are written."""

    def key(self, name: Any) -> str:
        """Where a row belongs: hex digits."""

    def raw(self, name: Any, value: Any) -> bytes:
        """A value's bytes."""

    def value(self, raw: bytes) -> Any:
        """And back."""

    def leaf(self, cells: Sequence[Cell]) -> bytes:
        """A leaf's bytes; the cells are in the order of their keys."""

    def node(self, children: Sequence[Digest | None]) -> bytes:
        """A node's bytes."""

    def parse(self, data: bytes) -> list[Cell] | list[Digest | None]:
        """What bytes of a leaf or node say; sixteen children are a node, cells are a leaf."""

    def large(self, cell: Cell) -> Digest | None:
        """Where a cell's value lies by itself, if it does."""

    def read(self, digest: Digest) -> bytes:
        """Written bytes. Raises StoreDamaged."""


class Leaf:
    """Rows by key."""

    __slots__ = ("cells", "digest")

    def __init__(self, cells: dict[str, Cell], digest: Digest | None = None) -> None:
        self.cells = cells
        self.digest = digest


class Node:
    """Sixteen children; a digest is one that was not read yet."""

    __slots__ = ("children", "digest")

    def __init__(self, children: list[Place], digest: Digest | None = None) -> None:
        self.children = children
        self.digest = digest


Place = Leaf | Node | Digest | None
_Todo = list[tuple[str, Cell | None]]


class Trie:
    """Rows; immutable."""

    __slots__ = ("_root", "form", "size")

    def __init__(self, form: Form, root: Place = None, size: int = 0) -> None:
        self.form = form
        self.size = size
        self._root = root

    def get(self, name: Any) -> Cell | None:
        """A row's cell."""
        key, depth = self.form.key(name), 0
        at = self.root
        while type(at) is Node:
            place = _HEX[key[depth]]
            child = at.children[place]
            if isinstance(child, str):
                child = at.children[place] = _parsed(self.form, child)
            at, depth = child, depth + 1
        return at.cells.get(key) if isinstance(at, Leaf) else None

    def changed(self, puts: Mapping[Any, Any], gone: Collection[Any] = ()) -> Trie:
        """With rows put or replaced, and others taken away."""
        todo: _Todo = [(self.form.key(name), None) for name in gone]
        todo += [(self.form.key(name), Cell(name, value)) for name, value in puts.items()]
        if not todo:
            return self
        root, more = _changed(self.form, self.root, 0, todo)
        return Trie(self.form, root, self.size + more)

    def is_same(self, other: Trie) -> bool:
        """Whether both are one in memory, or written alike."""
        mine, its = self._root, other._root
        return mine is its or (mine is not None and its is not None and _known(mine) == _known(its) is not None)

    def cells(self) -> Iterator[Cell]:
        """All rows, in the order of their keys."""
        yield from (cell for _, cell in _all(self.form, self.root))

    @property
    def root(self) -> Leaf | Node | None:
        """Its top, read."""
        if isinstance(self._root, str):
            self._root = _parsed(self.form, self._root)
        return self._root

    @property
    def digest(self) -> Digest | None:
        """The root as it is written; None without rows."""
        return self._root if isinstance(self._root, str) else _digest(self.form, self._root)


def differing(old: Trie, new: Trie) -> Iterator[tuple[Cell | None, Cell | None]]:
    """The rows that two tries do not share, as (before, after); what is the same is not looked at."""
    yield from _differing((old.form, new.form), old.root, new.root)


def fresh(new: Trie, olds: Sequence[Trie]) -> dict[Digest, bytes]:
    """The leaves, nodes and large values of a trie that none of the others has."""
    out: dict[Digest, bytes] = {}
    _fresh(
        new.form,
        new._root,
        [(old.form, old._root) for old in olds],
        lambda digest, make: out.__setitem__(digest, make()),
    )
    return out


def unshared(old: Trie, news: Sequence[Trie]) -> set[Digest]:
    """The same, as names alone."""
    out: set[Digest] = set()
    _fresh(old.form, old._root, [(new.form, new._root) for new in news], lambda digest, _: out.add(digest))
    return out


def _parsed(form: Form, digest: Digest) -> Leaf | Node:
    found = form.parse(form.read(digest))
    if found and not isinstance(found[0], Cell):
        return Node(list(found), digest)
    cells: list[Cell] = found  # type: ignore[assignment]
    return Leaf({form.key(cell.name): cell for cell in cells}, digest)


def _changed(form: Form, at: Place, depth: int, todo: _Todo) -> tuple[Leaf | Node | None, int]:
    """What lies here with the changes made, and by how many rows it grew."""
    if isinstance(at, str):
        at = _parsed(form, at)
    if not isinstance(at, Node):
        cells = dict(at.cells) if at else {}
        before = len(cells)
        for key, cell in todo:
            if cell is None:
                cells.pop(key, None)
            else:
                cells[key] = cell
        return _made(cells, depth), len(cells) - before
    children, grew, shrunk = list(at.children), 0, False
    for place, items in _grouped(todo, depth).items():
        children[place], more = _changed(form, children[place], depth + 1, items)
        grew += more
        shrunk = shrunk or more < 0
    return (_closed(form, children) if shrunk else Node(children)), grew


def _grouped(todo: _Todo, depth: int) -> dict[int, _Todo]:
    groups: dict[int, _Todo] = {}
    for item in todo:
        groups.setdefault(_HEX[item[0][depth]], []).append(item)
    return groups


def _made(cells: dict[str, Cell], depth: int) -> Leaf | Node | None:
    """Rows that share their first `depth` digits."""
    if len(cells) <= WIDTH:
        return Leaf(cells) if cells else None
    groups: list[dict[str, Cell]] = [{} for _ in range(16)]
    for key, cell in cells.items():
        groups[_HEX[key[depth]]][key] = cell
    return Node([_made(group, depth + 1) for group in groups])


def _closed(form: Form, children: list[Place]) -> Leaf | Node | None:
    """A node, or the leaf that it becomes when few rows are left."""
    cells: dict[str, Cell] = {}
    for child in children:
        for key, cell in _all(form, child):
            cells[key] = cell
            if len(cells) > WIDTH:
                return Node(children)
    return Leaf(cells) if cells else None


def _all(form: Form, at: Place) -> Iterator[tuple[str, Cell]]:
    if isinstance(at, str):
        at = _parsed(form, at)
    if isinstance(at, Leaf):
        yield from sorted(at.cells.items())
    elif at is not None:
        for place, child in enumerate(at.children):
            if isinstance(child, str):
                child = at.children[place] = _parsed(form, child)
            yield from _all(form, child)


def _digest(form: Form, at: Place) -> Digest | None:
    if at is None or isinstance(at, str):
        return at
    if at.digest is None:
        at.digest = sha256(_bytes(form, at))
    return at.digest


def _bytes(form: Form, at: Leaf | Node) -> bytes:
    if isinstance(at, Leaf):
        cells = at.cells
        return form.leaf([cells[key] for key in sorted(cells)])
    found = [child if child is None or isinstance(child, str) else child.digest for child in at.children]
    return form.node([known or _digest(form, child) for known, child in zip(found, at.children, strict=True)])


def _differing(forms: tuple[Form, Form], old: Place, new: Place) -> Iterator[tuple[Cell | None, Cell | None]]:
    if old is new or (old is not None and new is not None and _known(old) == _known(new) is not None):
        return
    old = _parsed(forms[0], old) if isinstance(old, str) else old
    new = _parsed(forms[1], new) if isinstance(new, str) else new
    if isinstance(old, Node) and isinstance(new, Node):
        for one, other in zip(old.children, new.children, strict=True):
            yield from _differing(forms, one, other)
        return
    olds, news = dict(_all(forms[0], old)), dict(_all(forms[1], new))
    for key in olds.keys() | news.keys():
        before, after = olds.get(key), news.get(key)
        if before is after:
            continue
        if before is None or after is None or before.raw(forms[0]) != after.raw(forms[1]):
            yield before, after


def _known(at: Leaf | Node | Digest) -> Digest | None:
    return at if isinstance(at, str) else at.digest


def _fresh(
    form: Form, at: Place, olds: Sequence[tuple[Form, Place]], take: Callable[[Digest, Callable[[], bytes]], None]
) -> None:
    """What lies here and not at the same place of one of the others."""
    digest = _digest(form, at)
    if digest is None or any(old is at or _digest(its, old) == digest for its, old in olds):
        return
    node = _parsed(form, at) if isinstance(at, str) else at
    read = [(its, _parsed(its, old) if isinstance(old, str) else old) for its, old in olds if old is not None]
    if isinstance(node, Node):
        for place, child in enumerate(node.children):
            _fresh(form, child, [(its, old.children[place]) for its, old in read if isinstance(old, Node)], take)
    elif node is not None:
        there = {its.large(cell) for its, old in read for _, cell in _all(its, old)}
        for cell in node.cells.values():
            large = form.large(cell)
            if large is not None and large not in there:
                take(large, partial(cell.raw, form))
    if node is not None:
        take(digest, partial(_bytes, form, node))
