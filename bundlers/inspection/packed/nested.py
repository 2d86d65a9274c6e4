"""What is inside a file that is itself packed: members by digest, as deep and as large as the caps allow.

Which forms are opened stands in `containers`. Nothing is extracted and names are only labels; a
member lies in memory, or in a scratch without a name when it is large. What looks packed and
cannot be opened, or lies beyond a cap, is listed as unopened, with the reason.

    inside = look_inside(blob, size, Limits())
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import IO

from attest import digests
from attest.digests import Digest
from bundlers.inspection.packed import carving, containers, encoded
from bundlers.inspection.packed.carving import Covered
from bundlers.inspection.units import Limits, Member
from casstore.hostile.scratch import Part, Scratch

_PIECE = 1024 * 1024
_MAX_MEMBERS = 200_000
_NO_CHANCE = 512
"""So many bytes that unpack are no chance."""
_SMALL = 64 * 1024
"""A tiny file may unpack to so many bytes times the ratio."""


@dataclass
class Inside:
    """All that was found in one file."""

    members: list[Member] = field(default_factory=list)
    unopened: list[tuple[str, str]] = field(default_factory=list)
    """(place below the file, why)"""


Visit = Callable[[str, IO[bytes]], None]


class _TooMuch(Exception):
    """A cap of the whole file is reached; the message says which."""


def look_inside(
    blob: IO[bytes], size: int, limits: Limits, visit: Visit | None = None, scratch: Scratch | None = None
) -> Inside:
    """Members of an archive, and of archives in it; an ordinary file has none. `visit` sees each one's bytes."""
    budget = min(limits.max_total, limits.max_ratio * max(size, _SMALL))
    look = _Look(limits, budget, visit, scratch or Scratch())
    try:
        look.at(blob, "", limits.max_depth)
    except _TooMuch as exc:
        look.inside.unopened.append(("", str(exc)))
    return look.inside


class _Look:
    """One walk through one file."""

    def __init__(self, limits: Limits, budget: int, visit: Visit | None, scratch: Scratch) -> None:
        self.inside, self._scratch = Inside(), scratch
        self._limits, self._budget, self._visit = limits, budget, visit
        self._labels: Counter[str] = Counter()
        self._encoded = 0
        """In how many runs of base64 or hex this lies."""

    def at(self, blob: IO[bytes], prefix: str, depth: int) -> None:
        """Every member of what lies here."""
        kind = containers.kind_of(blob)
        covered = Covered()
        if kind and depth == 0:
            self._skip(prefix, f"it is packed {self._limits.max_depth} deep")
        elif kind:
            blob.seek(0)
            try:
                for path, stream in containers.members(blob, kind, covered):
                    self._member(f"{prefix}!{path}" if path else prefix, stream, depth, unnamed=not path)
            except containers.BROKEN as exc:
                self._skip(prefix, f"it looks like {kind} and cannot be opened: {type(exc).__name__}: {exc}"[:200])
        if depth:
            for offset, hint in carving.beginnings(blob, covered, kind):
                self._hidden(blob, offset, hint, prefix, depth, covered)
        for offset, form, content in encoded.members(blob, covered):  # each is smaller than its text: that has an end
            self._encoded += 1
            self._member(f"{prefix}!@{offset}:{form}", content, depth + 1, unnamed=False)
            self._encoded -= 1

    def _hidden(self, blob: IO[bytes], offset: int, kind: str, prefix: str, depth: int, covered: Covered) -> None:
        """What begins somewhere inside, beside what the file's own form accounts for."""
        if not kind:
            raise _TooMuch("it has more beginnings of packed things than are tried")
        window = containers.hidden(blob, offset, kind)
        if window is None:
            return
        inner = Covered()
        before = self._budget
        try:
            for path, stream in containers.members(window, kind, inner):
                place = f"{prefix}!@{offset}"
                self._member(f"{place}!{path}" if path else place, stream, depth, unnamed=not path)
        except containers.BROKEN as exc:
            if before - self._budget >= _NO_CHANCE:
                why = f"{kind} begins at byte {offset} and cannot be opened whole: {type(exc).__name__}: {exc}"
                self._skip(prefix, why[:200])
        covered.take(inner, offset)

    def _member(self, place: str, stream: IO[bytes] | None, depth: int, *, unnamed: bool) -> None:
        """One member; the inside of a packed single file has no name of its own."""
        if stream is None:
            self._skip(place, "it is encrypted")
            return
        if len(self.inside.members) >= _MAX_MEMBERS:
            raise _TooMuch(f"it has more than {_MAX_MEMBERS} members")
        with self._scratch.part() as part:
            digest = self._copy(stream, part)
            if digest is None:
                self._skip(place, f"it is larger than {self._limits.max_member} bytes")
                return
            label, data = self._named_once((f"{place}!content" if unnamed else place).removeprefix("!")), part.reader()
            self.inside.members.append(Member(label, digest, part.size, bool(self._encoded)))
            if self._visit is not None:
                self._visit(label, data)
            self.at(data, place, depth - 1)

    def _named_once(self, label: str) -> str:
        """An archive may hold several members of one name: the second is called `name#2`."""
        self._labels[label] += 1
        count = self._labels[label]
        return label if count == 1 else self._named_once(f"{label}#{count}")

    def _copy(self, stream: IO[bytes], out: Part) -> Digest | None:
        hashing = hashlib.sha256()
        while piece := stream.read(_PIECE):
            self._budget -= len(piece)
            if self._budget < 0:
                raise _TooMuch("it unpacks to more bytes than the caps allow")
            if out.size + len(piece) > self._limits.max_member:
                return None
            hashing.update(piece)
            out.write(piece)
        return digests.from_raw(hashing.digest())

    def _skip(self, place: str, why: str) -> None:
        self.inside.unopened.append((place if not place or place.startswith("!") else f"!{place}", why))
