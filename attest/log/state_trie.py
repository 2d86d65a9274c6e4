"""A hash trie over named rows: one root, and proof that a row is there or not (docs/formats/state.md).

Promises: the shape follows from the rows alone, whatever order they came in; a prefix with at most
64 rows is a leaf, with more a node over the next hex digit of sha256(name); a blob that is read is
checked by its digest and its place. Leaves to others: what rows mean, and where blobs lie.

    trie = build({"channel/prod": {"release": "sha256:.."}})
    look_up(trie.root, trie.blobs.__getitem__, "channel/prod").value
    look_up(trie.root, trie.blobs.__getitem__, "revoked/sha256:..") is None        # shown to be absent
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from hashlib import sha256 as _sha256
from itertools import islice
from typing import Any

from attest import canonical
from attest.core.values import dataclass
from attest.digests import Digest, is_digest, sha256
from attest.errors import FormatError, VerificationError

LEAF, NODE = "casstore-state-leaf/1", "casstore-state-node/1"
WIDTH = 64
"""So many rows at most are one leaf."""
_DIGITS = "0123456789abcdef"

ReadBlob = Callable[[Digest], bytes]
"""The bytes of a leaf or node by digest; whoever has none raises."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row that is there."""

    name: str
    value: Any


@dataclass(frozen=True, slots=True)
class Trie:
    """A root, and the leaves and nodes that were made for it."""

    root: Digest
    blobs: Mapping[Digest, bytes] = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Made:
    """A row as it lies in a leaf."""

    key: str
    raw: bytes


@dataclass(frozen=True, slots=True)
class _Leaf:
    rows: tuple[_Made, ...]
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Node:
    children: tuple[Digest | None, ...]


def key_of(name: str) -> str:
    """Where a row belongs: 64 hex digits."""
    return _sha256(name.encode()).hexdigest()


def build(rows: Mapping[str, Any]) -> Trie:
    """The trie of some rows. Raises FormatError for a value that rows cannot hold."""
    blobs: dict[Digest, bytes] = {}
    return Trie(_put(sorted(_made(rows), key=lambda row: row.key), 0, blobs), blobs)


def change(root: Digest, read: ReadBlob, changes: Mapping[str, Any], gone: frozenset[str] = frozenset()) -> Trie:
    """The trie after rows were put or replaced (`changes`) and taken away (`gone`); `blobs` are the new ones only."""
    blobs: dict[Digest, bytes] = {}
    put = {row.key: row for row in _made(changes)}
    todo: dict[str, _Made | None] = {**{key_of(name): None for name in gone}, **put}
    made = _changed(root, "", read, todo, blobs)
    return Trie(_put([], 0, blobs) if made is None else made, blobs)


def look_up(root: Digest, read: ReadBlob, name: str) -> Row | None:
    """The row of that name, None when it is shown that there is none. Raises FormatError, VerificationError."""
    return _look_up(root, lambda digest, prefix: _parse(read(digest), digest, prefix), name)


def look_up_all(root: Digest, read: ReadBlob, names: Iterable[str]) -> dict[str, Row | None]:
    """As `look_up`, for many names: each blob is read and parsed once."""
    parsed: dict[tuple[Digest, str], _Leaf | _Node] = {}

    def at(digest: Digest, prefix: str) -> _Leaf | _Node:
        if (digest, prefix) not in parsed:
            parsed[digest, prefix] = _parse(read(digest), digest, prefix)
        return parsed[digest, prefix]

    return {name: _look_up(root, at, name) for name in names}


def _look_up(root: Digest, at: Callable[[Digest, str], _Leaf | _Node], name: str) -> Row | None:
    key, digest, prefix = key_of(name), root, ""
    while True:
        found = at(digest, prefix)
        if isinstance(found, _Leaf):
            return Row(name, found.values[name]) if name in found.values else None
        child = found.children[int(key[len(prefix)], 16)]
        if child is None:
            return None
        digest, prefix = child, key[: len(prefix) + 1]


def rows_of(root: Digest, read: ReadBlob) -> Iterator[Row]:
    """All rows, in order of their keys."""
    yield from (Row(*json.loads(row.raw)) for row in _all(root, "", read))


def differing(first: Digest, second: Digest, read: ReadBlob) -> list[str]:
    """The names of rows that two tries do not share, sorted; what is the same in both is not read."""
    return sorted(_differing(first, second, "", read))


def _differing(first: Digest | None, second: Digest | None, prefix: str, read: ReadBlob) -> Iterator[str]:
    if first == second:
        return
    sides = [None if digest is None else _parse(read(digest), digest, prefix) for digest in (first, second)]
    if all(isinstance(side, _Node) for side in sides):
        for one, other, digit in zip(
            *(side.children for side in sides if isinstance(side, _Node)), _DIGITS, strict=True
        ):
            yield from _differing(one, other, prefix + digit, read)
        return
    rows = [{row.raw for row in _all(d, prefix, read)} if d is not None else set() for d in (first, second)]
    yield from {str(json.loads(raw)[0]) for raw in rows[0] ^ rows[1]}


def _made(rows: Mapping[str, Any]) -> Iterator[_Made]:
    for name, value in rows.items():
        if not name:
            raise FormatError("state: a row has no name")
        yield _Made(key_of(name), encode([name, value]))


def encode(value: Any) -> bytes:
    """RFC 8785, for what rows may hold: texts, whole numbers, true, false, null, lists, objects with ASCII keys."""
    _check(value)
    try:
        return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError as exc:
        raise FormatError("state: a lone surrogate in a row") from exc


