"""Which packs stay, and which can go once what is needed of them lies elsewhere.

Every needed object gets one home: a pack that nobody condemned, with the largest needed share.
A pack without a home for anything can go; one whose needed share is below `REPACK`, and a small one of which
anything is not needed, can go too, after its objects were moved. So can small packs, once there are many: what is
needed of them becomes one.

    plan = make(contents, marks.needed, doomed)
    plan.packs[name].may_go
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from attest.core.values import dataclass
from casstore.gc.contents import Contents

REPACK = 0.5
"""A pack of which less than this share of bytes is needed is written anew without the rest."""

SMALL = 1024 * 1024
MANY = 16
"""So many packs of less than `SMALL` bytes are merged; every put makes one, and each costs a new machine a request.

So what lies together there is parted again, once some of it is not needed: to write so little anew costs nothing."""


@dataclass(frozen=True, slots=True)
class PackPlan:
    """One pack: bytes of its objects, those of them that have their home here, and how many these are."""

    name: bytes
    size: int
    """Of the pack as it lies in the store."""
    held: int
    homed: int
    count: int

    @property
    def share(self) -> float:
        """How much of the pack must stay."""
        return self.homed / self.held if self.held else float(self.count > 0)

    @property
    def may_go(self) -> bool:
        """Whether it can go, after what must stay was moved: a small pack for any byte that nothing needs."""
        return self.share < (1 if self.size < SMALL else REPACK)


@dataclass(frozen=True, slots=True)
class Plan:
    """Every pack, and the home of every needed object."""

    packs: Mapping[bytes, PackPlan]
    homes: Mapping[bytes, bytes]


def shares(contents: Contents, needed: Collection[bytes]) -> dict[bytes, float]:
    """Of each pack, how much of its bytes is needed, copies elsewhere not regarded."""
    found = {}
    for name, pack in contents.found.items():
        rows = [(raw, length) for raw, _, _, _, length in pack.table.iter_objects()]
        held = sum(length for _, length in rows)
        used = sum(length for raw, length in rows if raw in needed)
        found[name] = used / held if held else float(any(raw in needed for raw, _ in rows))
    return found


def make(contents: Contents, needed: Collection[bytes], doomed: Mapping[bytes, bool]) -> Plan:
    """`doomed` = condemned, or given up (True)."""
    share = shares(contents, needed)

    def worth(name: bytes) -> tuple[int, float, bytes]:
        standing = 2 if name not in doomed else 0 if doomed[name] else 1
        return standing, share[name], name

    homes = {raw: max(contents.packs_of(raw), key=worth) for raw in needed}
    return Plan({name: _plan(contents, name, homes) for name in contents.found}, homes)


def _plan(contents: Contents, name: bytes, homes: Mapping[bytes, bytes]) -> PackPlan:
    held = homed = count = 0
    for raw, _, _, _, length in contents.found[name].table.iter_objects():
        held += length
        if homes.get(raw) == name:
            homed += length
            count += 1
    return PackPlan(name, contents.found[name].size, held, homed, count)


def to_merge(contents: Contents, names: Sequence[bytes]) -> list[bytes]:
    """Those of these packs that are small; none, unless they are many."""
    found = [name for name in names if contents.found[name].size < SMALL]
    return found if len(found) >= MANY else []
