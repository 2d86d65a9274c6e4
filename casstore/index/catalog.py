"""Packs and index as one: which objects there are, and where. Keeps the index true to the packs.

The packs decide. An index that lags learns the packs that it does not know; one that is in
doubt, or names packs that are gone, is thrown away and filled again from the packs' tables.
Reading and verifying bytes is left to `casstore.index.reading`.

    catalog = Catalog(packs, folder, store_id, Durability.BATCH)
    catalog.locate(raw_digest)            # -> Located or None
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from attest.digests import from_raw
from attest.errors import CasstoreError, FormatError
from casstore.errors import NoSuchObject, StorageUnavailable
from casstore.index import Index, IndexDoubt, Options
from casstore.index.rows import pack, unpack
from casstore.machine import clock
from casstore.objects.pack_format import PackTable, Place
from casstore.objects.packs import Durability, LocalPacks, Packs
from casstore.objects.staging import Staging

if TYPE_CHECKING:
    from casstore.objects.pack_writer import SealedPack

T = TypeVar("T")

_SCAN = b"scan"
_LOST = b"lost"
_LISTED = b"listed"
_SETTLED_NS = 2_000_000_000
"""A folder's mtime is believed only when it is older than this: two changes may share one clock tick."""
_THREADS = 16
"""Tables of packs in a bucket that are asked for side by side."""
_FEW = 2
_ROUND = 256
"""Packs whose tables are asked for before the next are."""
_HELD = 1024 * 1024 * 1024
"""Bytes of tables held at once: twenty million objects."""


class Located(NamedTuple):
    """An object's place: the pack's name, the list of its pieces, and the place in them."""

    pack: bytes
    pieces: bytes
    place: Place


