"""Records that lie twice: a lost or damaged one is made anew from the other, which proves itself.

    found = heal(store)
    found.healed, found.damaged

What was damaged goes to `quarantine/` first. Who may not write names it as damage instead. A pin of which one half is
missing may be one that is being set or taken away right now: a young one is left alone, an old one looked at again.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from attest import canonical
from attest.errors import CasstoreError
from casstore.errors import NotWritable
from casstore.fsck import mending
from casstore.fsck.records import raw_of
from casstore.fsck.report import Damage
from casstore.ledger import checkpoints
from casstore.ledger.book import listing
from casstore.ledger.book.cache import EntryCache
from casstore.ledger.book.log import Ledger
from casstore.ledger.folding import replay_whole
from casstore.objects import small_records, twins
from casstore.store.store import Store

Good = Callable[[str, bytes], bool]
SETTLES = 1.0
"""Seconds in which who sets or takes away a pin is done with both halves, or was killed."""
_FOLDERS = (("pins/", re.compile(r"[0-9a-f]{32}")), ("collections/", re.compile(r"[0-9]{20}")))


@dataclass(slots=True)
class Healed:
    """What was made anew, and what could not be."""

    healed: list[str] = field(default_factory=list)
    damaged: list[Damage] = field(default_factory=list)


def heal(store: Store, now: datetime) -> Healed:
    """Every record that lies twice. Raises StorageUnavailable."""
    found = Healed()
    halves = [(key, good) for key, good in _keys(store) if not _settled(_halves(store, key), key, good, now)]
    if any(key.startswith("pins/") for key, _ in halves):
        time.sleep(SETTLES)
    for key, good in halves:
        _one(store, key, good, found)
    return found


def _halves(store: Store, key: str) -> dict[str, bytes | None]:
    return {name: raw_of(store, name) for name in (key, key + twins.COPY)}


def _settled(raws: dict[str, bytes | None], key: str, good: Good, now: datetime) -> bool:
    """Whether nothing is to be done: both are there and hold, or it is gone, or too young to be called half."""
    there = [raw for raw in raws.values() if raw is not None]
    if len(there) == len(raws) or not there:
        return all(good(key, raw) for raw in there)
    if not key.startswith("pins/") or not good(key, there[0]):
        return False
    return small_records.is_young(canonical.loads_canonical(there[0], what="pin"), now)


def _keys(store: Store) -> Iterator[tuple[str, Good]]:
    for prefix, pattern in _FOLDERS:
        for key in twins.names(store.storage, prefix, pattern):
            yield key, _is_record
    for name in listing.ledger_names(store):
        good = _holds(store, name)
        for key in checkpoints.keys(store.storage, name) if good else ():
            yield key, good or _is_record


def _is_record(key: str, raw: bytes) -> bool:
    """Whether a record has the name that its own token or number gives it."""
    try:
        value = canonical.loads_canonical(raw, what="record")
    except CasstoreError:
        return False
    name = key.rpartition("/")[2]
    return small_records.is_sealed(value) and name in (value["token"], str(value.get("number")).zfill(20))


def _holds(store: Store, name: str) -> Good | None:
    """Whether a checkpoint is one of these entries; None where these are damaged themselves."""
    ledger = Ledger(store, name, cache=EntryCache())
    try:
        state = replay_whole(ledger, store)
    except CasstoreError:
        return None
    return lambda key, raw: checkpoints.fault(raw, key, ledger, state) is None


def _one(store: Store, key: str, good: Good, found: Healed) -> None:
    raws = _halves(store, key)
    if not any(raw is not None for raw in raws.values()):
        return  # it was taken away meanwhile
    whole = {name: raw for name, raw in raws.items() if raw is not None and good(key, raw)}
    bad = [name for name in raws if name not in whole]
    if not bad:
        return
    if not whole:
        found.damaged += [_damage(name, raws[name]) for name in bad if name != key or raws[name] is None]
        return
    try:
        mending.write_over(store, bad[0], next(iter(whole.values())))
    except NotWritable:
        found.damaged.append(_damage(bad[0], raws[bad[0]]))
    else:
        found.healed.append(f"{bad[0]}: made anew, it {'was gone' if raws[bad[0]] is None else 'was damaged'}")


def _damage(key: str, raw: bytes | None) -> Damage:
    return Damage(None, None, 0, "is not there" if raw is None else "is not what it says", record=key)
