"""What stands in a ProductManifest, row by row: files, links and empty folders; a million of them in 70 bytes each.

Promises: `FileRows` is a sequence of ProductFile that is never changed, and makes each value when it is asked for, so a
product costs what its paths and digests cost. Leaves to others: what the rows must be (`product_manifests`).

    rows = FileRows.of([ProductFile("bin/core", 0o755, 12, digest, component="core")])
    rows[0].path, rows.find("bin/core")
"""

from __future__ import annotations

import heapq
import struct
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence, ValuesView
from itertools import pairwise
from typing import Any, NamedTuple, overload

from attest.digests import Digest, from_raw, to_raw
from attest.errors import FormatError

_ROW = struct.Struct("<32sQHI")
"""Digest (of a link zeros), size, mode, number of the component."""
_NOTHING = b"\0" * 32
LINK = 0xFFFF
"""Stands where a file has its mode."""


class ProductFile(NamedTuple):
    """A file (mode, size, digest) or a symbolic link (link) of a build; its path is below `wrap`."""

    path: str
    mode: int = 0o644
    size: int = 0
    digest: Digest | None = None
    link: str = ""
    component: str = ""
    """Who brings it."""

    @property
    def content(self) -> Digest:
        """The digest of a file."""
        if self.digest is None:
            raise FormatError(f"{self.path} is a link and has no digest")
        return self.digest

    def to_json(self) -> dict[str, Any]:
        """A row of `files`."""
        by = {"path": self.path, "component": self.component}
        if self.digest is None:
            return {**by, "link": self.link}
        return {**by, "mode": f"{self.mode:04o}", "size": self.size, "digest": self.digest}


class ProductFolder(NamedTuple):
    """An empty folder of a build; its path is below `wrap`."""

    path: str
    mode: int = 0o755
    component: str = ""
    """Who brings it."""

    def to_json(self) -> dict[str, Any]:
        """A row of `folders`."""
        return {"path": self.path, "mode": f"{self.mode:04o}", "component": self.component}


