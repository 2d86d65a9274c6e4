"""Which role of TUF lists a target: `targets.json` what is shown and the last changes, others what older records tell.

Promises: pure; it follows from the records of publications alone. Publication 29 = 16 + 8 + 4 + 1 has `older-0`, what
the record of 24 tells, and `older-1`, what that of 16 tells (docs/formats/published-layout.md#older-releases). Leaves
to others: the metadata itself (`tuf_lists`), who signs it and when (`older_signing`).

    parts = parts_of(read, 29)                          # older-0, older-1
    top_of(whole(read, 29).targets, parts, is_shown)
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping
from typing import TypeVar

from attest.core.values import dataclass
from attest.digests import Digest
from attest.statements.predicates.publication import Publication, PublishedTarget
from bundlers.publishing.layout import published_paths, target_lists
from bundlers.publishing.layout.records import ChannelRecord
from bundlers.publishing.layout.target_lists import ReadClaim, Targets, since

T = TypeVar("T")
STEP = 8
"""Changes since a multiple of it are left in `targets.json`."""
MOST = 4096
"""More are parted by the hash of their paths."""
PATHS = ("archives/*", "objects/*", "publications/*", "files/*/*", "releases/*/*", "releases/*/*/*")
_FIRST = {"archives": (1,), "objects": (1,), "publications": (1,), "files": (2,), "releases": (2, 3)}
"""The same: what a path begins with, and how many slashes it has."""


@dataclass(frozen=True, slots=True)
class Bin:
    """A part of a role: the paths whose sha256 begins with one of the prefixes."""

    name: str
    prefixes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """The role that lists what one publication's record tells."""

    name: str
    number: int
    """Of that publication."""
    told: Targets
    """All that it tells and an older role may list."""

    @property
    def bins(self) -> tuple[Bin, ...]:
        """Where there are any, the role itself lists nothing."""
        return _bins(self.name, _bits(len(self.told)))

    @property
    def names(self) -> tuple[str, ...]:
        """The roles that lookups may come to."""
        return (self.name, *(one.name for one in self.bins))

    def role_of(self, path: str) -> str:
        """The role that lists a path."""
        return _bin_of(self.name, _bits(len(self.told)), path)

    def lists(self, targets: Targets) -> dict[str, dict[str, PublishedTarget]]:
        """Role -> what it lists while these are the targets; of a role with bins the bins."""
        bits = _bits(len(self.told))
        made: dict[str, dict[str, PublishedTarget]] = {one.name: {} for one in self.bins} or {self.name: {}}
        for path in self.still(targets):
            made[_bin_of(self.name, bits, path)][path] = self.told[path]
        return made

    def still(self, targets: Targets) -> set[str]:
        """What it lists while these are the targets."""
        return {path for path, target in self.told.items() if targets.get(path) == target}


def is_older(path: str) -> bool:
    """Whether an older role may list a path."""
    return path.count("/") in _FIRST.get(path.partition("/")[0], ())


def parts_of(read: ReadClaim, number: int) -> tuple[Part, ...]:
    """The older roles of a publication, the newest first; `read` gives records as they are."""
    return tuple(_part(read, at) for at in _numbers(number))


def parts_with(read: ReadClaim, claim: Publication) -> tuple[Part, ...]:
    """As `parts_of`, of a publication that is not recorded yet; `claim` names all targets."""
    if claim.number % STEP:
        return parts_of(read, claim.number)
    told = target_lists.told(read, claim)
    return parts_of(lambda number: told if number == claim.number else read(number), claim.number)


def names_of(parts: Collection[Part]) -> frozenset[str]:
    """All roles that lookups may come to."""
    return frozenset(name for part in parts for name in part.names)


def top_of(
    targets: Mapping[str, T], whole: Targets, parts: Collection[Part], shown: Callable[[str], bool]
) -> dict[str, T]:
    """What `targets.json` names, of all targets; `whole` is what the record tells of them."""
    listed = {path for part in parts for path in part.still(whole)}
    return {path: target for path, target in targets.items() if path not in listed or shown(path)}


def shown_by(targets: Targets, read: Callable[[Digest], bytes]) -> Callable[[str], bool]:
    """Whether a target belongs to what a channel shows."""
    folders: set[str] = set()
    files: set[str] = set()
    for path, target in targets.items():
        if path.startswith("channels/") and path.endswith(".json"):
            record = ChannelRecord.parse(read(target.digest))
            archives = [build.path for _, build in record.named_builds]
            files |= {*record.files, *archives, *map(published_paths.pieces_path, archives)}
            folders |= {record.version, *([record.canary.version] if record.canary else [])}
    return lambda path: path in files or (path.startswith(("releases/", "files/")) and path.split("/", 2)[1] in folders)


def _numbers(number: int) -> list[int]:
    found = []
    at = number - number % STEP
    while at:
        found.append(at)
        at = since(at)
    return found


def _part(read: ReadClaim, number: int) -> Part:
    reach = (number & -number) // STEP
    told = {path: target for path, target in read(number).targets.items() if is_older(path)}
    return Part(f"older-{reach.bit_length() - 1}", number, told)


def _bits(count: int) -> int:
    """The bins are 2 to the power of it; none where it is 0."""
    return max(0, (count - 1) // MOST).bit_length()


def _bins(name: str, bits: int) -> tuple[Bin, ...]:
    if not bits:
        return ()
    digits = -(-bits // 4)
    each = 16**digits >> bits
    return tuple(
        Bin(_bin_name(name, bits, at), tuple(f"{one:0{digits}x}" for one in range(at * each, (at + 1) * each)))
        for at in range(1 << bits)
    )


def _bin_of(name: str, bits: int, path: str) -> str:
    if not bits:
        return name
    first = int.from_bytes(hashlib.sha256(path.encode()).digest()[:4], "big")
    return _bin_name(name, bits, first >> (32 - bits))


def _bin_name(name: str, bits: int, at: int) -> str:
    return f"{name}-{at:0{-(-bits // 4)}x}"