class Catalog:
    """The index of one store, healed on the way; thread-safe as far as Index is."""

    def __init__(self, packs: Packs, folder: str, store_id: str, durability: Durability) -> None:
        self._packs = packs
        self.folder = folder
        self._store_id = store_id
        self._options = Options(sync=durability is not Durability.NONE, metasync=durability is Durability.FULL)
        self._lock = threading.RLock()
        self.damaged: dict[bytes, str] = {}
        """Packs whose table cannot be read, and why; their objects cannot be found."""
        self.healed: list[str] = []
        """What was wrong with the index and has been made good."""
        self._mended: set[bytes] = set()
        """Packs whose place others have taken: what those hold is known."""
        self._tables: dict[bytes, PackTable] = {}
        """Of condemned packs, which the index does not know any more."""
        self.staged = Staging(packs, self.learn)
        """What this handle has packed and not yet put into the store."""
        self.index = self._open()

    def close(self) -> None:
        """Give the index back; what was not settled is dropped."""
        self.staged.drop()
        self.index.close()

    def ask(self, question: Callable[[Index], T]) -> T:
        """An answer of the index; one that is in doubt is filled again first."""
        for _ in range(2):
            index = self.index
            try:
                return question(index)
            except IndexDoubt as exc:
                self.heal(str(exc), index)
        return question(self.index)

    def locate(self, raw: bytes) -> Located | None:
        """Where an object is, after a look for new packs when it is not known, and into condemned ones."""
        found = self.ask(lambda index: _locate(index, raw)) or self._locate_staged(raw)
        if found is None and self.refresh():
            found = self.ask(lambda index: _locate(index, raw))
        if found is None and self.doomed():
            found = next((there for table in self._condemned() if (there := _in_table(table, raw))), None)
            # what left a condemned pack while we looked was in the index before
            found = found or self.ask(lambda index: _locate(index, raw))
        return found

    def knows(self, raw: bytes) -> bool:
        """Whether a writer may count on the object: it is there, and not in condemned packs only."""
        return self.staged.has(raw) or self.ask(lambda index: index.get(raw)) is not None

    def known(self, get: Callable[[bytes], object]) -> Callable[[bytes], object]:
        """`get` of an index, with what is staged before it."""
        staged = self.staged
        return get if staged.idle else lambda raw: staged.has(raw) or get(raw)

    def _locate_staged(self, raw: bytes) -> Located | None:
        found = self.staged.find(raw)
        return None if found is None else Located(*found)

    def condemned_digests(self) -> set[bytes]:
        """Objects in packs that were condemned and not given up: they are there, though no writer leans on them."""
        return {raw for table in self._condemned() for raw, *_ in table.iter_objects()}

    def condemned_about(self, subject: bytes) -> list[bytes]:
        """Attestations about this subject that only condemned packs hold."""
        return [raw for table in self._condemned() for about, raw in table.iter_subjects() if about == subject]

    def doomed(self) -> dict[bytes, bool]:
        """Packs on which nobody may lean; True = given up."""
        return self.ask(lambda index: index.doomed())

    def doom(self, owner: str, packs: Mapping[bytes, bool], count: int) -> None:
        """By its first `count` steps, `owner` (a ledger) dooms exactly these packs; True = given up."""
        with self._lock:
            rows = self.ask(lambda index: index.doom_rows())
            if {name: by[owner] for name, by in rows.items() if owner in by} != packs:
                self._doom(owner, packs, count)

    def _doom(self, owner: str, packs: Mapping[bytes, bool], count: int) -> None:
        tables: dict[bytes, tuple[PackTable, int]] = {}
        done = False
        while not done or not self.index.is_current():
            if not self.index.is_current():  # thrown away meanwhile: what is doomed must stand in the new one
                self.index.close()
                self.index = self._open()
            for name in (*self._known_names(), *(name for name, gone in self.doomed().items() if not gone)):
                if name not in packs and name not in tables:
                    tables[name] = self._table(name)
            done = self.ask(lambda index: index.hear(owner, count, packs, tables))
        for name in packs:
            self.damaged.pop(name, None)

    def _table(self, name: bytes) -> tuple[PackTable, int]:
        """The table and size of a pack; an empty one of size 0 where it is gone or damaged."""
        try:
            return self._packs.table(name)
        except (FormatError, NoSuchObject):
            return PackTable(name, b"", b"", b""), 0

    def _condemned(self) -> Iterator[PackTable]:
        """The tables of packs that were condemned and not given up."""
        names = [name for name, gone in self.doomed().items() if not gone]
        for name in names:
            if name not in self._tables:
                try:
                    self._tables[name] = self._packs.table(name)[0]
                except (FormatError, NoSuchObject):
                    continue
            yield self._tables[name]

    def locate_given_up(self, raw: bytes) -> Located | None:
        """Where it lies until the files of given-up packs are removed. For reading: nobody may count on it any more."""
        for name in [name for name, gone in self.doomed().items() if gone]:
            with contextlib.suppress(FormatError, NoSuchObject):
                if (found := _in_table(self._packs.table(name)[0], raw)) is not None:
                    return found
        return None

    def locate_many(self, raws: list[bytes]) -> dict[bytes, Located]:
        """Where all these are; sorted digests are fastest. Raises NoSuchObject."""
        places = self.ask(lambda index: _locate_all(index, raws))
        for raw in raws:
            if raw not in places:
                found = self.locate(raw)
                if found is None:
                    raise no_such_object(raw)
                places[raw] = found
        return places

    def locate_in_packs(self, raw: bytes) -> list[Located]:
        """All places of an object by the packs' own tables: slow, for damage only."""
        if not isinstance(self._packs, LocalPacks) and any(self._was_mended(name) for name in self._known_names()):
            self.heal("the index named packs that were mended")
        found = []
        for name in sorted(self._names()):
            with contextlib.suppress(FormatError, NoSuchObject, StorageUnavailable):
                table, _ = self._packs.table(name)
                place = table.find(raw)
                if place is not None:
                    found.append(Located(name, table.pieces, place))
        return found

    def commit(self, sealed: Sequence[SealedPack]) -> None:
        """Index packs that have just become durable. What goes wrong here only lags: the packs are there."""
        self.learn([pack.name for pack in sealed])

    def learn(self, names: Iterable[bytes], *, announced: bool = False) -> None:
        """Take these packs into the index, by their own tables; known ones cost nothing."""
        wanted = list(dict.fromkeys(names))
        known = self.ask(lambda index: index.known_packs(wanted))
        passed = self._mended.union(self.damaged)
        new = [name for name in wanted if name not in known and name not in passed]
        doomed = self.doomed() if new else {}
        new = [name for name in new if name not in doomed]
        for tables in self._read_tables(new):
            self._add(tables, announced)
        if announced:
            self.ask(lambda index: index.announce(wanted))

    def learn_listed(self) -> None:
        """In a bucket: all packs there are, by a listing, once for each index. Those of no entry are found so."""
        if isinstance(self._packs, LocalPacks) or self.ask(lambda index: index.noted(_LISTED)):
            return
        self.learn(self._packs.names())
        self.ask(lambda index: index.note(_LISTED, b"1"))

    def refresh(self) -> bool:
        """Look for packs that others have added or removed (a local store only); whether there were any."""
        packs = self._packs
        if not isinstance(packs, LocalPacks):
            return False
        with self._lock:
            return self._refresh(packs)

    def heal(self, reason: str, index: Index | None = None) -> None:
        """Throw the index away and fill a new one from the packs."""
        with self._lock:
            if index is not None and index is not self.index:
                return  # another thread has done it
            names = self._known_names()
            self.healed.append(reason)
            self._empty()
            self.damaged.clear()
            self._mended.clear()
            if isinstance(self._packs, LocalPacks):
                self._refresh(self._packs)
            else:
                self.learn(names)

    def rebuild(self, reason: str) -> None:
        """As `heal`, from a listing of all packs: maintenance."""
        self.heal(reason)
        self.learn(self._packs.names())

    def compact(self) -> tuple[int, int]:
        """Write the index anew without the room that growing has left; bytes before and after. Maintenance."""
        with self._lock:
            before = self.index.size()
            self.index.compact()
            self.index = self._open()
            return before, self.index.size()

    def _empty(self) -> None:
        """A new, empty index; what is doomed stays so. Where another has made one, what that one says counts."""
        told: dict[bytes, dict[str, bool]] = {}
        with contextlib.suppress(OSError):
            told = self.index.discard()
        self.index = self._open()
        self.index.fresh = None  # it is empty because we made it so
        newer = self.index.doom_rows()
        told = {name: told.get(name, {}) | newer.get(name, {}) for name in told.keys() | newer.keys()}
        if told != newer:
            self.index.doom(told, {})

    def _was_mended(self, name: bytes) -> bool:
        self._packs.forget(name)
        return self._packs.size(name) is None and self._packs.mended(name) is not None

    def _open(self) -> Index:
        return Index.open(self.folder, self._store_id, self._options)

    def _names(self) -> set[bytes]:
        if isinstance(self._packs, LocalPacks):
            return set(self._packs.names())
        return set(self._known_names())

    def _known_names(self) -> list[bytes]:
        try:
            return list(self.index.packs())
        except IndexDoubt:
            return []

    def _add(self, tables: Sequence[tuple[PackTable, int]], announced: bool) -> None:
        self.ask(lambda index: index.add_packs(tables, announced=announced))

    def _read_tables(self, names: Iterable[bytes]) -> Iterator[list[tuple[PackTable, int]]]:
        """Tables of packs, as many at a time as memory should hold: an empty index is filled best at once."""
        tables: list[tuple[PackTable, int]] = []
        held = 0
        waiting = list(names)
        while waiting:
            asked, waiting = waiting[:_ROUND], waiting[_ROUND:]
            for name, found in zip(asked, self._tables_of(asked), strict=True):
                if isinstance(found, CasstoreError):
                    waiting += self._instead_of(name, found)
                    continue
                tables.append(found)
                held += len(found[0].objects) + len(found[0].pieces)
                if held >= _HELD:
                    yield tables
                    tables, held = [], 0
        if tables:
            yield tables

    def _instead_of(self, name: bytes, why: CasstoreError) -> Sequence[bytes]:
        """The packs that hold what a pack held that is gone or damaged."""
        if name not in self._mended and (instead := self._packs.mended(name)) is not None:
            self._mended.add(name)
            return instead
        if name not in self._mended:
            self.damaged[name] = why.message
        return ()

    def _tables_of(self, names: Sequence[bytes]) -> Iterable[tuple[PackTable, int] | CasstoreError]:
        """Tables, or why there is none; in a bucket many are asked for side by side."""
        if isinstance(self._packs, LocalPacks) or len(names) < _FEW:
            return map(self._table_or_error, names)
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(_THREADS) as pool:
            return list(pool.map(self._table_or_error, names))

    def _table_or_error(self, name: bytes) -> tuple[PackTable, int] | CasstoreError:
        try:
            return self._packs.table(name)
        except (FormatError, NoSuchObject) as exc:
            return exc

    def _refresh(self, packs: LocalPacks) -> bool:
        before = self.ask(_scan_state)
        now = packs.folders()
        changed = [folder for folder, mtime in now.items() if before.get(folder) != mtime]
        changed += [folder for folder in before if folder not in now]
        if not changed:
            return False
        there = {name for folder in changed for name in packs.names_in(folder)}
        expected = {name for folder in changed for name in self._known_in(folder)}
        if expected - there:
            self._forget_gone(packs, expected - there)
            return True
        new = there - expected - set(self.damaged) - self.doomed().keys()
        if new and self.index.fresh is not None and not before:
            self.healed.append(self.index.fresh)
        packs.hold(new)
        self.learn(sorted(new))
        self._note_scan(now, before)
        return bool(new)

    def _known_in(self, folder: str) -> list[bytes]:
        return list(self.ask(lambda index: index.packs_from(bytes.fromhex(folder))))

    def lost(self) -> list[bytes]:
        """Packs that were there once and are not: remembered until they are back."""
        names, doomed = self.ask(_lost), self.doomed()
        gone = [name for name in names if name not in doomed and self._packs.size(name) is None]
        return [name for name in gone if self._packs.mended(name) is None]

    def _forget_gone(self, packs: LocalPacks, gone: set[bytes]) -> None:
        """Packs that the index knows are not there any more."""
        lost = sorted(gone | set(self.ask(_lost)))
        self._empty()
        self.healed.append("the index named packs that are gone")
        self.ask(lambda index: index.note(_LOST, pack(lost)))
        now = packs.folders()
        names = sorted(packs.names())
        packs.hold(names)
        self.learn(names)
        self._note_scan(now)

    def _note_scan(self, folders: dict[str, int], before: dict[str, int] | None = None) -> None:
        limit = clock.unix_ns() - _SETTLED_NS
        settled = {folder: mtime for folder, mtime in folders.items() if mtime < limit}
        if settled != before:
            self.ask(lambda index: index.note(_SCAN, pack(settled)))


