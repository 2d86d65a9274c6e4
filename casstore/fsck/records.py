"""Checks what is no pack: ledger entries, checkpoints, pins, steps of a collection, notes, and the store's own id.

All is read anew from the storage; what this machine remembers of it is only compared with.

    found = check_records(store)
    found.damaged, found.strangers
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from attest import canonical, digests
from attest.digests import from_raw
from attest.errors import CasstoreError, FormatError
from attest.trust import trust_roots
from casstore.errors import NoSuchObject
from casstore.fsck import announced
from casstore.fsck.report import Damage
from casstore.fsck.strangers import strangers
from casstore.ledger import checkpoints, entries
from casstore.ledger.book import listing
from casstore.ledger.book import seen as seen_tips
from casstore.ledger.book.cache import EntryCache, cache_of
from casstore.ledger.book.log import Ledger
from casstore.ledger.folding import replay_whole
from casstore.machine import clock
from casstore.objects import mended, small_records, store_config
from casstore.store.store import Store

_NUMBER = re.compile(r"[0-9]{20}")
_PIN = re.compile(r"[0-9a-f]{32}")
_NOTE = re.compile(r"[0-9a-f]{64}")
_MAX = 1024 * 1024
_FAR = 10_000
_PATIENCE = 30
"""Seconds that somebody is given who has just set a pin."""
_MISSING = "is not there"


@dataclass(slots=True)
class Records:
    """What is damaged, and files that are nobody's."""

    damaged: list[Damage] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)

    def add(self, key: str, what: str) -> None:
        """One damaged record."""
        self.damaged.append(Damage(None, None, 0, what, record=key))


def check_records(store: Store) -> Records:
    """Every small record of the store. Raises StorageUnavailable."""
    found = Records()
    for name, keys in listing.numbers(store).items():
        _check_entries(store, name, keys, found)
    for name in seen_tips.ledgers(store.url, store.store_id):
        _check_seen(store, name, found)
    _check_id(store, found)
    _check_pins(store, found)
    _check_steps(store, found)
    _check_notes(store, found)
    found.strangers += strangers(store)
    return found


def _check_entries(store: Store, name: str, numbers: list[int], found: Records) -> None:
    seen = cache_of(store, name).load()
    before = len(found.damaged)
    end = max(_end(name, numbers, found), len(seen), _count(store, name))
    raws = [raw_of(store, entries.key(name, number)) for number in range(end)]
    for number, raw in enumerate(raws):
        after = raws[number + 1] if number + 1 < len(raws) else None
        remembered = seen[number] if number < len(seen) else None
        if what := wrong_entry(raw, number, raws[number - 1] if number else None, after, remembered):
            found.add(entries.key(name, number), what)
    if len(found.damaged) == before:
        _check_whole(store, name, found)


def _end(ledger: str, numbers: list[int], found: Records) -> int:
    """One more than the last number; a name far beyond the others is no reason to look for all between."""
    end = 0
    for number in sorted(numbers):
        if number > end + _FAR:
            found.add(entries.key(ledger, number), f"follows no entry: none has a number from {end} on")
            break
        end = number + 1
    return end


def _count(store: Store, ledger: str) -> int:
    """How many entries this user has seen."""
    seen = seen_tips.load(store.url, store.store_id, ledger)
    return 0 if seen is None else seen.count


def _check_seen(store: Store, name: str, found: Records) -> None:
    """The newest entry that this user has seen is what it was, where it does not say by itself that it is damaged."""
    seen = seen_tips.load(store.url, store.store_id, name)
    key = None if seen is None else entries.key(name, seen.count - 1)
    if seen is None or key is None or any(one.record == key for one in found.damaged):
        return
    raw = raw_of(store, key)
    if raw is not None and digests.sha256(raw) != seen.tip:
        found.add(key, "is not what it was when this user saw it")


def wrong_entry(
    raw: bytes | None, number: int, before: bytes | None, after: bytes | None, remembered: bytes | None
) -> str | None:
    """What is wrong with an entry: by itself, by the next one that is whole, by the one before, by what was seen."""
    if raw is None:
        return _MISSING
    entry = _parsed(raw, number)
    if entry is None:
        return "is no ledger entry of this number"
    following = None if after is None else _parsed(after, number + 1)
    if following is not None:
        return None if following.prev == digests.sha256(raw) else "is not what the next entry follows"
    if remembered is not None and remembered != raw:
        return "is not what it was when this machine first saw it"
    if before is not None and _parsed(before, number - 1) is not None and entry.prev != digests.sha256(before):
        return "does not follow the entry before it"
    return None


