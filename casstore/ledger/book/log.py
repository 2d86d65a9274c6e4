"""A ledger as it lies in a storage: append and read, exact under races, crashes and lost answers.

- Entry n+1 is created put-if-absent and carries the digest of entry n, so an append is valid
  only on the state that the writer knew.
- A winner is whoever's bytes are there (`Storage.create` reads back); a loser takes the
  winner's entry and tries the next number.
- Reading goes forward by number and never lists; every `prev` is checked, and a break stops
  everything (StoreDamaged).
- Rows of the local cache only save requests: they count when their chain fits and the last
  of them is what the storage holds.
- Entries that this user saw, by what lies in the user's own folder, must still be there.
- Who knows what the first n entries add up to may `resume` after them; they are read when asked for.

What entries mean is left to `state`.

    ledger = Ledger(store)
    entry = ledger.append(EntryKind.EVIDENCE, digest, now=clock.now())
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, Protocol

from attest import digests
from attest.core.values import dataclass
from attest.digests import Digest
from attest.errors import FormatError
from casstore.errors import NoSuchObject, StoreDamaged
from casstore.ledger import entries as formats
from casstore.ledger.book.all_entries import AllEntries, broken_at
from casstore.ledger.book.cache import EntryCache, cache_of
from casstore.ledger.book.seen import Seen
from casstore.ledger.entries import Entry, EntryKind
from casstore.storage import Storage

_STRAIGHT = 8
"""So many entries are read one by one before the tip is searched by galloping."""
_THREADS = 16
_PAUSE = 0.02

_random = secrets.SystemRandom()


class LedgerStore(Protocol):
    """What a ledger needs of the store that it lies in."""

    @property
    def storage(self) -> Storage:
        """Where the entries are."""

    def take_new_packs(self) -> Sequence[str]:
        """Packs written since the last call."""

    def left_packs(self) -> Sequence[str]:
        """Packs that no entry is known to name, and that hold what was put since the last call."""

    def learn_packs(self, names: Iterable[str]) -> None:
        """Packs that an entry names: their objects can be found from now on."""

    def read(self, digest: Digest, *, max_bytes: int = ...) -> bytes:
        """The verified bytes of an object."""

    def put_bytes(self, data: bytes, *, subjects: Sequence[Digest] = ()) -> Digest:
        """Keep a blob."""


@dataclass(frozen=True, slots=True)
class LedgerReport:
    """What `Ledger.verify` saw."""

    ledger: str
    entries: int
    tip: Digest

    def to_json(self) -> dict[str, object]:
        """For `--json`."""
        return {"ledger": self.ledger, "entries": self.entries, "tip": self.tip}


class Ledger:
    """One ledger of a store; one handle belongs to one thread."""

    def __init__(self, store: LedgerStore, name: str = "main", *, cache: EntryCache | None = None) -> None:
        formats.key(name, 0)
        self.name = name
        self._store = store
        self._storage = store.storage
        self._cache = cache if cache is not None else cache_of(store, name)
        self.folded: dict[bytes | None, Any] = {}
        """The last state that `folding.replay` made of these entries with this very store: it goes on from there."""
        self.saved: dict[bytes | None, Any] = {}
        """The state that is saved on this machine, as `saved_state` knows it."""
        self.told: tuple[Any, Any] | None = None
        """What the store was told last of packs that are condemned or given up."""
        self._first = 0
        """The number of the first entry of `_known`: those before it are not read yet."""
        self._known: list[Entry] = []
        self._loaded = False
        self._all: AllEntries | None = None
        self._seen: Seen | None = None
        """How far this user had seen the ledger before it was read here."""

    @property
    def storage(self) -> Storage:
        """Where the entries are."""
        return self._storage

    @property
    def cache(self) -> EntryCache:
        """What is kept of this ledger on this machine."""
        return self._cache

    def lies_in(self, store: object) -> bool:
        """Whether this is the handle's own store."""
        return self._store is store

    def append(
        self,
        kind: EntryKind,
        statement: Digest,
        *,
        channel: str | None = None,
        packs: Sequence[str] | None = None,
        now: datetime,
    ) -> Entry:
        """The next entry, at whatever number is free; durable on return.

        `packs` are by default those that the store wrote since the last entry of this handle.
        """
        draft = self.draft(kind, statement, channel=channel, packs=packs, now=now)
        if not self._loaded:
            self._sync()
        losses = 0
        while not self.offer(entry := self.place(draft)):
            losses += 1
            _yield_to_others(losses)
            self._sync()  # others may be far ahead by now: who chases entry by entry never comes up with them
        return entry

    def draft(
        self,
        kind: EntryKind,
        statement: Digest,
        *,
        channel: str | None = None,
        packs: Sequence[str] | None = None,
        now: datetime,
    ) -> Entry:
        """All of an entry but its place; its nonce stays the same however often the place changes."""
        new = [digests.parse(pack) for pack in (self._new_packs() if packs is None else packs)]
        rest = None
        if len(new) > formats.MAX_PACKS:
            rest = self._store.put_bytes(formats.pack_list(new))
            new = [digests.parse(pack) for pack in self._store.take_new_packs()]
        return Entry(0, digests.ZERO, secrets.token_hex(16), now, EntryKind(kind), statement, channel, tuple(new), rest)

    def _new_packs(self) -> list[str]:
        """Those that were made for the next entry, and those of a put that never came to its own."""
        own = self._store.take_new_packs()
        left = set(self._store.left_packs()) - set(own)
        if left:  # the index may only not know it, when it is new
            named = {pack for entry in self.all_entries().values() for pack in self._packs_of(entry)}
            self._store.learn_packs(left & named)
            left -= named
        return sorted({*own, *left})

    def _packs_of(self, entry: Entry) -> Iterator[str]:
        yield from entry.packs
        if entry.pack_list is not None:
            yield from formats.parse_pack_list(self._store.read(entry.pack_list))

    def place(self, draft: Entry) -> Entry:
        """The draft as the entry after the newest one that this handle knows."""
        last = self._known[-1] if self._known else None
        return formats.make(
            last.number + 1 if last else 0,
            last.digest if last else digests.ZERO,
            draft.nonce,
            draft.time,
            draft.kind,
            draft.statement,
            channel=draft.channel,
            packs=draft.packs,
            pack_list=draft.pack_list,
        )

    def offer(self, entry: Entry) -> bool:
        """Create a placed entry; when another one has its number, that one becomes known and False is returned."""
        if self._storage.create(formats.key(self.name, entry.number), entry.raw):
            self._add([entry.raw], own=True)
            self._note_seen()
            return True
        raw = self._read(entry.number)
        if raw is not None:
            self._add([raw])
        return False

    def entries(self, start: int = 0) -> Iterator[Entry]:
        """Entries from a number on, up to the newest; the chain is checked."""
        self._sync()
        if start < self._first:
            self._read_back(start)
        return iter(self._known[start - self._first :])

    def opener(self) -> Callable[[], Ledger]:
        """Makes handles like this one, without holding it: what is kept in it may hold that."""
        store, name = self._store, self.name
        return lambda: Ledger(store, name)

    def all_entries(self) -> AllEntries:
        """All entries there are, not parsed; each is named by the next one. Raises StoreDamaged."""
        self._sync()
        made = self._all
        if made is None or len(made) != self._next:
            raws = [*self._raws_before(), *(one.raw for one in self._known)]
            made = self._all = AllEntries(raws, self._known, made)
        return made

    def _raws_before(self) -> Sequence[bytes]:
        """The bytes of those that this handle did not begin with."""
        first = self._first
        if not first:
            return ()
        if self._all is not None and len(self._all) >= first:
            return self._all.raws[:first]
        rows = self._cache.load(0)[:first]
        if len(rows) == first and broken_at(rows, self._known[0].raw) is None:
            return rows
        rows = self._read_many(0, first)  # the cache is disposable; the storage alone says what is there
        if (broken := broken_at(rows, self._known[0].raw)) is not None:
            raise self._damaged(f"entry {broken} is not what it was when it was folded here")
        self._cache.put(0, [*rows, self._known[0].raw])  # who began at a seal would read them again in each command
        return rows

    def resume(self, count: int, tip: Digest) -> bool:
        """Whether entry `count - 1` is `tip`; a handle that has read nothing yet begins there. Raises StoreDamaged."""
        if self._loaded:
            return self._first < count <= self._next and self._known[count - 1 - self._first].digest == tip
        self._seen = self._cache.seen()
        raw = self._read(count - 1) if count else None
        if raw is None or digests.sha256(raw) != tip:
            return False
        self._first, self._known = count - 1, [self._parse(raw, count - 1)]
        self._load_cache(count)
        return True

    def peek(self, number: int) -> Entry:
        """One entry as it lies there, the chain around it not checked. Raises NoSuchObject, StoreDamaged."""
        raw = self._read(number)
        if raw is None:
            raise NoSuchObject(f"ledger {self.name}: entry {number} is not there")
        return self._parse(raw, number)

    def tip(self) -> Entry | None:
        """The newest entry, None for an empty ledger."""
        self._sync()
        return self._known[-1] if self._known else None

    def verify(self) -> LedgerReport:
        """Read every entry from the storage again and check the chain. Raises StoreDamaged."""
        self.entries()
        again = Ledger(self._store, self.name, cache=EntryCache())
        again._sync()
        for known, stored in zip(self._known, again._known, strict=False):
            if known.raw != stored.raw:
                raise self._damaged(f"entry {stored.number} is not what it was when this machine first saw it")
        if len(again._known) < len(self._known):
            raise self._damaged(f"entry {len(again._known)} is gone, this machine has seen it")
        again._check_no_strays()
        tip = again._known[-1].digest if again._known else digests.ZERO
        return LedgerReport(self.name, len(again._known), tip)

    def _check_no_strays(self) -> None:
        prefix = formats.key(self.name, 0)[:-20]
        for key in self._storage.list(prefix):
            number = key.removeprefix(prefix)
            if len(number) == 20 and number.isdigit() and int(number) > len(self._known):
                raise self._damaged(f"entry {len(self._known)} is gone, but entry {int(number)} is there")

    def _sync(self) -> None:
        """Read forward to the newest entry."""
        if not self._loaded:
            self._seen = self._cache.seen()
            self._load_cache()
        for _ in range(_STRAIGHT):
            raw = self._read(self._next)
            if raw is None:
                self._check_seen()
                self._note_seen()
                return
            self._add([raw])
        self._add(self._read_many(self._next, self._gallop(self._next)))
        self._sync()

    def _check_seen(self) -> None:
        """What was seen before is there still. Raises StoreDamaged."""
        seen, first = self._seen, self._first
        if seen is None or seen.count <= first:
            return
        if seen.count > self._next:
            raise self._damaged(
                f"entry {self._next} is gone, this user has seen {seen.count} entries", self._way_back()
            )
        if self._known[seen.count - 1 - first].digest != seen.tip:
            what = f"entry {seen.count - 1} is not what it was when this user saw it"
            raise self._damaged(what, self._way_back())

    def _way_back(self) -> str:
        return (
            "casstore fsck --repair --from STORE takes it from another copy; "
            f"was an older state put back on purpose, then remove {self._cache.told_in()}"
        )

    def _note_seen(self) -> None:
        if self._known and (self._seen is None or self._seen.count < self._next):
            self._seen = Seen(self._next, self._known[-1].digest)
            self._cache.saw(self._seen)

    @property
    def _next(self) -> int:
        """One more than the number of the newest known entry."""
        return self._first + len(self._known)

    def _read_back(self, start: int) -> None:
        """The entries from a number on that this handle did not begin with. Raises StoreDamaged."""
        first = self._first
        rows = self._cache.load(start)[: first - start]
        try:
            if len(rows) < first - start:
                rows = self._read_many(start, first)
            earlier = self._chained(start, rows)
        except StoreDamaged:  # the cache is disposable; the storage alone says what is there
            earlier = self._chained(start, self._read_many(start, first))
        except NoSuchObject as exc:
            raise self._damaged("an entry that was folded here is gone") from exc
        self._first, self._known = start, [*earlier, *self._known]
        self._learn_packs(earlier)

    def _chained(self, start: int, rows: Sequence[bytes]) -> list[Entry]:
        """Entries that lead to those that are known: each is named by the next one. Raises StoreDamaged."""
        found = [self._parse(raw, start + place) for place, raw in enumerate(rows)]
        for entry, after in zip(found, [*found[1:], self._known[0]], strict=True):
            if after.prev != entry.digest:
                raise self._damaged(f"entry {entry.number} is not what it was when it was folded here")
        return found

    def _gallop(self, number: int) -> int:
        """One more than the newest number, if entries below `number` are there: doubling steps, then halving."""
        step = 1
        while self._there(number + step - 1):
            step *= 2
        low, high = number + step // 2, number + step - 1
        while low < high:
            middle = (low + high) // 2
            low, high = (middle + 1, high) if self._there(middle) else (low, middle)
        return low

    def _there(self, number: int) -> bool:
        return self._storage.size(formats.key(self.name, number)) is not None

    def _read(self, number: int) -> bytes | None:
        try:
            return self._storage.read(formats.key(self.name, number))
        except NoSuchObject:
            return None

    def _read_many(self, start: int, stop: int) -> list[bytes]:
        keys = [formats.key(self.name, number) for number in range(start, stop)]
        if self._storage.local_path is not None:
            return [self._storage.read(key) for key in keys]
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(_THREADS) as pool:
            return list(pool.map(self._storage.read, keys))

    def _add(self, raws: Sequence[bytes], *, cached: bool = False, own: bool = False) -> None:
        """Entries that follow the known ones, `own` ones or others'; the chain must fit."""
        start = self._next
        for raw in raws:
            self._known.append(self._follow(self._known[-1] if self._known else None, raw))
        if not cached and raws:
            self._cache.put(start, raws)
        self._learn_packs(self._known[start - self._first :], own=own)

    def _learn_packs(self, entries: Sequence[Entry], *, own: bool = False) -> None:
        """A store in a bucket finds objects by what entries name; a local one only marks the packs that ours name."""
        if self._storage.local_path is not None and not own:
            return
        named = [pack for entry in entries for pack in entry.packs]
        if named:
            self._store.learn_packs(named)  # a list of packs lies in one of them
        for entry in entries:
            if entry.pack_list is not None:
                self._store.learn_packs(formats.parse_pack_list(self._store.read(entry.pack_list)))

    def _follow(self, last: Entry | None, raw: bytes) -> Entry:
        number, prev = (last.number + 1, last.digest) if last else (0, digests.ZERO)
        entry = self._parse(raw, number)
        if entry.prev != prev:
            raise self._damaged(f"entry {number} does not follow entry {number - 1}: prev is {entry.prev}, not {prev}")
        return entry

    def _parse(self, raw: bytes, number: int) -> Entry:
        try:
            entry = formats.parse(raw)
        except FormatError as exc:
            raise self._damaged(f"entry {number}: {exc.message}") from exc
        if entry.number != number:
            raise self._damaged(f"the object of entry {number} holds entry {entry.number}")
        return entry

    def _load_cache(self, start: int = 0) -> None:
        rows = self._cache.load(start)
        try:
            self._add(rows, cached=True)
        except StoreDamaged:  # the cache is disposable; the storage alone says what is there
            del self._known[start - self._first :]
        if self._known:
            self._check_cached_tip()
        self._loaded = True

    def _check_cached_tip(self) -> None:
        last = self._known[-1]
        stored = self._read(last.number)
        if stored is None:
            self._forget()
            raise self._damaged(f"entry {last.number} is gone, this machine has seen it")
        if stored != last.raw:
            self._forget()
            raise self._damaged(f"entry {last.number} is not what it was when this machine first saw it")

    def _forget(self) -> None:
        self._first, self._known = 0, []

    def _damaged(self, what: str, hint: str = "") -> StoreDamaged:
        return StoreDamaged(
            f"ledger {self.name}: {what}",
            hint=hint or "compare with another copy or with a checkpoint; nothing was changed here",
        )


def _yield_to_others(losses: int) -> None:
    time.sleep(_random.uniform(0, _PAUSE * min(losses, 8)))
