"""One look at each blob: what is packed inside, the fingerprints of all of it, and marks of programs.

Blobs are looked at in threads, each one once, whatever the number of products; what was found is
kept in the cache. What the findings mean is left to `comparing` and `copies`.

    scans = scan(store, {digest: size}, settings)
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import IO, Any, BinaryIO, Protocol

from attest import canonical
from attest.digests import Digest, from_raw, to_raw
from bundlers.formats.parallel import in_order
from bundlers.isolation import nested, secret_forms, variants
from bundlers.isolation.nested import Limits, Member
from bundlers.isolation.scan_cache import ScanCache
from bundlers.isolation.settings import Settings
from casstore.objects.tree import TreeEntry

_PIECE = 1024 * 1024
_MAX_PROGRAM = 256 << 20
_HEAD = 64 * 1024
_CONTROLS = bytes(set(range(32)) - set(b"\t\n\r\f\v\x1b\x08"))
_VERSION = 5
"""Of what a scan looks for; the fingerprints have their own."""


class ContentStore(Protocol):
    """What the check needs of the store."""

    def walk(self, digest: Digest) -> Iterator[tuple[bytes, TreeEntry]]:
        """(path, entry) of every file and link below a tree."""

    def open_blob(self, digest: Digest) -> BinaryIO:
        """A seekable, verified stream."""

    def read(self, digest: Digest, *, max_bytes: int | None = None) -> bytes:
        """The verified bytes of an object."""


@dataclass(frozen=True, slots=True)
class Unit:
    """Bytes that were looked at: the blob itself (no path) or a member of it."""

    path: str
    marks: tuple[str, ...]
    """Of a program, `build-id:..`; of each secret in it, `secret:RULE:..`."""
    hashes: bytes
    """64-bit fingerprints, little-endian."""
    steps: bytes
    """As many 64-bit steps from offset to offset."""
    size: int
    text: bool
    """Whether it reads as text."""


@dataclass(frozen=True, slots=True)
class Scan:
    """What one blob holds."""

    members: tuple[Member, ...]
    unopened: tuple[tuple[str, str], ...]
    units: tuple[Unit, ...]


def scan(
    store: ContentStore, blobs: Mapping[Digest, int], settings: Settings, workers: int = 2
) -> Iterator[tuple[Digest, Scan]]:
    """The scan of every blob; known ones from the cache. Raises ObjectDamaged, NoSuchObject."""
    cache = ScanCache(_cache_folder(store), _asked(settings))
    try:
        new = {}
        for digest, size in blobs.items():
            row = cache.get(digest)
            if row is None:
                new[digest] = size
            else:
                yield digest, _from_row(row)
        for digest, found in in_order(_scanner(store, settings), new.items(), workers):
            cache.put(digest, _to_row(found))
            yield digest, found
    finally:
        cache.close()


def _cache_folder(store: ContentStore) -> str | None:
    catalog = getattr(store, "catalog", None)
    folder = getattr(catalog, "folder", None)
    return folder if isinstance(folder, str) and os.path.isdir(folder) else None


def _asked(settings: Settings) -> str:
    from bundlers.isolation import fingerprints

    limits = [settings.max_depth, settings.max_member, settings.max_total, settings.max_ratio]
    what = [_VERSION, fingerprints.VERSION, settings.copies != "off", limits]
    return canonical.dumps({"asked": what}).decode()


def _scanner(store: ContentStore, settings: Settings) -> Callable[[tuple[Digest, int]], tuple[Digest, Scan]]:
    limits = Limits(settings.max_depth, settings.max_member, settings.max_total, settings.max_ratio)
    prints = settings.copies != "off"

    def work(item: tuple[Digest, int]) -> tuple[Digest, Scan]:
        digest, size = item
        with store.open_blob(digest) as blob:
            units = [_unit("", blob, prints)]
            inside = nested.look_inside(blob, size, limits, lambda path, data: units.append(_unit(path, data, prints)))
        kept = tuple(unit for unit in units if unit.hashes or unit.marks)
        return digest, Scan(tuple(inside.members), tuple(inside.unopened), kept)

    return work


def _unit(path: str, data: IO[bytes], prints: bool) -> Unit:
    head = data.read(_HEAD)
    data.seek(0)
    marks = {f"secret:{found.rule}:{found.fingerprint}" for found in secret_forms.scan(data)}
    size = data.seek(0, os.SEEK_END)
    data.seek(0)
    if head.startswith((b"\x7fELF", b"MZ")):
        marks |= variants.marks(data.read(_MAX_PROGRAM))
        data.seek(0)
    hashes = steps = b""
    if prints:
        from bundlers.isolation import fingerprints

        hashes, steps = fingerprints.of(iter(lambda: data.read(_PIECE), b"")).to_bytes()
    return Unit(path, tuple(sorted(marks)), hashes, steps, size, is_text(head))


def is_text(head: bytes) -> bool:
    """Whether a file that begins so reads as text: no zero byte, and hardly any other control sign."""
    odd = len(head) - len(head.translate(None, _CONTROLS))
    return b"\0" not in head and odd * 50 <= len(head)


def _to_row(found: Scan) -> dict[str, Any]:
    return {
        "members": [(m.path.encode("utf-8", "surrogatepass"), to_raw(m.digest), m.size) for m in found.members],
        "unopened": [(p.encode("utf-8", "surrogatepass"), why) for p, why in found.unopened],
        "units": [
            (u.path.encode("utf-8", "surrogatepass"), list(u.marks), u.hashes, u.steps, u.size, u.text)
            for u in found.units
        ],
    }


def _from_row(row: Mapping[str, Any]) -> Scan:
    return Scan(
        tuple(Member(_text(path), from_raw(raw), size) for path, raw, size in row["members"]),
        tuple((_text(path), why) for path, why in row["unopened"]),
        tuple(Unit(_text(p), tuple(marks), *rest) for p, marks, *rest in row["units"]),
    )


def _text(raw: bytes) -> str:
    return sys.intern(raw.decode("utf-8", "surrogatepass"))