class FileRows(Sequence[ProductFile]):
    """See the module; made by `of` or a `Packing`."""

    __slots__ = ("_above", "_ends", "_names", "_rows", "_text")

    def __init__(
        self, rows: bytearray, text: bytearray, ends: array[int], names: tuple[str, ...], above: str = ""
    ) -> None:
        """`ends`: where the text of each row ends; of a link it is its path, a NUL, and where it leads."""
        self._rows, self._text, self._ends, self._names, self._above = rows, text, ends, names, above

    @staticmethod
    def of(files: Iterable[ProductFile]) -> FileRows:
        """In the order in which they are given; what is packed already is taken as it is."""
        if isinstance(files, FileRows):
            return files
        packing = Packing()
        for file in files:
            packing.add(file)
        return packing.done()

    def below(self, folder: str) -> FileRows:
        """The same rows in a folder."""
        return FileRows(self._rows, self._text, self._ends, self._names, f"{self._above}{folder}/")

    def contents(self) -> FileRows:
        """Without the links; the same object where there is none."""
        if all(mode != LINK for _, _, mode, _ in _ROW.iter_unpack(self._rows)):
            return self
        return FileRows.of(file for file in self if file.digest is not None)

    def sorted(self) -> FileRows:
        """In the order of the paths' bytes; the same object where they stand in it."""
        if all(one <= two for one, two in pairwise(map(self._path, range(len(self))))):
            return self
        return FileRows.of(map(self.__getitem__, sorted(range(len(self)), key=self._path)))

    @property
    def distinct(self) -> bool:
        """Whether no path stands twice, where they are sorted."""
        return all(one != two for one, two in pairwise(map(self._path, range(len(self)))))

    def find(self, path: str) -> int | None:
        """The number of a path's row, where they are sorted."""
        above = self._above
        if not path.startswith(above):
            return None
        wanted = path[len(above) :].encode("utf-8", "surrogatepass")
        number = bisect_left(range(len(self)), wanted, key=self._path)
        return number if number < len(self) and self._path(number) == wanted else None

    def get(self, path: str) -> ProductFile | None:
        """The row of a path, where they are sorted."""
        number = self.find(path)
        return None if number is None else self[number]

    def has_below(self, folder: str) -> bool:
        """Whether a row lies in that folder, where they are sorted."""
        inside = f"{folder}/".encode("utf-8", "surrogatepass")
        number = bisect_left(range(len(self)), inside, key=self._path)
        return number < len(self) and self._path(number).startswith(inside)

    def digests(self) -> Iterator[Digest]:
        """Of the files, in order."""
        return (from_raw(raw) for raw, _, mode, _ in _ROW.iter_unpack(self._rows) if mode != LINK)

    def raw_digests(self) -> Iterator[bytes]:
        """As `digests`, 32 bytes each."""
        return (raw for raw, _, mode, _ in _ROW.iter_unpack(self._rows) if mode != LINK)

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(size for _, size, _, _ in _ROW.iter_unpack(self._rows))

    @property
    def components(self) -> tuple[str, ...]:
        """Each that brings a row."""
        return self._names

    def __len__(self) -> int:
        return len(self._ends)

    def __iter__(self) -> Iterator[ProductFile]:
        text, above, names, start = self._text, self._above, self._names, 0
        for (raw, size, mode, number), end in zip(_ROW.iter_unpack(self._rows), self._ends, strict=True):
            said = text[start:end].decode("utf-8", "surrogatepass")
            start = end
            if mode != LINK:
                yield ProductFile(above + said, mode, size, Digest(f"sha256:{raw.hex()}"), "", names[number])
            else:
                path, _, link = said.partition("\0")
                yield ProductFile(above + path, 0o644, size, None, link, names[number])

    @overload
    def __getitem__(self, at: int) -> ProductFile: ...
    @overload
    def __getitem__(self, at: slice) -> FileRows: ...
    def __getitem__(self, at: int | slice) -> ProductFile | FileRows:
        if isinstance(at, slice):
            return FileRows.of(self[number] for number in range(*at.indices(len(self))))
        number = range(len(self))[at]
        raw, size, mode, name = _ROW.unpack_from(self._rows, number * _ROW.size)
        said = self._said(number).decode("utf-8", "surrogatepass")
        if mode != LINK:
            return ProductFile(self._above + said, mode, size, from_raw(raw), "", self._names[name])
        path, _, link = said.partition("\0")
        return ProductFile(self._above + path, 0o644, size, None, link, self._names[name])

    def __eq__(self, other: object) -> bool:
        if isinstance(other, FileRows) and len(self) != len(other):
            return False
        return isinstance(other, Sequence) and all(a == b for a, b in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"FileRows({len(self)})"

    def _said(self, number: int) -> bytes:
        return bytes(self._text[self._ends[number - 1] if number else 0 : self._ends[number]])

    def _path(self, number: int) -> bytes:
        return self._said(number).partition(b"\0")[0]


class FilesByPath(Mapping[str, ProductFile]):
    """Sorted rows as a mapping from their paths."""

    def __init__(self, rows: FileRows) -> None:
        self._rows = rows

    def __getitem__(self, path: str) -> ProductFile:
        found = self._rows.get(path)
        if found is None:
            raise KeyError(path)
        return found

    def __iter__(self) -> Iterator[str]:
        return (file.path for file in self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def values(self) -> ValuesView[ProductFile]:
        """In order, none searched for."""
        return _Rows(self)

    def rows(self) -> FileRows:
        """These."""
        return self._rows


class _Rows(ValuesView[ProductFile]):
    def __init__(self, held: FilesByPath) -> None:
        super().__init__(held)
        self._held = held

    def __iter__(self) -> Iterator[ProductFile]:
        return iter(self._held.rows())


def in_order(parts: Sequence[Iterable[ProductFile]]) -> Iterator[ProductFile]:
    """The rows of sequences that are sorted by their paths' bytes, in that order; of equal paths the first's first."""
    return heapq.merge(*parts, key=lambda file: file.path.encode("utf-8", "surrogatepass"))


class Packing:
    """Rows on their way into a FileRows."""

    def __init__(self) -> None:
        self._rows, self._text, self._ends = bytearray(), bytearray(), array("Q")
        self._numbers: dict[str, int] = {}

    def add(self, file: ProductFile) -> None:
        """One more row."""
        raw = _NOTHING if file.digest is None else to_raw(file.digest)
        mode = LINK if file.digest is None else file.mode
        said = file.path if file.digest is not None else f"{file.path}\0{file.link}"
        self.add_raw(said.encode("utf-8", "surrogatepass"), raw, file.size, mode, file.component)

    def add_raw(self, said: bytes, raw: bytes, size: int, mode: int, component: str) -> None:
        """One more row as FileRows has it."""
        number = self._numbers.setdefault(component, len(self._numbers))
        self._rows += _ROW.pack(raw, size, mode, number)
        self._text += said
        self._ends.append(len(self._text))

    def done(self) -> FileRows:
        """All of them; nothing may be added any more."""
        return FileRows(self._rows, self._text, self._ends, tuple(self._numbers))
