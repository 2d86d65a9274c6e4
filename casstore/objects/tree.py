"""A tree: one folder as one object, with exactly one valid encoding (docs/formats/tree.md).

Names are bytes, kept as they are. `parse` refuses everything that `encode` would not have
written. Whether a link stays inside the whole tree is `check_link`'s question, because one
folder cannot know it.

    data = encode([TreeEntry(b"bin", "dir", 0o755, 0, digest)])
    tree = parse(data)
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import field
from itertools import pairwise
from typing import Any, Literal, NamedTuple, cast

import msgpack

from attest.core import limits
from attest.core.shown import shown
from attest.core.values import dataclass
from attest.digests import Digest, from_raw, to_raw
from attest.errors import FormatError
from casstore.errors import UnsupportedInput

FORMAT = "casstore-tree/1"
EntryKind = Literal["file", "dir", "link"]
MAX_NAME = 255
MAX_TARGET = 4095
MAX_TREE = limits.TREE
"""No larger object is read as a tree."""

FILE = 0o100644
EXECUTABLE = 0o100755
DIR = 0o040000
LINK = 0o120000
_FILES = {mode: 0o100000 | mode for mode in (0o600, 0o640, 0o644, 0o700, 0o750, 0o755)}
"""Mode of a file -> mode of its entry; a put writes 0644 and 0755, a product may say another."""
_FOLDERS = {0o755: DIR, **{mode: DIR | mode for mode in (0o700, 0o750)}}
"""As `_FILES`, for folders; what is not 0755 is an empty folder of a product."""
FOLDERS = frozenset(_FOLDERS.values())
"""Modes of entries that are folders."""
_PRIVATE = FOLDERS - {DIR}
_KEPT = frozenset((*_FILES.values(), DIR))
_SIZELESS = frozenset((*FOLDERS, LINK))
_DOTS = (b".", b"..")


class TreeEntry(NamedTuple):
    """One name in a folder. `digest`: of the blob (file) or tree (dir); `target`: of a link."""

    name: bytes
    kind: EntryKind
    mode: int = 0o644
    size: int = 0
    digest: Digest | None = None
    target: bytes = b""

    @property
    def content(self) -> Digest:
        """The digest of a file or folder. Raises FormatError for a link."""
        if self.digest is None:
            raise FormatError(f"{self.name!r} is a link and has no digest")
        return self.digest

    @property
    def is_empty_folder(self) -> bool:
        """Whether it is a folder with nothing in it."""
        return self.kind == "dir" and self.digest == EMPTY


@dataclass(frozen=True, slots=True)
class Tree:
    """A folder's entries, sorted by name."""

    entries: tuple[TreeEntry, ...]
    _by_name: dict[bytes, TreeEntry] = field(default_factory=dict, compare=False, repr=False)

    def __iter__(self) -> Iterator[TreeEntry]:
        return iter(self.entries)

    def get(self, name: bytes) -> TreeEntry | None:
        """The entry of this name."""
        if not self._by_name:
            self._by_name.update((entry.name, entry) for entry in self.entries)
        return self._by_name.get(name)


def encode(entries: Iterable[TreeEntry]) -> bytes:
    """Entries in any order to the tree's bytes. Raises UnsupportedInput for what a tree cannot hold."""
    rows = sorted((_row(entry) for entry in entries), key=lambda row: cast("bytes", row[0]))
    for before, after in pairwise(rows):
        if before[0] == after[0]:
            raise UnsupportedInput(f"the name {show(after[0])} stands twice in one folder")
    return encode_rows(rows)


def encode_rows(rows: list[list[Any]]) -> bytes:
    """Sorted rows [name, mode, size, digest or target] to bytes; the caller has checked them."""
    packed: bytes = msgpack.packb([FORMAT, rows])
    return packed


_EMPTY = hashlib.sha256(encode_rows([])).digest()
EMPTY = from_raw(_EMPTY)
"""The tree without entries."""


def parse(data: bytes) -> Tree:
    """Bytes to tree. Raises FormatError unless they are exactly what `encode` writes."""
    return Tree(tuple(_entry(*row) for row in rows(data)))


def rows(data: bytes) -> list[list[Any]]:
    """Bytes to rows [name, mode, size, digest or target], as strict as `parse` and without its objects."""
    try:
        value = msgpack.unpackb(data, raw=False, strict_map_key=True, max_ext_len=0, max_map_len=0)
    except (ValueError, msgpack.UnpackException, RecursionError, UnicodeDecodeError) as exc:
        raise FormatError(f"tree: cannot be read: {exc}") from exc
    if not isinstance(value, list) or len(value) != 2 or value[0] != FORMAT or not isinstance(value[1], list):
        raise FormatError("tree: not a casstore-tree/1")
    try:
        _check_rows(value[1])
    except UnsupportedInput as exc:
        raise FormatError(f"tree: {exc.message}") from exc
    if msgpack.packb(value) != data:
        raise FormatError("tree: not in its one valid encoding")
    return cast("list[list[Any]]", value[1])


def files_again(data: bytes) -> list[list[Any]]:
    """The rows of the files, out of bytes that `rows` has accepted before."""
    return [row for row in msgpack.unpackb(data)[1] if row[1] not in _SIZELESS]


