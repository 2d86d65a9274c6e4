"""The pack's layout (docs/formats/pack.md): header, pieces, table, footer, and the seal that names it.

The table lists the pieces (where stored bytes lie), the objects (sorted by digest: which
piece, where in it, how long) and the subjects of attestations. The **seal** is the SHA-256
of header, table and footer; as the table holds the digest of every object and of every
compressed piece, it stands for every byte of the file, and it can be checked against the
pack's name from table and footer alone.

    table = PackTable.parse(header, table_bytes, Footer.parse(footer_bytes, size), name)
    table.find(raw_digest)          # -> Place or None
"""

from __future__ import annotations

import hashlib
import struct
from bisect import bisect_left
from collections.abc import Iterator
from typing import NamedTuple

from attest.errors import FormatError, TooNew

MAGIC = b"CASPACK\n"
END = b"\nKCAPSAC"
VERSION = 1
HEADER = struct.Struct(">8sHHI16s")
PIECE = struct.Struct(">QIIB32s")
OBJECT = struct.Struct(">32sBIIQ")
SUBJECT = struct.Struct(">32sI")
FOOTER = struct.Struct(">QIIII32s8s")
_FOOTER_SEALED = FOOTER.size - 40

BLOCK = 256 * 1024
"""Small blobs gather until a block holds this many bytes."""
SOLO = 64 * 1024
"""A blob above this size has pieces of its own; raw ones start at a multiple of ALIGN."""
FRAME = 1024 * 1024
"""No piece holds more raw bytes; a larger blob is a run of full ones and a last."""
ALIGN = 4096
NO_CHECK = bytes(32)


class Piece(NamedTuple):
    """Stored bytes: `stored` of them at `offset`, `raw` after decoding; `check` = their sha256 unless raw."""

    offset: int
    stored: int
    raw: int
    codec: int
    check: bytes


class Place(NamedTuple):
    """Where an object lies: from `inner` of piece `piece` on, for `length` bytes."""

    kind: int
    piece: int
    inner: int
    length: int


class Footer(NamedTuple):
    """The last 64 bytes of a pack: where the table is, how long its parts are, and the seal."""

    table_offset: int
    pieces: int
    objects: int
    subjects: int
    seal: bytes

    @property
    def table_size(self) -> int:
        """Bytes of the table."""
        return self.pieces * PIECE.size + self.objects * OBJECT.size + self.subjects * SUBJECT.size

    @staticmethod
    def parse(data: bytes, file_size: int) -> Footer:
        """The footer of a pack of `file_size` bytes. Raises FormatError."""
        if len(data) != FOOTER.size:
            raise FormatError("pack: shorter than its footer")
        offset, pieces, objects, subjects, reserved, seal, end = FOOTER.unpack(data)
        footer = Footer(offset, pieces, objects, subjects, seal)
        if end != END or reserved or offset < HEADER.size:
            raise FormatError("pack: no footer at its end")
        if offset + footer.table_size + FOOTER.size != file_size:
            raise FormatError("pack: its footer does not fit its size")
        return footer

    def sealed_part(self) -> bytes:
        """The bytes of the footer that the seal covers."""
        return FOOTER.pack(self.table_offset, self.pieces, self.objects, self.subjects, 0, self.seal, END)[
            :_FOOTER_SEALED
        ]

    def to_bytes(self) -> bytes:
        """All 64 bytes."""
        return self.sealed_part() + self.seal + END


def header_bytes(nonce: bytes) -> bytes:
    """The first 32 bytes."""
    return HEADER.pack(MAGIC, VERSION, 0, 0, nonce)


def check_header(data: bytes) -> None:
    """Raises FormatError for other bytes, TooNew for a later version."""
    if len(data) != HEADER.size or data[:8] != MAGIC:
        raise FormatError("pack: no header at its start")
    _, version, flags, reserved, _ = HEADER.unpack(data)
    if version > VERSION:
        raise TooNew(f"pack: format {version}, this program reads {VERSION}", hint="use a newer casstore")
    if version != VERSION or flags or reserved:
        raise FormatError("pack: unknown header")


def seal_of(header: bytes, table: bytes, footer: Footer) -> bytes:
    """The 32 bytes that name the pack."""
    hasher = hashlib.sha256(header)
    hasher.update(table)
    hasher.update(footer.sealed_part())
    return hasher.digest()


class PackTable:
    """The three lists of one pack, kept as bytes and read on demand."""

    __slots__ = ("name", "objects", "pieces", "subjects")

    def __init__(self, name: bytes, pieces: bytes, objects: bytes, subjects: bytes) -> None:
        self.name = name
        self.pieces = pieces
        self.objects = objects
        self.subjects = subjects

    @staticmethod
    def parse(header: bytes, table: bytes, footer: Footer, name: bytes) -> PackTable:
        """The table of the pack `name`, its seal checked. Raises FormatError."""
        check_header(header)
        if len(table) != footer.table_size:
            raise FormatError("pack: its table is cut")
        if seal_of(header, table, footer) != footer.seal or footer.seal != name:
            raise FormatError("pack: its table does not have the seal that names it")
        objects_at = footer.pieces * PIECE.size
        subjects_at = objects_at + footer.objects * OBJECT.size
        return PackTable(name, table[:objects_at], table[objects_at:subjects_at], table[subjects_at:])

    @property
    def object_count(self) -> int:
        """How many objects the pack holds."""
        return len(self.objects) // OBJECT.size

    @property
    def piece_count(self) -> int:
        """How many pieces the pack holds."""
        return len(self.pieces) // PIECE.size

    def piece(self, number: int) -> Piece:
        """One piece. Raises FormatError."""
        return piece_at(self.pieces, number)

    def iter_pieces(self) -> Iterator[Piece]:
        """All pieces, in file order."""
        return (Piece(*row) for row in PIECE.iter_unpack(self.pieces))

    def iter_objects(self) -> Iterator[tuple[bytes, int, int, int, int]]:
        """(raw digest, kind, piece, inner, length), sorted by digest."""
        return OBJECT.iter_unpack(self.objects)

    def iter_subjects(self) -> Iterator[tuple[bytes, bytes]]:
        """(raw subject, raw digest of the attestation), sorted by subject."""
        for subject, row in SUBJECT.iter_unpack(self.subjects):
            if row >= self.object_count:
                raise FormatError("pack: a subject names no object")
            yield subject, self.objects[row * OBJECT.size : row * OBJECT.size + 32]

    def find(self, raw: bytes) -> Place | None:
        """Where the object with this raw digest lies."""
        objects, size = self.objects, OBJECT.size
        row = bisect_left(range(self.object_count), raw, key=lambda i: objects[i * size : i * size + 32])
        if row == self.object_count or objects[row * size : row * size + 32] != raw:
            return None
        return Place(*OBJECT.unpack_from(objects, row * size)[1:])


def piece_at(pieces: bytes, number: int) -> Piece:
    """Row `number` of a list of pieces. Raises FormatError."""
    if not 0 <= number < len(pieces) // PIECE.size:
        raise FormatError(f"pack: there is no piece {number}")
    piece = Piece(*PIECE.unpack_from(pieces, number * PIECE.size))
    if piece.raw > FRAME or piece.stored > piece.raw:
        raise FormatError(f"pack: piece {number} is larger than a piece can be")
    return piece
