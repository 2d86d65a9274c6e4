"""Object files as a compiler writes them, and programs as a linker lays them.

data = elf_object([Section(code, holes=[(12, 4)])])
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

CALL, ADDRESS = 4, 1
"""Relocations of x86-64 of four and of eight bytes."""


@dataclass(frozen=True)
class Section:
    """Content, where a linker fills in (place, type), and the size of an entry where entries may be merged."""

    content: bytes
    holes: Sequence[tuple[int, int]] = ()
    entry: int = 0
    strings: bool = False

    @property
    def flags(self) -> int:
        return 2 | (16 if self.entry else 0) | (32 if self.strings else 0)


def elf_object(sections: Sequence[Section], *, machine: int = 62, kind: int = 1) -> bytes:
    """A relocatable ELF of 64 bits."""
    body, rows = bytearray(64), [(0,) * 10]
    for number, section in enumerate(sections):
        rows.append((0, 1, section.flags, 0, len(body), len(section.content), 0, 0, 1, section.entry))
        body += section.content
        if section.holes:
            held = b"".join(struct.pack("<QIIq", place, sort, 1, 0) for place, sort in section.holes)
            target = 1 + number + sum(1 for one in sections[:number] if one.holes)
            rows.append((0, 4, 0, 0, len(body), len(held), 0, target, 8, 24))
            body += held
    start = len(body)
    body += b"".join(struct.pack("<IIQQQQIIQQ", *row) for row in rows)
    head = (
        b"\x7fELF\x02\x01\x01"
        + bytes(9)
        + struct.pack("<HHIQQQIHHHHHH", kind, machine, 1, 0, 0, start, 0, 64, 0, 0, 64, len(rows), 0)
    )
    return head + bytes(body[64:])


def linked(section: Section, seed: int) -> bytes:
    """The section as it stands in a program: other addresses for another seed."""
    made = bytearray(section.content)
    for place, sort in section.holes:
        width = 8 if sort == ADDRESS else 4
        made[place : place + width] = ((seed * 2654435761 + place) & (2 ** (8 * width) - 1)).to_bytes(width, "little")
    return bytes(made)


def archive(members: dict[str, bytes]) -> bytes:
    """An ar, as a library is."""
    out = b"!<arch>\n"
    for name, data in members.items():
        out += (
            f"{name + '/':<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(data):<10}`\n".encode()
            + data
            + b"\n" * (len(data) % 2)
        )
    return out
