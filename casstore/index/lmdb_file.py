"""Looks at an LMDB data file without LMDB: a cut or foreign one would kill the process.

LMDB maps the file and believes it. So first: two meta pages with its magic, and as many
bytes as the newer of them claims. What only a walk can find is left to `probe`.

    examine("/store/index/g-12/data.mdb")     # -> None, or what is wrong
"""

from __future__ import annotations

import os
import struct

_PAGE_HEADER = 16
_META = struct.Struct("=IIQQ")  # magic, version, fixed address, map size (64-bit machines)
_DB = struct.Struct("=IHHQQQQQ")  # 48 bytes; the first field of the first one is the page size
_MAGIC = 0xBEEFC0DE
_VERSION = 1


def examine(path: str) -> str | None:
    """What is wrong with the data file at `path`, or None when LMDB may be tried."""
    try:
        with open(path, "rb", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            first = file.read(4096)
            page_size = _page_size(first)
            file.seek(page_size)
            second = file.read(4096)
    except OSError as exc:
        return f"cannot be read: {exc.strerror}"
    except ValueError as exc:
        return str(exc)
    return _compare(first, second, page_size, size)


def _page_size(page: bytes) -> int:
    magic, version, _, _ = _unpack_meta(page)
    if magic != _MAGIC or version != _VERSION:
        raise ValueError("is no LMDB file of this version")
    size: int = _DB.unpack_from(page, _PAGE_HEADER + _META.size)[0]
    if size < 512 or size > 65536 or size & (size - 1):
        raise ValueError("has a page size that cannot be")
    return size


def _compare(first: bytes, second: bytes, page_size: int, size: int) -> str | None:
    try:
        if _page_size(second) != page_size:
            return "has two different page sizes"
    except ValueError as exc:
        return str(exc)
    tail = _PAGE_HEADER + _META.size + 2 * _DB.size
    last = max(struct.unpack_from("=QQ", page, tail)[::-1] for page in (first, second))[1]
    if (last + 1) * page_size > size:
        return f"is cut: {size} bytes, {(last + 1) * page_size} are needed"
    return None


def _unpack_meta(page: bytes) -> tuple[int, int, int, int]:
    if len(page) < 256:
        raise ValueError("is shorter than a page")
    magic, version, address, map_size = _META.unpack_from(page, _PAGE_HEADER)
    return magic, version, address, map_size
