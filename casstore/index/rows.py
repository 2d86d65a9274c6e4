"""The index's rows: a msgpack record, then four bytes of check value over key and record.

value = seal(key, pack_row((3, 17, 4096, 512, 0)))
Row.parse(key, value)        # raises IndexDoubt when the check does not hold
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple
from zlib import crc32

import msgpack

from casstore.objects.pack_format import PackTable

VERSION = 1
TABLES = (b"objects", b"subjects", b"packs", b"names", b"pieces", b"large", b"meta", b"info")
"""The databases of an environment."""


class IndexDoubt(Exception):
    """The index is not what we wrote: it must be rebuilt. Never leaves `casstore`."""


class Row(NamedTuple):
    """Where an object lies: in which pack (by number), from which piece on."""

    pack: int
    piece: int
    inner: int
    length: int
    kind: int


class PackRow(NamedTuple):
    """A pack that the index knows; `announced` = a ledger entry names it."""

    name: bytes
    size: int
    announced: bool


def seal(key: bytes, record: bytes) -> bytes:
    """The value to store under a key."""
    return record + crc32(record, crc32(key)).to_bytes(4, "big")


def unseal(key: bytes, value: bytes) -> bytes:
    """The record of a stored value. Raises IndexDoubt."""
    record = value[:-4]
    if len(value) < 4 or crc32(record, crc32(key)) != int.from_bytes(value[-4:], "big"):
        raise IndexDoubt("a row's check value does not hold")
    return record


def is_whole(key: bytes, value: bytes) -> bool:
    """Whether the check of a stored value holds: all that a look for presence needs."""
    return len(value) > 4 and crc32(value[:-4], crc32(key)) == int.from_bytes(value[-4:], "big")


def parse_row(key: bytes, value: bytes) -> Row:
    """An object's row. Raises IndexDoubt."""
    record = value[:-4]
    if crc32(record, crc32(key)) != int.from_bytes(value[-4:], "big"):  # `unseal`, without the call: this is hot
        raise IndexDoubt("a row's check value does not hold")
    try:
        pack, piece, inner, length, kind = fields = msgpack.unpackb(record)
    except (ValueError, TypeError, msgpack.UnpackException, RecursionError) as exc:
        raise IndexDoubt("an object's row has another form") from exc
    if not type(pack) is type(piece) is type(inner) is type(length) is type(kind) is int or type(fields) is not list:
        raise IndexDoubt("an object's row has another form")
    return Row(pack, piece, inner, length, kind)


def parse_pack_row(key: bytes, value: bytes) -> PackRow:
    """A pack's row. Raises IndexDoubt."""
    fields = unpack(unseal(key, value))
    if not isinstance(fields, list) or [type(field) for field in fields] != [bytes, int, bool]:
        raise IndexDoubt("a pack's row has another form")
    return PackRow(*fields)


def unpack(record: bytes) -> Any:
    """A msgpack record. Raises IndexDoubt."""
    try:
        return msgpack.unpackb(record)
    except (ValueError, msgpack.UnpackException, RecursionError) as exc:
        raise IndexDoubt("a row is no msgpack") from exc


def pack(value: Any) -> bytes:
    """A value as msgpack."""
    packed: bytes = msgpack.packb(value)
    return packed


def object_items(number: int, table: PackTable, *, kinds: Iterable[int] | None = None) -> Iterator[tuple[bytes, bytes]]:
    """(key, value) of every object of a pack, sorted by key; the hot loop of every rebuild."""
    packer = msgpack.Packer().pack
    wanted = None if kinds is None else frozenset(kinds)
    for raw, kind, piece, inner, length in table.iter_objects():
        if wanted is None or kind in wanted:
            record = packer((number, piece, inner, length, kind))
            yield raw, record + crc32(record, crc32(raw)).to_bytes(4, "big")
