"""Everything that docs/formats/pack.md says of a pack's table, beyond the seal that was checked when it was read.

check_table(table, file_size)         # raises FormatError
"""

from __future__ import annotations

from itertools import accumulate
from operator import itemgetter

from attest.errors import FormatError
from casstore.objects.codec import RAW
from casstore.objects.kinds import Kind
from casstore.objects.pack_format import ALIGN, FOOTER, FRAME, HEADER, NO_CHECK, OBJECT, SUBJECT, PackTable

_KINDS = frozenset(int(kind) for kind in Kind)


def check_table(table: PackTable, size: int) -> None:
    """Everything that docs/formats/pack.md says of a table. Raises FormatError."""
    end = HEADER.size
    for number, piece in enumerate(table.iter_pieces()):
        gap = piece.offset - end
        if gap and (gap < 0 or gap >= ALIGN or piece.offset % ALIGN):
            raise FormatError(f"pack: piece {number} does not follow the one before")
        if not 0 < piece.stored <= piece.raw <= FRAME or (piece.codec == RAW) != (piece.check == NO_CHECK):
            raise FormatError(f"pack: piece {number} has sizes or a check that cannot be")
        end = piece.offset + piece.stored
    if end + len(table.pieces) + len(table.objects) + len(table.subjects) + FOOTER.size != size:
        raise FormatError("pack: bytes between the last piece and the table")
    _check_rows(table.objects, OBJECT.size, 32, "objects")
    _check_rows(table.subjects, SUBJECT.size, SUBJECT.size, "subjects")
    _check_cover(table)
    for _, raw in table.iter_subjects():
        place = table.find(raw)
        if place is None or place.kind != Kind.ATTESTATION:
            raise FormatError("pack: subjects of what is no attestation")


def _check_rows(rows: bytes, size: int, key: int, what: str) -> None:
    last = b""
    for at in range(0, len(rows), size):
        here = rows[at : at + key]
        if here <= last:
            raise FormatError(f"pack: its {what} are not sorted, or one stands twice")
        last = here


def _check_cover(table: PackTable) -> None:
    """The objects fill the pieces, one after the other, with nothing left over."""
    sizes = [piece.raw for piece in table.iter_pieces()]
    starts = [0, *accumulate(sizes)]
    position = 0
    for _, kind, piece, inner, length in sorted(table.iter_objects(), key=itemgetter(2, 3, 4)):
        if kind not in _KINDS or (not length and (piece or inner)):
            raise FormatError("pack: an object of an unknown kind, or an empty one with a place")
        if not length:
            continue
        if piece >= len(sizes) or starts[piece] + inner != position:
            raise FormatError("pack: objects overlap, or bytes belong to none")
        position += length
        if inner + length > sizes[piece]:
            _check_run(sizes, piece, inner, length)
    if position != starts[-1]:
        raise FormatError("pack: bytes that belong to no object, or an object that ends after the last piece")


def _check_run(sizes: list[int], piece: int, inner: int, length: int) -> None:
    """A large object: full frames and a last one, all its own."""
    full, rest = divmod(length, FRAME)
    if full > len(sizes):
        raise FormatError("pack: an object is longer than all pieces")
    expected = [FRAME] * full + ([rest] if rest else [])
    if inner or sizes[piece : piece + len(expected)] != expected:
        raise FormatError("pack: an object runs over pieces that are not full")
