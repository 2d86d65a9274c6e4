"""Checks every stored byte of a store's packs, and heals the index; damage is named object by object.

The packs are shared out in parts (`team`); what nothing holds any more is found through the
folders that name it, and through the ledgers (`references`). An index that is missing, lags
or errs is filled again from the packs, which is no damage. Packs that a collection of garbage
condemned are left out: what is needed of one is verified when it is moved.

    report = fsck(store)
    report.damaged        # () when all is well
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from attest.digests import from_raw, to_raw
from attest.errors import FormatError
from casstore.errors import NoSuchObject
from casstore.fsck import twins
from casstore.fsck.records import check_records
from casstore.fsck.references import References
from casstore.fsck.report import Damage, FsckReport
from casstore.fsck.team import Task, shared_out
from casstore.index import Index
from casstore.machine import clock
from casstore.machine.progress import NullProgress, Progress
from casstore.objects.pack_format import OBJECT
from casstore.store.store import Store

_PART = 16 * 1024 * 1024
GONE = "this pack is gone"
NOWHERE = "no pack holds it"


@dataclass(slots=True)
class _Sums:
    """What the parts have told so far."""

    objects: int = 0
    size: int = 0
    homed: int = 0
    damaged: list[Damage] = field(default_factory=list)
    absent: set[bytes] = field(default_factory=set)
    unreadable: set[bytes] = field(default_factory=set)
    """Packs whose table cannot be read."""
    doubt: str | None = None


def fsck(store: Store, *, progress: Progress | None = None, workers: int = 0) -> FsckReport:
    """Read and check everything. Raises StorageUnavailable; damage is reported, not raised."""
    started = time.monotonic()
    doomed = store.catalog.doomed()
    sizes = {name: store.packs.size(name) or 0 for name in sorted(store.packs.names()) if name not in doomed}
    store.catalog.learn(sizes)
    sums = _read_all(store, sizes, progress or NullProgress(), workers)
    damaged = [*sums.damaged, *_named(store, sums.unreadable), *_gone(store, set(sizes))]
    reason = sums.doubt or store.catalog.ask(lambda index: _surplus(index, store, set(sizes), sums))
    later = store.catalog.doomed()
    damaged = [one for one in damaged if one.pack is None or to_raw(one.pack) not in later]  # collected while we read
    if reason is not None and later.keys() == doomed.keys():
        store.catalog.rebuild(reason)
    again = twins.heal(store, clock.now())
    records = check_records(store)
    records.damaged += again.damaged
    told = {one.pack for one in damaged if one.pack is not None}
    more = [one for one in records.damaged if one.pack is None or one.pack not in told]
    damaged = [*_explained(store, damaged, sums.absent), *more]
    healed = tuple(dict.fromkeys([*store.catalog.healed, *again.healed]))
    store.catalog.healed.clear()
    known = store.catalog.ask(lambda index: index.count())
    good = known - len({damage.object for damage in damaged if damage.object is not None and damage.pack is not None})
    return FsckReport(
        len(sizes), good, sums.size, tuple(damaged), healed, time.monotonic() - started, (), tuple(records.strangers)
    )


def _read_all(store: Store, sizes: dict[bytes, int], heard: Progress, workers: int) -> _Sums:
    tasks: list[Task] = []
    for name, size in sizes.items():
        parts = max(1, size // _PART)
        tasks += [(name, part, parts) for part in range(parts)]
    heard.start("fsck", len(sizes), sum(sizes.values()))
    sums, doomed = _Sums(), store.catalog.doomed()
    for (name, part, parts), found in shared_out(store.packs, store.catalog.index, tasks, sum(sizes.values()), workers):
        heard.advance(int(part == 0), sizes[name] // parts, 0)
        sums.objects += found.objects
        sums.size += found.bytes
        sums.homed += found.homed
        if name not in doomed:  # the index looks for nothing in those
            sums.doubt = sums.doubt or found.doubt
        sums.absent.update(below for _, below in found.absent)
        for raw, offset, what in found.damaged:
            sums.damaged.append(Damage(from_raw(name), None if raw is None else from_raw(raw), offset, what))
            if raw is None and not offset:
                sums.unreadable.add(name)
    heard.finish()
    sums.damaged.sort(key=lambda damage: (damage.pack or "", damage.offset, damage.object or ""))
    return sums


def _named(store: Store, packs: set[bytes]) -> list[Damage]:
    """The objects of packs whose table cannot be read, as far as the index remembers them and nothing else has them."""
    found = []
    for name in sorted(packs):
        numbers = store.catalog.ask(lambda index: index.packs())
        if name in numbers:
            for raw in sorted(_nowhere_else(store, numbers[name], name)):
                found.append(Damage(from_raw(name), from_raw(raw), 0, "its pack's table cannot be read"))
    return found


def _gone(store: Store, there: set[bytes]) -> list[Damage]:
    """Packs that were there once and are not, with the objects that no other pack has."""
    damaged = [Damage(from_raw(name), None, 0, GONE) for name in store.catalog.lost() if name not in there]
    known = store.catalog.ask(lambda index: index.packs())
    for name in sorted(set(known) - there):
        if store.packs.size(name) is None and (raws := _nowhere_else(store, known[name], name)):
            damaged.append(Damage(from_raw(name), None, 0, GONE))
            damaged += [Damage(from_raw(name), from_raw(raw), 0, GONE) for raw in sorted(raws)]
    return damaged


def _nowhere_else(store: Store, number: int, name: bytes) -> set[bytes]:
    """Objects that the index looks for in this pack and that no table of another one has."""
    wanted = store.catalog.ask(lambda index: index.objects_of(number))
    for other in sorted(store.packs.names()):
        if other == name or not wanted:
            continue
        try:
            rows = store.packs.table(other)[0].objects
        except (FormatError, NoSuchObject):
            continue
        wanted.difference_update(rows[at : at + 32] for at in range(0, len(rows), OBJECT.size))
    return wanted


def _surplus(index: Index, store: Store, there: set[bytes], sums: _Sums) -> str | None:
    """Whether the index knows packs or objects that no pack has; a pack that was added meanwhile makes no doubt."""
    known = index.packs()
    if any(store.packs.size(name) is None for name in set(known) - there):
        return "the index knew other packs than there are"
    if there - sums.unreadable - set(known) - index.doomed().keys():
        return "the index lacked a pack"
    kept = sum(len(index.objects_of(known[name])) for name in sums.unreadable if name in known)
    if set(known) <= there and sums.homed + kept != index.count():
        return "the index had objects that no pack has"
    return None


def _explained(store: Store, damaged: Sequence[Damage], absent: set[bytes]) -> list[Damage]:
    """With what refers to each object, and with the objects that are needed and nowhere."""
    references = References(store)
    missing = references.missing() | {from_raw(raw) for raw in absent if store.catalog.locate(raw) is None}
    hit = {damage.object for damage in damaged if damage.object is not None} | missing
    told = references.to(hit) if hit else {}
    known = {damage.object for damage in damaged}
    return [
        *(replace(one, needed_by=told.get(one.object, ()) if one.object else ()) for one in damaged),
        *(  # what was put again meanwhile is not missing any more
            Damage(None, one, 0, NOWHERE, told[one])
            for one in sorted(missing - known)
            if one in told and not store.has(one)
        ),
        *(Damage(None, None, 0, what) for what in references.broken),
    ]