def _check(value: Any) -> None:
    if isinstance(value, dict):
        if not all(isinstance(key, str) and key.isascii() for key in value):
            raise FormatError("state: a row has a field whose name is not ASCII")
        for item in value.values():
            _check(item)
    elif isinstance(value, list):
        for item in value:
            _check(item)
    elif isinstance(value, int):
        if abs(value) >= 2**53:
            raise FormatError("state: a row has a number beyond 2**53 - 1")
    elif value is not None and not isinstance(value, str):
        raise FormatError(f"state: a row cannot hold {type(value).__name__}")


def _put(rows: list[_Made], depth: int, blobs: dict[Digest, bytes]) -> Digest:
    """Rows that are sorted and share their first `depth` digits."""
    if len(rows) <= WIDTH:
        return _keep(leaf_bytes([row.raw for row in rows]), blobs)
    groups: dict[str, list[_Made]] = {}
    for row in rows:
        groups.setdefault(row.key[depth], []).append(row)
    return _put_node(tuple(_put(groups[d], depth + 1, blobs) if d in groups else None for d in _DIGITS), blobs)


def _put_node(children: tuple[Digest | None, ...], blobs: dict[Digest, bytes]) -> Digest:
    return _keep(node_bytes(children), blobs)


def leaf_bytes(rows: Sequence[bytes]) -> bytes:
    """A leaf of encoded rows, which are in the order of their keys."""
    return b'{"format":"%s","rows":[%s]}' % (LEAF.encode(), b",".join(rows))


def node_bytes(children: Sequence[Digest | None]) -> bytes:
    """A node."""
    shown = ",".join("null" if child is None else f'"{child}"' for child in children)
    return f'{{"children":[{shown}],"format":"{NODE}"}}'.encode()


def _keep(data: bytes, blobs: dict[Digest, bytes]) -> Digest:
    digest = sha256(data)
    blobs[digest] = data
    return digest


def _changed(
    digest: Digest, prefix: str, read: ReadBlob, todo: Mapping[str, _Made | None], blobs: dict[Digest, bytes]
) -> Digest | None:
    """What lies under a prefix, with the changes made; None when nothing is left."""
    found = _parse(read(digest), digest, prefix)
    if isinstance(found, _Leaf):
        kept: dict[str, _Made | None] = {**{row.key: row for row in found.rows}, **todo}
        left = [row for _, row in sorted(kept.items()) if row is not None]
        return _put(left, len(prefix), blobs) if left else None
    children = list(found.children)
    for place, digit in enumerate(_DIGITS):
        below = prefix + digit
        here = {key: row for key, row in todo.items() if key.startswith(below)}
        child = children[place]
        if here and child is not None:
            children[place] = _changed(child, below, read, here, blobs)
        elif rows := [row for _, row in sorted(here.items()) if row is not None]:
            children[place] = _put(rows, len(below), blobs)
    return _closed(tuple(children), prefix, read, None in todo.values(), blobs)


def _closed(
    children: tuple[Digest | None, ...], prefix: str, read: ReadBlob, shrunk: bool, blobs: dict[Digest, bytes]
) -> Digest | None:
    """A node, or the leaf that it becomes when few rows are left."""

    def read_new(digest: Digest) -> bytes:
        return blobs[digest] if digest in blobs else read(digest)

    if shrunk:
        below = ((child, prefix + digit) for child, digit in zip(children, _DIGITS, strict=True) if child)
        rows = list(islice((row for child, at in below for row in _all(child, at, read_new)), WIDTH + 1))
        if len(rows) <= WIDTH:
            return _put(rows, len(prefix), blobs) if rows else None
    return _put_node(children, blobs)


def _all(digest: Digest, prefix: str, read: ReadBlob) -> Iterator[_Made]:
    found = _parse(read(digest), digest, prefix)
    if isinstance(found, _Leaf):
        yield from found.rows
        return
    for child, digit in zip(found.children, _DIGITS, strict=True):
        if child is not None:
            yield from _all(child, prefix + digit, read)


def _parse(data: bytes, digest: Digest, prefix: str) -> _Leaf | _Node:
    """A leaf or node at its place. Raises FormatError, VerificationError."""
    if sha256(data) != digest:
        raise VerificationError(f"state: {digest} has other bytes than its digest says")
    value = canonical.loads_object(data, what="state")
    if value.get("format") == LEAF and value.keys() == {"format", "rows"}:
        return _leaf(value["rows"], data, prefix)
    if value.get("format") == NODE and value.keys() == {"format", "children"}:
        return _node(value["children"], data)
    raise FormatError(f"state: {digest} is no leaf or node of a format that is known here")


def _leaf(rows: Any, data: bytes, prefix: str) -> _Leaf:
    if not isinstance(rows, list) or len(rows) > WIDTH:
        raise FormatError(f"state: a leaf has rows that are no list, or more than {WIDTH}")
    if not all(isinstance(row, list) and len(row) == 2 and isinstance(row[0], str) for row in rows):
        raise FormatError("state: a row is no pair of name and value")
    made = tuple(_Made(key_of(name), encode([name, value])) for name, value in rows)
    keys = [row.key for row in made]
    if keys != sorted(set(keys)) or not all(key.startswith(prefix) for key in keys):
        raise FormatError("state: the rows of a leaf are not in order, or lie in the wrong place")
    if _put(list(made), len(prefix), {}) != sha256(data):
        raise FormatError("state: a leaf is not in canonical form (RFC 8785)")
    return _Leaf(made, dict(rows))


def _node(children: Any, data: bytes) -> _Node:
    if not isinstance(children, list) or len(children) != len(_DIGITS):
        raise FormatError("state: a node has no 16 children")
    if not all(child is None or is_digest(child) for child in children):
        raise FormatError("state: a child of a node is no digest")
    if _put_node(tuple(children), {}) != sha256(data):
        raise FormatError("state: a node is not in canonical form (RFC 8785)")
    return _Node(tuple(children))
