"""Tables and lists that states share: one more row costs what that row costs, however many there are.

Both are immutable. A table that was saved is read row by row, when asked; an order it has none but that
of its keys' hashes, so what needs an order has a `Log`.

    releases = releases.plus({digest: info})
    history = history.plus(move)
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Generic, TypeVar, overload

import msgpack

from attest.digests import Digest, sha256
from casstore.errors import StoreDamaged
from casstore.ledger.states import row_trie
from casstore.ledger.states.row_trie import Cell, Trie

_K = TypeVar("_K")
_V = TypeVar("_V")
_T = TypeVar("_T")
_LARGE = 4096
"""Values of more bytes lie by themselves, so that their neighbours change without them."""
_NODE, _LEAF = 0, 1
_pack = msgpack.Packer().pack
_pack_key = msgpack.Packer(unicode_errors="surrogatepass").pack
_pack_value = msgpack.Packer(datetime=True).pack


def _same(value: Any) -> Any:
    return value


def _nothing(digest: Digest) -> bytes:
    raise StoreDamaged(f"the row {digest} of a saved state is nowhere")


class TableForm:
    """How a table's rows are written: msgpack (docs/formats/index.md)."""

    __slots__ = ("name", "of", "read", "to")

    def __init__(
        self,
        name: str,
        to: Callable[[Any], Any] = _same,
        of: Callable[[Any], Any] = _same,
        read: row_trie.ReadNode = _nothing,
    ) -> None:
        self.name, self.to, self.of, self.read = name, to, of, read

    def key(self, name: Any) -> str:
        """See `row_trie.Form`."""
        return hashlib.blake2b(_pack_key(name), digest_size=16).hexdigest()

    def raw(self, name: Any, value: Any) -> bytes:  # noqa: ARG002 - a sealed row has its name in its bytes
        """See `row_trie.Form`."""
        packed: bytes = _pack_value(self.to(value))
        return packed

    def value(self, raw: bytes) -> Any:
        """See `row_trie.Form`."""
        return self.of(msgpack.unpackb(raw, use_list=False, timestamp=3))

    def leaf(self, cells: Sequence[Cell]) -> bytes:
        """See `row_trie.Form`."""
        rows = [(cell.name, cell.written or self._written(cell)) for cell in cells]
        packed: bytes = _pack((self.name, _LEAF, rows))
        return packed

    def node(self, children: Sequence[Digest | None]) -> bytes:
        """See `row_trie.Form`."""
        packed: bytes = _pack((self.name, _NODE, children))
        return packed

    def parse(self, data: bytes) -> list[Cell] | list[Digest | None]:
        """See `row_trie.Form`."""
        name, kind, rows = msgpack.unpackb(data, use_list=False)
        if name != self.name:
            raise StoreDamaged(f"a saved row is one of {name}, not of {self.name}")
        if kind == _NODE:
            return list(rows)
        return [
            Cell(key, ref=Digest(found), known=False) if isinstance(found, str) else Cell(key, raw=found, known=False)
            for key, found in rows
        ]

    def _written(self, cell: Cell) -> bytes | Digest:
        cell.written = self.large(cell) or cell.raw(self)
        return cell.written

    def large(self, cell: Cell) -> Digest | None:
        """See `row_trie.Form`."""
        if cell.ref is None and len(raw := cell.raw(self)) > _LARGE:
            cell.ref = sha256(raw)
        return cell.ref


class Table(Mapping[_K, _V], Generic[_K, _V]):
    """Key -> value."""

    __slots__ = ("trie",)

    def __init__(self, trie: Trie) -> None:
        self.trie = trie

    def __getitem__(self, key: _K) -> _V:
        cell = self.trie.get(key)
        if cell is None:
            raise KeyError(key)
        return cell.value(self.trie.form)  # type: ignore[no-any-return]

    def get(self, key: _K, default: Any = None) -> Any:
        """The value, or the default."""
        cell = self.trie.get(key)
        return default if cell is None else cell.value(self.trie.form)

    def __contains__(self, key: object) -> bool:
        return self.trie.get(key) is not None

    def __iter__(self) -> Iterator[_K]:
        return (cell.name for cell in self.trie.cells())

    def __len__(self) -> int:
        return self.trie.size

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Table):
            if self.trie.is_same(other.trie):
                return True
            return len(self) == len(other) and not any(True for _ in self.changed(other))
        return isinstance(other, Mapping) and dict(self.items()) == dict(other.items())

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<{len(self)} rows>"

    def plus(self, rows: Mapping[_K, _V]) -> Table[_K, _V]:
        """With rows put or replaced."""
        return Table(self.trie.changed(rows)) if rows else self

    def minus(self, keys: Collection[_K]) -> Table[_K, _V]:
        """Without some rows."""
        return Table(self.trie.changed({}, keys)) if keys else self

    def changed(self, before: Table[_K, _V]) -> Iterator[_K]:
        """The keys of rows that are others than before, new or gone; what both share is not looked at."""
        for old, new in row_trie.differing(before.trie, self.trie):
            yield (new or old).name  # type: ignore[union-attr]


class Log(Sequence[_T], Generic[_T]):
    """Items in the order in which they came."""

    __slots__ = ("rows",)

    def __init__(self, rows: Table[int, _T]) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, place: int) -> _T: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[_T, ...]: ...
    def __getitem__(self, place: int | slice) -> _T | tuple[_T, ...]:
        if isinstance(place, slice):
            return tuple(self.rows[number] for number in range(*place.indices(len(self))))
        number = place + len(self) if place < 0 else place
        if not 0 <= number < len(self):
            raise IndexError(place)
        return self.rows[number]

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Log):
            return self.rows == other.rows
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<{len(self)} items>"

    def plus(self, item: _T) -> Log[_T]:
        """With one more at the end."""
        return Log(self.rows.plus({len(self): item}))

    def newest(self, count: int | None = None) -> Iterator[_T]:
        """From the last one back."""
        return islice(reversed(self), count)


def table(name: str, to: Callable[[Any], Any] = _same, of: Callable[[Any], Any] = _same) -> Table[Any, Any]:
    """An empty table."""
    return Table(Trie(TableForm(name, to, of)))


def log(name: str, to: Callable[[Any], Any] = _same, of: Callable[[Any], Any] = _same) -> Log[Any]:
    """An empty list."""
    return Log(table(name, to, of))