def _parsed(raw: bytes, number: int) -> entries.Entry | None:
    try:
        entry = entries.parse(raw)
    except FormatError:
        return None
    return entry if entry.number == number else None


def raw_of(store: Store, key: str) -> bytes | None:
    """What lies under a key now, None when nothing does."""
    try:
        return None if store.storage.size(key) is None else store.storage.read(key, 0, _MAX)
    except NoSuchObject:  # it was taken away meanwhile
        return None


def _check_whole(store: Store, name: str, found: Records) -> None:
    """Checkpoints and the packs that entries name; a ledger whose statements are damaged is told of by others."""
    ledger = Ledger(store, name, cache=EntryCache())
    try:
        state = replay_whole(ledger, store)
    except CasstoreError:
        return
    for key, what in checkpoints.faults(store, ledger, state):
        found.add(key, what)
    found.damaged += announced.gone(store, announced.packs_named(store, ledger.entries()))


def _check_id(store: Store, found: Records) -> None:
    """Entry 0 names the trust root, and that the store."""
    told = set(named_ids(store))
    try:
        config = store_config.load(store.storage)
    except CasstoreError as exc:
        found.add(store_config.KEY, exc.message)
        return
    if told and config.store_id not in told:
        found.add(store_config.KEY, f"its id is not {sorted(told)[0]}, for which the first trust root was made")
    elif raw_of(store, store_config.KEY) != config.to_bytes():
        found.add(store_config.KEY, "is not the canonical JSON of what it says")


def named_ids(store: Store) -> Iterator[str]:
    """The ids that first trust roots name."""
    for name in listing.ledger_names(store):
        try:
            entry = entries.parse(store.storage.read(entries.key(name, 0)))
            yield trust_roots.parse_payload(trust_roots.payload_of(store.read(entry.statement))).store
        except CasstoreError:
            continue


def _check_pins(store: Store, found: Records) -> None:
    missing: dict[str, tuple[str, bool]] = {}
    for key, value in _values(store, "pins/", _PIN, found):
        if value.get("format") != "casstore-pin/1" or value["token"] != key.removeprefix("pins/"):
            found.add(key, "is no pin of this name")
        elif not _has(store, value.get("digest")):
            missing[key] = str(value.get("digest")), small_records.is_young(value, clock.now())
    for _ in range(_PATIENCE):  # who sets a pin of what a collection took looks once more, and takes it away again
        if not any(young and raw_of(store, key) is not None for key, (_, young) in missing.items()):
            break
        time.sleep(1)
    for key, (digest, _) in missing.items():
        if raw_of(store, key) is not None and not _has(store, digest):
            _missed(found, key, digest)


def _missed(found: Records, key: str, digest: str) -> None:
    found.damaged.append(Damage(None, digests.parse(digest), 0, f"keeps {digest}, which is not there", record=key))


def _has(store: Store, digest: object) -> bool:
    try:
        return store.has(digests.parse(str(digest)))
    except CasstoreError:
        return False


def _check_steps(store: Store, found: Records) -> None:
    for number, (key, value) in enumerate(_values(store, "collections/", _NUMBER, found)):
        if value.get("format") != "casstore-collection/1" or key != f"collections/{str(value.get('number')).zfill(20)}":
            found.add(key, "is no step of this number")
        elif value["number"] != number:
            found.add(f"collections/{number:020d}", _MISSING)


def _values(
    store: Store, prefix: str, name: re.Pattern[str], found: Records
) -> Iterable[tuple[str, dict[str, object]]]:
    for key in _keys(store, prefix, name):
        raw = raw_of(store, key)
        if raw is None:  # it was taken away meanwhile
            continue
        try:
            value = canonical.loads_canonical(raw, what="record", max_bytes=_MAX)
        except CasstoreError as exc:
            found.add(key, exc.message)
            continue
        if small_records.is_sealed(value):
            yield key, value
        else:
            found.add(key, "its token is not that of what it says")


def _keys(store: Store, prefix: str, name: re.Pattern[str]) -> list[str]:
    return sorted(key for key in store.storage.list(prefix) if name.fullmatch(key.removeprefix(prefix)))


def _check_notes(store: Store, found: Records) -> None:
    there, doomed = set(store.packs.names()), store.catalog.doomed()
    for key in _keys(store, f"{mended.FOLDER}/", _NOTE):
        try:
            packs = mended.parse(raw_of(store, key) or b"", bytes.fromhex(key.rpartition("/")[2]))
        except FormatError as exc:
            found.add(key, exc.message)
            continue
        for pack in packs:
            if pack not in there and pack not in doomed and store.packs.mended(pack) is None:
                found.damaged.append(Damage(from_raw(pack), None, 0, f"this pack is gone, {key} leads to it"))
