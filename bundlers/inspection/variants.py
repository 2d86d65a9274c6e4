"""Marks by which two builds of the same program are known, though one was stripped or signed.

ELF: its build-id, and a digest of its executable sections. PE: a digest of its executable sections,
and of the whole file without checksum, certificate table and what follows it (as Authenticode
hashes it). A file that is neither, or is broken, has no marks; nothing is believed beyond its length.

    marks(data) & marks(stripped)      # not empty: the same program

Sources: https://refspecs.linuxfoundation.org/elf/gabi4+/ch4.sheader.html ,
https://learn.microsoft.com/windows/win32/debug/pe-format
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator

_MAX_SECTIONS = 4096
_MIN_CODE = 512
"""Less code than this is start-up code that many programs have."""
_PIECE = 1 << 20
_EXEC = 0x4
_NOTE, _NOBITS = 7, 8
_PE_CODE = 0x20000020


def marks(data: bytes | memoryview) -> frozenset[str]:
    """Marks of a program's bytes, each `what:hex`."""
    view = memoryview(data)
    try:
        if bytes(view[:4]) == b"\x7fELF":
            return frozenset(_elf(view))
        if bytes(view[:2]) == b"MZ":
            return frozenset(_pe(view))
    except (struct.error, ValueError, IndexError, OverflowError):
        pass
    return frozenset()


def _elf(view: memoryview) -> Iterator[str]:
    wide, order = view[4] == 2, "<" if view[5] == 1 else ">"
    table = struct.unpack_from(f"{order}{'Q' if wide else 'I'}", view, 0x28 if wide else 0x20)[0]
    size, count, _ = struct.unpack_from(f"{order}3H", view, 0x3A if wide else 0x2E)
    form = f"{order}{'2I4Q2I2Q' if wide else '10I'}"
    code, length, read = hashlib.sha256(), 0, 0
    if size < struct.calcsize(form):
        return
    for number in range(min(count, _MAX_SECTIONS)):
        _, kind, flags, _, start, extent, *_ = struct.unpack_from(form, view, table + number * size)
        part = view[start : start + extent]
        read += len(part) if kind != _NOBITS else 0
        if read > 2 * len(view):
            return  # sections of a program do not lie on each other
        if kind == _NOTE:
            yield from _build_ids(part, order)
        elif flags & _EXEC and kind != _NOBITS:
            code.update(part)
            length += len(part)
    if length >= _MIN_CODE:
        yield f"elf-code:{code.hexdigest()}"


def _build_ids(note: memoryview, order: str) -> Iterator[str]:
    at = 0
    while at + 12 <= len(note):
        name_size, size, kind = struct.unpack_from(f"{order}3I", note, at)
        name = bytes(note[at + 12 : at + 12 + name_size])
        start = at + 12 + -(-name_size // 4) * 4
        if kind == 3 and name == b"GNU\0" and size >= 8:
            yield f"build-id:{bytes(note[start : start + size]).hex()}"
        at = start + -(-size // 4) * 4


def _pe(view: memoryview) -> Iterator[str]:
    header = struct.unpack_from("<I", view, 0x3C)[0]
    if bytes(view[header : header + 4]) != b"PE\0\0":
        return
    count, _, _, _, optional = struct.unpack_from("<H3IH", view, header + 6)
    magic = struct.unpack_from("<H", view, header + 24)[0]
    table = header + 24 + optional
    code, length = hashlib.sha256(), 0
    for number in range(min(count, _MAX_SECTIONS)):
        at = table + 40 * number
        virtual, _, extent, start = struct.unpack_from("<4I", view, at + 8)
        if struct.unpack_from("<I", view, at + 36)[0] & _PE_CODE:
            part = view[start : start + min(extent, virtual or extent)]
            code.update(part)
            length += len(part)
    if length >= _MIN_CODE:
        yield f"pe-code:{code.hexdigest()}"
    yield f"pe-image:{_unsigned(view, header + 24, magic)}"


def _unsigned(view: memoryview, optional: int, magic: int) -> str:
    """The file without checksum, certificate entry and certificates; padding before them is dropped."""
    entry = optional + (144 if magic == 0x20B else 128)
    start, size = struct.unpack_from("<2I", view, entry)
    end = start if 0 < start <= len(view) and size else len(view)
    hashing = hashlib.sha256(view[: optional + 64])
    hashing.update(view[optional + 68 : entry])
    hashing.update(view[entry + 8 : _last(view, entry + 8, end)])
    return hashing.hexdigest()


def _last(view: memoryview, start: int, end: int) -> int:
    """Behind the last byte that is not zero, without a copy of all."""
    while end > start:
        low = max(start, end - _PIECE)
        if rest := len(bytes(view[low:end]).rstrip(b"\0")):
            return low + rest
        end = low
    return max(start, end)
