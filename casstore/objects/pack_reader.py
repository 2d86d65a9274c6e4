"""Reads one pack: its table without any index, its pieces, and objects as bytes or in order.

Where the bytes come from is left to the caller: a function `read_at(offset, size)` that may
return fewer bytes only at the end of the file.

    reader = PackReader(read_at, size, name)
    table = reader.table()
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator

from attest.errors import FormatError
from casstore.objects import codec
from casstore.objects.pack_format import FOOTER, FRAME, HEADER, PIECE, Footer, PackTable, Piece, Place, piece_at

ReadAt = Callable[[int, int], bytes]


def read_table(read_at: ReadAt, size: int, name: bytes) -> PackTable:
    """The pack's table, checked against its name. Raises FormatError, TooNew."""
    if size < HEADER.size + FOOTER.size:
        raise FormatError("pack: shorter than header and footer")
    footer = Footer.parse(read_at(size - FOOTER.size, FOOTER.size), size)
    table = read_at(footer.table_offset, footer.table_size)
    return PackTable.parse(read_at(0, HEADER.size), table, footer, name)


def decode_piece(piece: Piece, stored: bytes, *, unchecked: bool = False) -> bytes:
    """The raw bytes of a piece, its own check made. Raises FormatError.

    `unchecked` is for a caller who hashes the whole object from it: once is enough.
    """
    if len(stored) != piece.stored:
        raise FormatError(f"pack: cut at byte {piece.offset + len(stored)}")
    if not unchecked and piece.codec != codec.RAW and hashlib.sha256(stored).digest() != piece.check:
        raise FormatError(f"pack: the piece at byte {piece.offset} is damaged")
    return codec.unpack(piece.codec, stored, piece.raw)


def run_of(pieces: bytes, place: Place) -> range:
    """The numbers of the pieces that hold an object. Raises FormatError."""
    if not place.length:
        return range(0)
    count = 1 if place.inner else -(-place.length // FRAME)
    if place.piece + count > len(pieces) // PIECE.size:
        raise FormatError("pack: an object ends after the last piece")
    return range(place.piece, place.piece + count)


def object_chunks(pieces: bytes, place: Place, load: Callable[[int, Piece], bytes]) -> Iterator[bytes]:
    """The object's bytes, not verified; `load(number, piece)` gives a piece's raw bytes."""
    left = place.length
    run = run_of(pieces, place)
    for number in run:
        data = load(number, piece_at(pieces, number))
        part = data[place.inner : place.inner + left] if len(run) == 1 else data
        if len(run) > 1 and len(part) != min(left, FRAME):
            raise FormatError(f"pack: piece {number} is not a full frame")
        left -= len(part)
        yield part
    if left:
        raise FormatError("pack: an object is longer than its pieces")
