"""What Go's linker takes from an object of Go's compiler, and which bytes of it it fills in. Runs in a cell.

Each function, table and string is a symbol with content of its own and relocations; the linker lays those that are
needed, for every system alike. Of functions and source files also the names, which stand in a table of the program.
Nothing is believed beyond its length.

    pieces(data)      # (content, where it is fixed), as `linkable` has them

Source: cmd/internal/goobj/objfile.go of Go 1.19 to 1.26; a header of text, then blocks whose offsets are listed.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from itertools import pairwise

import numpy as np

HEAD = b"go object "
_DARWIN = HEAD + b"darwin "
"""There a program keeps its table of symbols, whose names begin with a line."""
_MAGIC = re.compile(rb"\n!\n(?=\x00go1[0-9]{2}ld)")
_HEADER = 8 + 8 + 4
"""Magic, fingerprint and flags, before the offsets of the blocks."""
_FILES, _SYMBOLS, _REFERENCED, _RELOCATION_INDEX, _AUX_INDEX, _DATA_INDEX, _RELOCATIONS, _AUX, _DATA, _NAMES = (
    *(2, 3, 7, 11, 12, 13, 14, 15, 16, 17),
)
_BLOCKS = 19
_SYMBOL = np.dtype([("length", "<u4"), ("name", "<u4"), ("abi", "<u2"), ("kind", "u1"), ("rest", "V10")])
_ROW = np.dtype([("place", "<i4"), ("size", "u1"), ("kind", "<u2"), ("addend", "<i8"), ("symbol", "<u8")])
_TEXT = 1
_FILE, _ROOT = b"gofile..", b"$GOROOT/src/"
"""Taken away from names by -trimpath."""
_TYPES = re.compile(rb"\[.*\]", re.DOTALL)
"""What a function is of in particular is not in the name that a program has."""
_LEAST = 8
"""Smaller constants are so many that rows of them could spell anything."""
_LEAST_ENDED = 3
"""But not of those that end with a zero, as each table of addresses does."""


def pieces(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Of one object; nothing of anything else. Raises what `linkable` takes for the end."""
    found = _MAGIC.search(data, 0, 1 << 16)
    if not data.startswith(HEAD) or found is None:
        return
    body = data[found.end() :]
    blocks = struct.unpack_from(f"<{_BLOCKS}I", body, _HEADER)

    def rows(block: int, kind: str | np.dtype[np.void], end: int = 0) -> np.ndarray[tuple[int], np.dtype[np.generic]]:
        raw = body[blocks[block] : blocks[end or block + 1]]
        size = np.dtype(kind).itemsize
        return np.frombuffer(raw[: len(raw) // size * size], kind)

    filled = rows(_RELOCATIONS, _ROW)
    held = body[blocks[_DATA] : blocks[_NAMES]]
    index = zip(
        pairwise(rows(_DATA_INDEX, "<u4").tolist()), pairwise(rows(_RELOCATION_INDEX, "<u4").tolist()), strict=False
    )
    for (start, end), (first, last) in index:
        least = _LEAST if first < last or not held.endswith(b"\0", start, min(end, len(held))) else _LEAST_ENDED
        if start + least <= end <= len(held):
            fixed = np.ones(end - start, np.uint8)
            for place, size, *_ in filled[first:last].tolist():
                fixed[max(0, place) : max(0, place + size)] = 0
            yield held[start:end], fixed.tobytes()
    functions = [row[:2] for row in rows(_SYMBOLS, _SYMBOL, _REFERENCED).tolist() if row[3] == _TEXT]
    for length, start in (*functions, *rows(_FILES, "<u4").reshape(-1, 2).tolist()):
        name = body[start : start + length].removeprefix(_FILE).removeprefix(_ROOT)
        for one in {name, _TYPES.sub(b"[...]", name), *([b"_" + name] if data.startswith(_DARWIN) else [])}:
            if len(one) >= _LEAST:
                yield one + b"\0", b"\x01" * (len(one) + 1)
