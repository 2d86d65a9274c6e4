"""Fetch of an archive only the pieces that hold what is not installed yet (docs/formats/archive-pieces.md).

Promises: every file that comes out has the digest of the signed ProductManifest, whatever lengths and bytes were
served; no more is fetched than nine tenths of the archive; what cannot be had this way leaves the place as it was.
Leaves to others: which version is in force, the whole archive, the new folder (`extract`).

    plan = plan_for(manifest, pieces, held)              # None: nothing to gain
    files = unpack(plan, part, "/opt/core/quarantine/x.part")
    extract.place(files, "/opt/core/versions/1.4.0")
"""

from __future__ import annotations

import bisect
import os
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import BinaryIO

from attest.core.values import dataclass
from attest.digests import Digest
from attest.errors import FormatError
from bundlers.errors import HostileArchive
from bundlers.formats.members import PIECE, ExactReader, content
from bundlers.formats.pieces import Layout, Pieces, Stretch, Unit
from bundlers.products.product_manifests import ProductFile, ProductManifest

WORTH = 0.9
"""So much of an archive may its pieces be; beyond that it is fetched whole."""
_GAP = 16 * 1024
"""What lies between two pieces is fetched too where that saves a request."""

Part = Callable[[int, int], Iterator[bytes]]
"""Bytes of the archive, from one to before another."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Which pieces are fetched, and which files are there."""

    manifest: ProductManifest
    layout: Layout
    units: tuple[Unit, ...]
    held: Mapping[Digest, str]
    """Digest -> a file that is said to have it."""

    @property
    def runs(self) -> tuple[tuple[int, int, tuple[Unit, ...]], ...]:
        """(start, end, pieces) of each request."""
        found: list[tuple[int, int, tuple[Unit, ...]]] = []
        for unit in self.units:
            if found and unit.start - found[-1][1] <= _GAP:
                start, _, before = found[-1]
                found[-1] = (start, unit.end, (*before, unit))
            else:
                found.append((unit.start, unit.end, (unit,)))
        return tuple(found)

    @property
    def bytes(self) -> int:
        """How many bytes are asked for."""
        return sum(end - start for start, end, _ in self.runs)


def plan_for(manifest: ProductManifest, pieces: Pieces, held: Mapping[Digest, str], size: int) -> Plan | None:
    """What to fetch of an archive of `size` bytes; None where its pieces gain nothing. Raises FormatError."""
    layout = Layout(manifest, pieces)
    if layout.units and layout.units[-1].end > size:
        raise FormatError(f"archive pieces: they end at {layout.units[-1].end}, the archive at {size}")
    lacking = {number for number, file in enumerate(manifest.files) if file.digest and file.digest not in held}
    wanted = [one for one in layout.stretches if one.file in lacking and one.first < one.last]
    starts = [unit.first for unit in layout.units]
    numbers: set[int] = set()
    for one in wanted:
        number = bisect.bisect_right(starts, one.first) - 1
        while number < len(layout.units) and layout.units[number].first < one.last:
            numbers.add(number)
            number += 1
    units = tuple(
        layout.units[number] for number in sorted(numbers) if layout.units[number].first < layout.units[number].last
    )
    plan = Plan(manifest, layout, units, held)
    return plan if plan.bytes <= WORTH * size else None


def unpack(plan: Plan, part: Part, folder: str) -> Iterator[tuple[ProductFile, Iterator[bytes]]]:
    """Fetch and unpack into a folder that is there and empty; then every file in order, as an archive gives them.

    Raises HostileArchive where what was served is not what the ProductManifest says, and what `part` raises.
    """
    _Unpacking(plan, folder).fetch(part)
    return _files(plan, folder)


def _files(plan: Plan, folder: str) -> Iterator[tuple[ProductFile, Iterator[bytes]]]:
    for number, file in enumerate(plan.manifest.files):
        if file.digest is None:
            yield file, iter(())
            continue
        path = plan.held.get(file.digest) or _path(folder, number)
        if not file.size:
            yield file, content(file, lambda _: b"", file.path)
            continue
        with _opened(path) as opened:
            source = ExactReader(partial(opened.read, PIECE), file.path)
            yield file, content(file, source.take, file.path)
            source.expect_end()


class _Unpacking:
    """The pieces on their way into files."""

    def __init__(self, plan: Plan, folder: str) -> None:
        self._plan, self._folder = plan, folder
        self._stretches = plan.layout.stretches
        self._ends = [one.last for one in self._stretches]

    def fetch(self, part: Part) -> None:
        """All requests, one after the other."""
        for start, end, units in self._plan.runs:
            run = ExactReader(_more(part(start, end)), "a part of the archive")
            at = start
            for unit in units:
                _skip(run, unit.start - at)
                self._take(unit, run)
                at = unit.end

    def _take(self, unit: Unit, run: ExactReader) -> None:
        at = unit.first
        for piece in self._plan.layout.unpacked(unit, _taken(run, unit.end - unit.start), self._before):
            self._keep(at, piece)
            at += len(piece)

    def _keep(self, at: int, piece: bytes) -> None:
        """What comes out at a place goes to the files that are lacking there."""
        for one in self._in(at, at + len(piece)):
            if one.file is None or self._is_held(one.file):
                continue
            first, last = max(one.first, at), min(one.last, at + len(piece))
            with open(_path(self._folder, one.file), "r+b" if first > one.first else "w+b") as out:
                out.seek(first - one.first)
                out.write(piece[first - at : last - at])

    def _before(self, first: int, last: int) -> bytes:
        """What is unpacked between two places: known bytes, files that are there, files that came before."""
        return b"".join(self._bytes(one, max(first, one.first), min(last, one.last)) for one in self._in(first, last))

    def _bytes(self, one: Stretch, first: int, last: int) -> bytes:
        if one.file is None:
            return one.known[first - one.first : last - one.first]
        file = self._plan.manifest.files[one.file]
        held = self._plan.held.get(file.digest) if file.digest else None
        with _opened(held or _path(self._folder, one.file)) as opened:
            opened.seek(first - one.first)
            data = opened.read(last - first)
        if len(data) != last - first:
            raise HostileArchive(f"{file.path}: is shorter than its ProductManifest says")
        return data

    def _in(self, first: int, last: int) -> Iterator[Stretch]:
        number = bisect.bisect_right(self._ends, first)
        while number < len(self._stretches) and self._stretches[number].first < last:
            if self._stretches[number].first < self._stretches[number].last:
                yield self._stretches[number]
            number += 1

    def _is_held(self, number: int) -> bool:
        return self._plan.manifest.files[number].digest in self._plan.held


def _opened(path: str) -> BinaryIO:
    """A file of ours, through no link."""
    return open(os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0)), "rb")


def _path(folder: str, number: int) -> str:
    return os.path.join(folder, str(number))


def _more(pieces: Iterator[bytes]) -> Callable[[], bytes]:
    return lambda: next(filter(None, pieces), b"")


def _taken(run: ExactReader, size: int) -> Iterator[bytes]:
    while size:
        yield run.take(count := min(size, PIECE))
        size -= count


def _skip(run: ExactReader, size: int) -> None:
    for _ in _taken(run, size):
        pass