def _scan_state(index: Index) -> dict[str, int]:
    noted = index.noted(_SCAN)
    state = unpack(noted) if noted else {}
    return state if isinstance(state, dict) else {}


def _lost(index: Index) -> list[bytes]:
    noted = index.noted(_LOST)
    return list(unpack(noted)) if noted else []


def _locate(index: Index, raw: bytes) -> Located | None:
    row = index.get(raw)
    if row is None:
        return None
    place = Place(row.kind, row.piece, row.inner, row.length)
    try:
        return Located(index.pack_name(row.pack), index.pieces(row.pack), place)
    except IndexDoubt:
        if index.get(raw) == row:
            raise
        return _locate(index, raw)  # its pack was dropped between the two looks


def _in_table(table: PackTable, raw: bytes) -> Located | None:
    place = table.find(raw)
    return None if place is None else Located(table.name, table.pieces, place)


def _locate_all(index: Index, raws: list[bytes]) -> dict[bytes, Located]:
    places: dict[bytes, Located] = {}
    with index.reader() as reader:
        rows = {raw: row for raw in raws if (row := reader.get(raw)) is not None}
    for raw, row in rows.items():
        place = Place(row.kind, row.piece, row.inner, row.length)
        try:
            places[raw] = Located(index.pack_name(row.pack), index.pieces(row.pack), place)
        except IndexDoubt:
            if (found := _locate(index, raw)) is not None:
                places[raw] = found
    return places


def no_such_object(raw: bytes) -> NoSuchObject:
    """The error that names the digest."""
    return NoSuchObject(f"{from_raw(raw)}: no such object in this store", hint="look whether it is in another store")
