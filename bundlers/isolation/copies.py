"""Copies inside larger files: what the fingerprints hint at is compared byte by byte, and measured.

A copy counts when it has `min_copy` bytes in a row that no reference accounts for, enough entropy,
and the copies between two files add up to `min_copy_total`.

    for copy in find(store, carried, places, scans, settings): ...
"""

from __future__ import annotations

import hashlib
import io
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Any, BinaryIO

import numpy as np

from attest import digests
from attest.digests import Digest
from bundlers.isolation import nested
from bundlers.isolation.fingerprints import Hashes, K, Prints
from bundlers.isolation.matching import Candidate, Carried, candidates, is_in
from bundlers.isolation.nested import Limits
from bundlers.isolation.scanning import ContentStore
from bundlers.isolation.settings import Settings

MAX_FOUND = 1000
"""So many pairs of files are told; a release with more is stopped by the first as well."""

_PIECE = 256 * 1024
_SAMPLE = 1024 * 1024
_HELD = 96 << 20
_WHOLE = 32 << 20
"""Larger files are read piece by piece."""


@dataclass(frozen=True, slots=True)
class Copy:
    """The longest run of equal bytes between two units, and how much is equal altogether."""

    a: int
    b: int
    offset_a: int
    offset_b: int
    length: int
    digest: Digest
    total: int


@dataclass(frozen=True, slots=True)
class Run:
    """Equal bytes: from where in a, less where in b, how many, how many of them no reference has."""

    start: int
    shift: int
    length: int
    own: int


def find(
    store: ContentStore,
    blobs: Sequence[Digest],
    carried: Sequence[Carried],
    common: Hashes,
    settings: Settings,
    known: Callable[[int, int], bool],
) -> Iterator[Copy]:
    """Copies between units (`blobs` names each one's blob). `known` pairs are told already and left out."""
    opener = _Opener(store, settings)
    count = 0
    for candidate in candidates(carried, common):
        if known(candidate.a, candidate.b):
            continue
        a = opener.open(blobs[candidate.a], carried[candidate.a].unit.path)
        b = opener.open(blobs[candidate.b], carried[candidate.b].unit.path)
        found = _measure(candidate, a, b, _reference_spans(carried[candidate.a], common), settings)
        if found is not None:
            yield found
            count += 1
            if count >= MAX_FOUND:
                return


def _measure(
    candidate: Candidate, a: IO[bytes], b: IO[bytes], spans: list[tuple[int, int]], settings: Settings
) -> Copy | None:
    runs = [
        run
        for run in _runs(candidate, a, b, spans)
        if run.own >= settings.min_copy and _entropy(a, run) >= settings.min_entropy
    ]
    total = sum(run.own for run in runs)
    if not runs or total < settings.min_copy_total:
        return None
    best = max(runs, key=lambda run: run.length)
    return Copy(
        candidate.a,
        candidate.b,
        best.start,
        best.start - best.shift,
        best.length,
        _digest(a, best),
        total,
    )


def _runs(candidate: Candidate, a: IO[bytes], b: IO[bytes], spans: list[tuple[int, int]]) -> Iterator[Run]:
    shift, reached = None, 0
    for at, by in zip(candidate.offsets.tolist(), candidate.shifts.tolist(), strict=True):
        if by == shift and at < reached:
            continue
        start = at - _equal_before(a, b, at, at - by)
        end = at + _equal_from(a, b, at, at - by)
        shift, reached = by, max(end, at + 1)
        if end - start >= K:
            yield Run(start, by, end - start, end - start - _overlap(start, end, spans))


def _equal_from(a: IO[bytes], b: IO[bytes], at_a: int, at_b: int) -> int:
    """How many bytes are equal from here on."""
    length, size = 0, 4096
    a.seek(at_a)
    b.seek(at_b)
    while True:
        one, two = a.read(size), b.read(size)
        count = min(len(one), len(two))
        if not count or one != two:
            return length + _first_difference(one[:count], two[:count])
        length += count
        size = _PIECE