def names_of(data: bytes, digest: bytes) -> list[bytes]:
    """The names under which a file or folder stands, its digest raw, in bytes that `rows` has accepted before."""
    if digest not in data:
        return []
    return [row[0] for row in msgpack.unpackb(data)[1] if row[3] == digest and row[1] != LINK]


def _check_rows(found: list[Any]) -> None:
    """One loop without calls for what is common: large trees are made of nothing else."""
    before = b""
    for row in found:
        if type(row) is not list or len(row) != 4:
            raise FormatError("tree: an entry is not [name, mode, size, digest or target]")
        name, mode, size, last = row
        if not (type(name) is type(last) is bytes and type(mode) is type(size) is int):
            raise FormatError("tree: an entry is not [name, mode, size, digest or target]")
        if name <= before or b"/" in name or b"\0" in name or name in _DOTS or len(name) > MAX_NAME:
            check_name(name)
            raise FormatError("tree: its names are not sorted, or one stands twice")
        before = name
        if mode == LINK:
            check_target(last)
        elif len(last) != 32:
            raise FormatError("tree: a digest has not 32 bytes")
        elif mode not in _KEPT and not (mode in _PRIVATE and last == _EMPTY):
            raise FormatError(f"tree: unknown mode {mode:o}, or one that only an empty folder has")
        if not 0 <= size < 2**63 or (size and mode in _SIZELESS):
            raise FormatError("tree: a size that no entry can have")


def walk(load: Callable[[Digest], Tree], tree: Digest) -> Iterator[tuple[bytes, TreeEntry]]:
    """Every file, link and folder below a tree with its path, depth first, names sorted; folders first."""
    stack = [(b"", iter(load(tree)))]
    while stack:
        prefix, entries = stack[-1]
        for entry in entries:
            path = prefix + entry.name
            yield path, entry
            if entry.kind == "dir":
                stack.append((path + b"/", iter(load(entry.content))))
                break
        else:
            stack.pop()


def contents(load: Callable[[Digest], Tree], tree: Digest) -> Iterator[tuple[bytes, TreeEntry]]:
    """As `walk`, of the folders only those that are empty."""
    return ((path, entry) for path, entry in walk(load, tree) if entry.kind != "dir" or entry.is_empty_folder)


def check_name(name: bytes) -> None:
    """Raises UnsupportedInput for a name that no folder can hold."""
    if not name or name in (b".", b"..") or b"/" in name or b"\0" in name or len(name) > MAX_NAME:
        raise UnsupportedInput(f"{show(name)} is no name for a file", hint="names have 1 to 255 bytes, no / and no NUL")


def check_target(target: bytes) -> None:
    """Raises UnsupportedInput for a link target that is empty, absolute or has a NUL."""
    if not target or target.startswith(b"/") or b"\0" in target or len(target) > MAX_TARGET:
        raise UnsupportedInput(f"link to {show(target)}: only relative links that stay inside are kept")


def check_link(path: bytes, target: bytes) -> None:
    """Raises UnsupportedInput when a link at `path` (relative to the top) may lead out of the tree.

    `..` may stand only at the start of a target and not more often than the link is deep:
    then it climbs real folders, and whatever follows goes down again.
    """
    try:
        check_target(target)
    except UnsupportedInput as exc:
        raise UnsupportedInput(f"{show(path)}: {exc.message}") from exc
    parts = [part for part in target.split(b"/") if part not in (b"", b".")]
    ups = 0
    while ups < len(parts) and parts[ups] == b"..":
        ups += 1
    if ups > path.count(b"/") or b".." in parts[ups:]:
        raise UnsupportedInput(
            f"{show(path)}: the link to {show(target)} may lead out of the tree",
            hint="make it relative, with .. only at its start, and inside the folder that is put",
        )


def show(name: bytes) -> str:
    """A name for messages: control bytes and what is not UTF-8 escaped."""
    return shown(name.decode("utf-8", "surrogateescape")) or "''"


def _row(entry: TreeEntry) -> list[Any]:
    check_name(entry.name)
    if entry.kind == "link":
        check_target(entry.target)
        return [entry.name, LINK, 0, entry.target]
    if entry.kind == "dir":
        if entry.mode not in _FOLDERS or (entry.mode != 0o755 and not entry.is_empty_folder):
            raise UnsupportedInput(f"{show(entry.name)}: mode {entry.mode:o} is not kept of such a folder")
        return [entry.name, _FOLDERS[entry.mode], 0, to_raw(entry.content)]
    mode = _FILES.get(entry.mode) if entry.kind == "file" else None
    if mode is None or not 0 <= entry.size < 2**63:
        raise UnsupportedInput(f"{show(entry.name)}: mode {entry.mode:o} or size {entry.size} is not kept")
    return [entry.name, mode, entry.size, to_raw(entry.content)]


def _entry(name: bytes, mode: int, size: int, last: bytes) -> TreeEntry:
    if mode == LINK:
        return TreeEntry(name, "link", 0o777, 0, None, last)
    if mode in FOLDERS:
        return TreeEntry(name, "dir", mode & 0o777 or 0o755, 0, from_raw(last))
    return TreeEntry(name, "file", mode & 0o777, size, from_raw(last))
