"""What a program says of itself that was linked into it: Rust crates and Go modules.

Rust: the section `.dep-v0` that cargo-auditable writes (zlib-packed JSON), in ELF, PE and Mach-O. Go: the build info
that its linker writes since 1.18 into every program, stripped or not. Runs in a cell: nothing is believed beyond its
length.

    packages(data)      # [("cargo", "serde", "1.0.200"), ("golang", "golang.org/x/net", "v0.33.0"), ...]

Sources: https://github.com/rust-secure-code/cargo-auditable/blob/master/PARSING.md ,
https://pkg.go.dev/debug/buildinfo
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterator

Package = tuple[str, str, str]
"""Type of a package URL, name, version."""

_MAX_SECTIONS = 4096
_MAX_LIST = 64 << 20
_RUST = b".dep-v0"
_GO = b"\xff Go buildinf:"
_GO_SECTIONS = (b".go.buildinfo", b"__go_buildinfo")
_GO_ALIGN, _GO_HEAD, _GO_INLINE, _GO_MARK = 16, 32, 2, 16
_MACHO = {b"\xcf\xfa\xed\xfe": "<", b"\xfe\xed\xfa\xcf": ">"}


class Unreadable(Exception):
    """It has such a list, and the list is broken, or of a form that is not read; the message says which."""


def packages(data: bytes) -> list[Package]:
    """Sorted, each once; none of a file that has no such list. Raises Unreadable."""
    return sorted({*_rust(data), *_go(data)})


def _rust(data: bytes) -> Iterator[Package]:
    for name, start, size in _sections(memoryview(data)):
        if name.rstrip(b"\0") == _RUST:
            yield from _crates(data[start : start + size])


def _crates(packed: bytes) -> Iterator[Package]:
    unpack = zlib.decompressobj()
    try:
        raw = unpack.decompress(packed, _MAX_LIST)
        if not unpack.eof:
            raise Unreadable("the list of its crates is cut off, or too large")
        for row in json.loads(raw)["packages"]:
            if row.get("kind", "runtime") == "runtime":
                yield "cargo", str(row["name"]), str(row["version"])
    except (zlib.error, ValueError, KeyError, TypeError, AttributeError, RecursionError) as exc:
        raise Unreadable(f"the list of its crates cannot be read: {exc}") from exc


def _sections(view: memoryview) -> Iterator[tuple[bytes, int, int]]:
    """Name, offset and size of each section of a program; none of what is no program."""
    head = bytes(view[:4])
    try:
        if head == b"\x7fELF":
            yield from _elf(view)
        elif head[:2] == b"MZ":
            yield from _pe(view)
        elif head in _MACHO:
            yield from _macho(view, _MACHO[head])
    except (struct.error, ValueError, IndexError, OverflowError):
        return


def _elf(view: memoryview) -> Iterator[tuple[bytes, int, int]]:
    wide, order = view[4] == 2, "<" if view[5] == 1 else ">"
    table = struct.unpack_from(f"{order}{'Q' if wide else 'I'}", view, 0x28 if wide else 0x20)[0]
    size, count, names = struct.unpack_from(f"{order}3H", view, 0x3A if wide else 0x2E)
    form = f"{order}{'2I4Q2I2Q' if wide else '10I'}"
    rows = [struct.unpack_from(form, view, table + at * size) for at in range(min(count, _MAX_SECTIONS))]
    if names >= len(rows):
        return
    texts = rows[names][4]
    for row in rows:
        start = texts + row[0]
        yield bytes(view[start : start + 32]).partition(b"\0")[0], row[4], row[5]


def _pe(view: memoryview) -> Iterator[tuple[bytes, int, int]]:
    header = struct.unpack_from("<I", view, 0x3C)[0]
    if bytes(view[header : header + 4]) != b"PE\0\0":
        return
    count, _, _, _, optional = struct.unpack_from("<H3IH", view, header + 6)
    for at in range(min(count, _MAX_SECTIONS)):
        name, virtual, _, size, start = struct.unpack_from("<8s4I", view, header + 24 + optional + at * 40)
        yield name.rstrip(b"\0"), start, min(size, virtual) if virtual else size


def _macho(view: memoryview, order: str) -> Iterator[tuple[bytes, int, int]]:
    count = struct.unpack_from(f"{order}I", view, 16)[0]
    at = 32
    for _ in range(min(count, _MAX_SECTIONS)):
        command, length = struct.unpack_from(f"{order}2I", view, at)
        if command == 0x19:  # a 64-bit segment
            inner = struct.unpack_from(f"{order}I", view, at + 64)[0]
            for number in range(min(inner, _MAX_SECTIONS)):
                place = at + 72 + number * 80
                name, _, _, size, start = struct.unpack_from(f"{order}16s16sQQI", view, place)
                yield name.rstrip(b"\0"), start, size
        if length < 8:
            return
        at += length


def _go(data: bytes) -> Iterator[Package]:
    problem = None
    for at in _go_places(data):
        try:
            yield from _build_info(data, at)
            return
        except Unreadable as exc:  # the words may stand in a program that reads such programs
            problem = exc
    if problem is not None:
        raise problem


def _go_places(data: bytes) -> Iterator[int]:
    """Where build info may begin: its own section, else wherever the words stand aligned, as in PE."""
    if data[:4] not in (b"\x7fELF", *_MACHO) and data[:2] != b"MZ":
        return
    own = [start for name, start, _ in _sections(memoryview(data)) if name.rstrip(b"\0") in _GO_SECTIONS]
    yield from (start for start in own if data[start : start + len(_GO)] == _GO)
    at = -1 if own else data.find(_GO)
    while at >= 0:
        if at % _GO_ALIGN == 0:
            yield at
        at = data.find(_GO, at + 1)


def _build_info(data: bytes, at: int) -> list[Package]:
    if not data[at + 15 : at + 16] or not data[at + 15] & _GO_INLINE:
        raise Unreadable("it was linked by a Go before 1.18, whose build info is not read")
    version, after = _text(data, at + _GO_HEAD)
    modules, _ = _text(data, after)
    if not version.startswith(b"go"):
        raise Unreadable("its Go build info names no version of Go")
    own = ("golang", "stdlib", version[2:].split(b" ")[0].decode("ascii", "replace"))
    return [own, *_modules(modules[_GO_MARK:-_GO_MARK] if len(modules) >= 2 * _GO_MARK else b"")]


def _text(data: bytes, at: int) -> tuple[bytes, int]:
    """A text with its length before it, as a varint."""
    size, shift = 0, 0
    while shift < 64 and at < len(data):
        byte = data[at]
        size |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if not byte & 0x80:
            if size > _MAX_LIST or at + size > len(data):
                break
            return data[at : at + size], at + size
    raise Unreadable("its Go build info is cut off")


def _modules(raw: bytes) -> Iterator[Package]:
    found: list[Package] = []
    for line in raw.decode("utf-8", "replace").splitlines():
        word, *rest = line.split("\t")
        if word in ("mod", "dep") and len(rest) >= 2:
            found.append(("golang", rest[0], rest[1]))
        elif word == "=>" and len(rest) >= 2 and found and not rest[0].startswith((".", "/")):
            found[-1] = ("golang", rest[0], rest[1])
    yield from found
