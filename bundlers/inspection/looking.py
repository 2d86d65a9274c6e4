"""Looks into foreign bytes: what runs in a cell, and nowhere else. Who wants it asks `bundlers.inspection.door`.

A parser is a function of a seekable stream, a question of plain values, a scratch, and `tell` for what is to be known
before it has ended.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import IO, Any

import zstandard  # noqa: F401  later it could not be loaded

from bundlers.inspection import fingerprints, go_tables, linkable, linked, package_files, variants
from bundlers.inspection.packed import containers, nested
from bundlers.inspection.secret_forms import stream as secrets_in
from bundlers.inspection.units import Limits, Unit, is_text, raw_of
from casstore.hostile import Scratch

_PIECE = 1024 * 1024
_MAX_PROGRAM = 256 << 20
_HEAD = 64 * 1024
_MANY, _LAST = 256, 16

Tell = Callable[[Any], None]


def look(blob: IO[bytes], asked: Any, scratch: Scratch, tell: Tell) -> dict[str, Any]:
    """[limits, whether fingerprints]: units that have something, told when they are many; members; what is unopened."""
    limits, prints = asked
    units: list[list[Any]] = []

    def visit(path: str, data: IO[bytes]) -> None:
        unit = _unit(path, data, prints)
        if unit.hashes or unit.marks:
            units.append(unit.to_row())
        if len(units) > _MANY or sum(len(row[2]) for row in units[-_LAST:]) > _PIECE:
            tell(list(units))
            units.clear()

    visit("", blob)
    inside = nested.look_inside(blob, blob.seek(0, os.SEEK_END), Limits(*limits), visit, scratch)
    return {
        "units": units,
        "members": [member.to_row() for member in inside.members],
        "unopened": [[raw_of(place), why] for place, why in inside.unopened],
    }


def _unit(path: str, data: IO[bytes], prints: bool) -> Unit:
    data.seek(0)
    head = data.read(_HEAD)
    data.seek(0)
    marks = {f"secret:{found.rule}:{found.fingerprint}" for found in secrets_in.scan(data)}
    size = data.seek(0, os.SEEK_END)
    data.seek(0)
    if head.startswith((b"\x7fELF", b"MZ")):
        marks |= variants.marks(data.read(_MAX_PROGRAM))
        data.seek(0)
    hashes = steps = b""
    if prints:
        hashes, steps = fingerprints.of(iter(lambda: data.read(_PIECE), b"")).to_bytes()
    return Unit(path, tuple(sorted(marks)), hashes, steps, size, is_text(head))


def listed(blob: IO[bytes], asked: Any, scratch: Scratch, _: Tell) -> list[Any]:
    """[limits]: the members alone."""
    inside = nested.look_inside(blob, blob.seek(0, os.SEEK_END), Limits(*asked[0]), None, scratch)
    return [member.to_row() for member in inside.members]


def members(blob: IO[bytes], asked: Any, scratch: Scratch, tell: Tell) -> None:
    """[limits, path, other paths, room]: tells the bytes of a member, and of the others while there is room."""
    limits, path, others, room = asked
    wanted, left = {path, *others}, [room]

    def visit(place: str, data: IO[bytes]) -> None:
        raw = raw_of(place)
        if raw not in wanted or (raw != path and left[0] <= 0):
            return
        left[0] -= data.seek(0, os.SEEK_END)
        data.seek(0)
        tell([raw, None])
        while piece := data.read(_PIECE):
            tell([raw, piece])

    nested.look_inside(blob, blob.seek(0, os.SEEK_END), Limits(*limits), visit, scratch)


def secrets(blob: IO[bytes], asked: Any, scratch: Scratch, _: Tell) -> dict[str, Any]:
    """[limits]: the secrets of a file and of what is packed in it, and what is unopened."""
    found: list[list[Any]] = []

    def visit(path: str, data: IO[bytes]) -> None:
        place = path if not path or path.startswith("!") else f"!{path}"
        data.seek(0)
        found.extend([one.rule, one.fingerprint, one.offset, raw_of(place)] for one in secrets_in.scan(data))

    visit("", blob)
    inside = nested.look_inside(blob, blob.seek(0, os.SEEK_END), Limits(*asked[0]), visit, scratch)
    return {"secrets": found, "unopened": [[raw_of(place), why] for place, why in inside.unopened]}


def packages(blob: IO[bytes], _: Any, __: Scratch, ___: Tell) -> dict[str, Any]:
    """Nothing asked: what a program says that was linked into it, or why that cannot be read."""
    blob.seek(0)
    try:
        return {"packages": [list(row) for row in linked.packages(blob.read(_MAX_PROGRAM))], "unread": ""}
    except linked.Unreadable as exc:
        return {"packages": [], "unread": str(exc)}


def objects(blob: IO[bytes], _: Any, __: Scratch, tell: Tell) -> bool:
    """Tells what a linker takes from an object file: [content, where it is fixed], some at a time."""
    blob.seek(0)
    rows = linkable.pieces(blob.read(_MAX_PROGRAM))
    for start in range(0, len(rows), _MANY):
        tell([list(row) for row in rows[start : start + _MANY]])
    return bool(rows)


def tables(blob: IO[bytes], _: Any, __: Scratch, tell: Tell) -> bool:
    """Tells what Go's linker made of its own in a program: [start, end, places of names], some at a time."""
    blob.seek(0)
    rows = go_tables.tables(blob.read(_MAX_PROGRAM))
    for start in range(0, len(rows), _MANY):
        tell([list(row) for row in rows[start : start + _MANY]])
    return bool(rows)


def unpack(blob: IO[bytes], _: Any, scratch: Scratch, tell: Tell) -> bool:
    """Tells the members of one packed file, a compressed tar as a tar: [path, None], then [path, bytes]."""
    blob.seek(0)
    kind = containers.kind_of(blob)
    if not kind:
        return False
    blob.seek(0)
    try:
        for path, stream in containers.members(blob, kind):
            if stream is not None and not path:
                with scratch.part() as part:
                    while piece := stream.read(_PIECE):
                        part.write(piece)
                    return unpack(part.reader(), None, scratch, tell)
            if stream is not None:
                tell([raw_of(path), None])
                while piece := stream.read(_PIECE):
                    tell([raw_of(path), piece])
    except containers.BROKEN as exc:
        raise containers.cannot_open(exc) from exc
    return True


PARSERS: Mapping[str, Callable[[IO[bytes], Any, Scratch, Tell], Any]] = {
    "look": look,
    "listed": listed,
    "members": members,
    "secrets": secrets,
    "unpack": unpack,
    "packages": packages,
    "objects": objects,
    "tables": tables,
    "package": package_files.package,
    "lock": package_files.lock,
}