def _equal_before(a: IO[bytes], b: IO[bytes], at_a: int, at_b: int) -> int:
    """How many bytes are equal just before here."""
    length, size = 0, 4096
    while count := min(size, at_a - length, at_b - length):
        a.seek(at_a - length - count)
        b.seek(at_b - length - count)
        one, two = a.read(count), b.read(count)
        if one != two:
            return length + _first_difference(one[::-1], two[::-1])
        length += count
        size = _PIECE
    return length


def _first_difference(one: bytes, two: bytes) -> int:
    unequal = np.frombuffer(one, np.uint8) != np.frombuffer(two, np.uint8)
    return int(unequal.argmax()) if unequal.any() else len(one)


def _reference_spans(carried: Carried, common: Hashes) -> list[tuple[int, int]]:
    """Stretches between two kept fingerprints that both stand in a reference."""
    if not len(common):
        return []
    prints = Prints.from_bytes(carried.unit.hashes, carried.unit.steps)
    theirs = is_in(prints.hashes, common)
    both = np.flatnonzero(theirs[1:] & theirs[:-1])
    return [(int(prints.offsets[n]), int(prints.offsets[n + 1]) + K) for n in both]


def _overlap(start: int, end: int, spans: list[tuple[int, int]]) -> int:
    covered, reached = 0, start
    for first, last in spans:
        first, last = max(first, reached), min(last, end)
        if last > first:
            covered += last - first
            reached = last
    return covered


def _entropy(a: IO[bytes], run: Run) -> float:
    """Shannon's, in bits per byte, of the first MiB."""
    a.seek(run.start)
    counts = np.bincount(np.frombuffer(a.read(min(run.length, _SAMPLE)), np.uint8))
    parts = counts[counts > 0] / counts.sum()
    return float(-(parts * np.log2(parts)).sum())


def _digest(a: IO[bytes], run: Run) -> Digest:
    hashing, left = hashlib.sha256(), run.length
    a.seek(run.start)
    while left and (piece := a.read(min(left, _PIECE))):
        hashing.update(piece)
        left -= len(piece)
    return digests.from_raw(hashing.digest())


class _Opener:
    """The bytes of units again; the last few are held, as neighbours are asked for in a row."""

    def __init__(self, store: ContentStore, settings: Settings) -> None:
        self._store = store
        self._limits = Limits(settings.max_depth, settings.max_member, settings.max_total, settings.max_ratio)
        self._held: OrderedDict[tuple[Digest, str], tuple[IO[bytes], int]] = OrderedDict()

    def open(self, digest: Digest, path: str) -> IO[bytes]:
        """A seekable stream of a blob or of a member of it."""
        key = (digest, path)
        if key not in self._held:
            self._held[key] = self._load(digest, path)
            while sum(size for _, size in self._held.values()) > _HELD and len(self._held) > 2:
                self._held.popitem(last=False)
        self._held.move_to_end(key)
        return self._held[key][0]

    def _load(self, digest: Digest, path: str) -> tuple[IO[bytes], int]:
        blob: BinaryIO = self._store.open_blob(digest)
        if not path:
            size = blob.seek(0, io.SEEK_END)
            return (io.BytesIO(_whole(blob)), size) if size <= _WHOLE else (blob, _WHOLE)
        return _member(blob, path, self._limits)


def _whole(blob: BinaryIO) -> bytes:
    blob.seek(0)
    return blob.read()


def _member(blob: BinaryIO, path: str, limits: Limits) -> tuple[IO[bytes], int]:
    """A member's bytes, unpacked once more."""
    import shutil
    import tempfile

    out: Any = tempfile.SpooledTemporaryFile(_WHOLE)  # noqa: SIM115  closed with the last reference
    found = [0]

    def take(place: str, data: IO[bytes]) -> None:
        if place == path and not found[0]:
            shutil.copyfileobj(data, out)
            found[0] = out.tell()

    with blob:
        nested.look_inside(blob, blob.seek(0, io.SEEK_END), limits, take)
    return out, min(found[0], _WHOLE)
