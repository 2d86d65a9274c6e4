"""The paths of a product, looked at once in their order: each stays inside, stands once, and is no other's folder.

check_rows(files, folders)          # or FormatError; rows may be a million, none is kept
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias

from attest.errors import FormatError
from bundlers.products.product_files import ProductFile, ProductFolder
from casstore.errors import UnsupportedInput
from casstore.objects.tree import check_link

_Row: TypeAlias = ProductFile | ProductFolder
_DOTS = frozenset(("", ".", ".."))
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]")


def check_path(path: str) -> None:
    """A relative path that stays inside, one writing. Raises FormatError."""
    if not _DOTS.isdisjoint(path.split("/")) or _CONTROLS.search(path):
        raise FormatError(f"not a path inside a product: {path[:200]!r}")


def check_rows(files: Iterable[ProductFile], folders: Sequence[ProductFolder]) -> None:
    """Files, links and empty folders of one product, in time that grows with their text alone. Raises FormatError."""
    above: dict[int, _Row] = {}
    """By the length of its path: the rows before, the shortest first, whose paths the row's own begins with."""
    for row in _merged(files, folders):
        check_path(row.path)
        # Of sorted paths those that begin with another one follow it without a gap.
        while above and not row.path.startswith(next(reversed(above.values())).path):
            above.popitem()
        for end in _ends(row.path) if above else ():
            if end in above:
                raise FormatError(f"ProductManifest: {_clash(above[end], row)}")
        above[len(row.path)] = row
        if isinstance(row, ProductFile) and row.digest is None:
            _check_link(row)


def _ends(path: str) -> Iterator[int]:
    """How long the path of each folder above is, and its own."""
    end = path.find("/")
    while end >= 0:
        yield end
        end = path.find("/", end + 1)
    yield len(path)


def _merged(files: Iterable[ProductFile], folders: Sequence[ProductFolder]) -> Iterator[_Row]:
    parts: list[Iterator[_Row]] = [_sorted(files, "files")]
    if folders:
        parts.append(_sorted(folders, "folders"))
    return heapq.merge(*parts, key=lambda row: row.path.encode()) if folders else parts[0]


def _sorted(rows: Iterable[_Row], what: str) -> Iterator[_Row]:
    before = b""
    for row in rows:
        path = row.path.encode()
        if path <= before and before:
            raise FormatError(f"ProductManifest: {what} are not sorted, or a path stands twice")
        before = path
        yield row


def _clash(one: _Row, row: _Row) -> str:
    if one.path == row.path:
        return f"{row.path} is a file and an empty folder"
    if isinstance(one, ProductFolder):
        return f"{one.path} is an empty folder, and {row.path} lies in it"
    return f"{one.path} is a file and the folder of {row.path}"


def _check_link(file: ProductFile) -> None:
    try:
        check_link(file.path.encode(), file.link.encode())
    except UnsupportedInput as exc:
        raise FormatError(f"ProductManifest: {exc.message}") from exc
