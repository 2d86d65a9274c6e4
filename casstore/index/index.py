"""The index's tables and what the store asks of them. See the package for what is promised."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from casstore.index import dooms, rows
from casstore.index.environment import Environment, Options
from casstore.index.rows import IndexDoubt, PackRow, Row
from casstore.objects.kinds import Kind
from casstore.objects.pack_format import FRAME, PackTable

if TYPE_CHECKING:
    from casstore.index.compare import Rows

_FORMAT = b"format"
_STORE = b"store"
_EPOCH = dooms.EPOCH


class IndexReader:
    """Many look-ups in one read transaction; keep it short, it pins pages."""

    __slots__ = ("_get",)

    def __init__(self, txn: Any, objects: Any) -> None:
        self._get = partial(txn.get, db=objects)

    def has(self, raw: bytes) -> bool:
        """Whether the object is known."""
        return self.get(raw) is not None

    def get(self, raw: bytes) -> Row | None:
        """Where the object lies. Raises IndexDoubt."""
        value = self._get(raw)
        return None if value is None else rows.parse_row(raw, value)


class Index:
    """An open index. Keys are raw digests; every method may raise IndexDoubt."""

    def __init__(self, environment: Environment, store_id: str) -> None:
        self._environment = environment
        self._tables = environment.tables
        self._store_id = store_id
        self._pieces: dict[int, bytes] = {}
        self._names: dict[int, bytes] = {}
        self.fresh: str | None = None
        """Why this index began empty, when it did."""

    @staticmethod
    def open(folder: str, store_id: str, options: Options = Options()) -> Index:  # noqa: B008  frozen
        """The index in `folder`; an empty one where there is none, or another store's, or a doubtful one."""
        reason: str | None = None
        for _ in range(3):
            environment = Environment.open(folder, options)
            index = Index(environment, store_id)
            try:
                if index._belongs():
                    index.fresh = reason or environment.fresh
                    return index
                reason = "the index was another store's"
            except IndexDoubt as exc:
                reason = str(exc)
            environment.replace()
            environment.close()
        raise IndexDoubt(f"{folder}: no usable index can be made here")

    def close(self) -> None:
        """Give the environment back."""
        self._environment.close()

    def discard(self) -> dict[bytes, dict[str, bool]]:
        """Throw everything away: the next `open` finds an empty index. What was doomed until that very moment."""
        self._environment.replace()
        try:
            return self.doom_rows()
        except IndexDoubt:
            return {}
        finally:
            self.close()

    def is_current(self) -> bool:
        """Whether nobody has put another index in its place."""
        return self._environment.is_current()

    def compact(self) -> None:
        """Write all rows anew, densely; the next `open` finds them. What remembers digests elsewhere forgets them."""
        self._environment.compact(self._new_epoch)
        self.close()

    def size(self) -> int:
        """Bytes of the file."""
        return os.path.getsize(os.path.join(self.path, "data.mdb"))

    @property
    def path(self) -> str:
        """The LMDB folder in use."""
        return self._environment.path

    # objects

    @contextlib.contextmanager
    def reader(self) -> Iterator[IndexReader]:
        """For many look-ups in a row."""
        with self._environment.read() as txn:
            yield IndexReader(txn, self._tables[b"objects"])

    @contextlib.contextmanager
    def rows(self) -> Iterator[Rows]:
        """For comparing the rows with packs' tables."""
        from casstore.index import compare

        with self._environment.read() as txn:
            yield compare.Rows(txn, [self._tables[name] for name in compare.TABLES])

    def get(self, raw: bytes) -> Row | None:
        """Where the object lies."""
        value = self._value(b"objects", raw)
        return None if value is None else rows.parse_row(raw, value)

    def count(self) -> int:
        """How many objects are known."""
        with self._environment.read() as txn:
            entries: int = txn.stat(self._tables[b"objects"])["entries"]
        return entries

    def digests(self, prefix: bytes = b"") -> Iterator[bytes]:
        """All known raw digests that start so, sorted."""
        with self._environment.read() as txn:
            cursor = txn.cursor(self._tables[b"objects"])
            found = cursor.set_range(prefix) if prefix else cursor.first()
            while found and (key := cursor.key()).startswith(prefix):
                yield key
                found = cursor.next()

    def objects_of(self, number: int) -> set[bytes]:
        """Raw digests of the objects that are looked for in this pack: a walk over all rows."""
        with self._environment.read() as txn:
            found = ((key, rows.parse_row(key, value)) for key, value in txn.cursor(self._tables[b"objects"]))
            return {key for key, row in found if row.pack == number}

    def large_sizes(self) -> frozenset[int]:
        """The sizes of all objects that are larger than a frame."""
        with self._environment.read() as txn:
            return frozenset(int.from_bytes(key, "big") for key, _ in txn.cursor(self._tables[b"large"]))

    def subjects(self, raw: bytes) -> list[bytes]:
        """Raw digests of the attestations about this subject, sorted."""
        found = []
        with self._environment.read() as txn:
            cursor = txn.cursor(self._tables[b"subjects"])
            more = cursor.set_range(raw)
            while more and cursor.key()[:32] == raw:
                rows.unseal(cursor.key(), cursor.value())
                found.append(cursor.key()[32:])
                more = cursor.next()
        return found

    # packs

    def packs(self) -> dict[bytes, int]:
        """Name -> number of every known pack."""
        with self._environment.read() as txn:
            cursor = txn.cursor(self._tables[b"packs"])
            return {rows.parse_pack_row(key, value).name: _number(key) for key, value in cursor}

    def known_packs(self, names: Iterable[bytes]) -> set[bytes]:
        """Those of these packs that are known."""
        with self._environment.read() as txn:
            return {name for name in names if txn.get(name, db=self._tables[b"names"]) is not None}

    def packs_from(self, prefix: bytes) -> set[bytes]:
        """The known packs whose names start so."""
        found = set()
        with self._environment.read() as txn:
            cursor = txn.cursor(self._tables[b"names"])
            more = cursor.set_range(prefix)
            while more and cursor.key().startswith(prefix):
                found.add(cursor.key())
                more = cursor.next()
        return found

    def unannounced(self) -> list[bytes]:
        """Names of the packs that no ledger entry is known to name."""
        with self._environment.read() as txn:
            found = (rows.parse_pack_row(key, value) for key, value in txn.cursor(self._tables[b"packs"]))
            return sorted(row.name for row in found if not row.announced)

    def pack(self, number: int) -> PackRow:
        """A pack by its number."""
        key = number.to_bytes(4, "big")
        value = self._value(b"packs", key)
        if value is None:
            raise IndexDoubt(f"pack number {number} is not known")
        return rows.parse_pack_row(key, value)

    def pack_name(self, number: int) -> bytes:
        """A pack's name by its number, remembered."""
        name = self._names.get(number)
        if name is None:
            name = self._names[number] = self.pack(number).name
        return name

    def pieces(self, number: int) -> bytes:
        """The list of a pack's pieces (pack_format.PIECE rows), remembered."""
        found = self._pieces.get(number)
        if found is None:
            key = number.to_bytes(4, "big")
            value = self._value(b"pieces", key)
            if value is None:
                raise IndexDoubt(f"the pieces of pack number {number} are not known")
            if len(self._pieces) >= 256:
                self._pieces.clear()
            found = self._pieces[number] = rows.unseal(key, value)
        return found

    def add_packs(self, tables: Sequence[tuple[PackTable, int]], *, announced: bool = False) -> None:
        """Take (table, file size) of packs that are durable in the store; one transaction, sorted keys."""
        self._environment.write(lambda txn: self._add(txn, tables, announced))

    def announce(self, names: Iterable[bytes]) -> None:
        """These packs are named by a ledger entry; unknown names are left out."""
        wanted = list(names)

        def change(txn: Any) -> None:
            for name in wanted:
                value = txn.get(name, db=self._tables[b"names"])
                if value is None:
                    continue
                key = rows.unseal(name, value)
                row = rows.parse_pack_row(key, txn.get(key, db=self._tables[b"packs"]) or b"")
                self._put(txn, b"packs", key, rows.pack([row.name, row.size, True]))

        if wanted:
            self._environment.write(change)

    def _add(self, txn: Any, tables: Sequence[tuple[PackTable, int]], announced: bool) -> None:
        new = self._number_packs(txn, tables, announced)
        if new and txn.stat(self._tables[b"objects"])["entries"] == 0:
            self._append_objects(txn, new)
        else:
            for number, table in new:
                self._add_objects(txn, number, table)
        for number, table in new:
            if table.subjects:
                self._add_attestations(txn, number, table)

    def _number_packs(
        self, txn: Any, tables: Sequence[tuple[PackTable, int]], announced: bool
    ) -> list[tuple[int, PackTable]]:
        """Rows of the packs that are not known yet, and their new numbers."""
        new: list[tuple[int, PackTable]] = []
        number = self._next_number(txn)
        for table, size in tables:
            if txn.get(table.name, db=self._tables[b"names"]) is not None or dooms.has(txn, self._tables, table.name):
                continue
            key = number.to_bytes(4, "big")
            self._put(txn, b"packs", key, rows.pack([table.name, size, announced]))
            self._put(txn, b"names", table.name, key)
            self._put(txn, b"pieces", key, table.pieces)
            new.append((number, table))
            number += 1
        return new

    def _append_objects(self, txn: Any, packs: Sequence[tuple[int, PackTable]]) -> None:
        from casstore.index.fill import SortedRun

        run = SortedRun(packs)
        txn.cursor(self._tables[b"objects"]).putmulti(run.items(), dupdata=False, overwrite=False, append=True)
        self._note_large(txn, run.large)

    def _add_objects(self, txn: Any, number: int, table: PackTable) -> None:
        txn.cursor(self._tables[b"objects"]).putmulti(rows.object_items(number, table), dupdata=False, overwrite=False)
        if table.piece_count > 1:
            self._note_large(txn, {row[4] for row in table.iter_objects() if row[4] > FRAME})

    def _add_attestations(self, txn: Any, number: int, table: PackTable) -> None:
        """Attestations win over an equal blob that was there before."""
        items = rows.object_items(number, table, kinds=(Kind.ATTESTATION,))
        txn.cursor(self._tables[b"objects"]).putmulti(items, dupdata=False, overwrite=True)
        for subject, raw in table.iter_subjects():
            self._put(txn, b"subjects", subject + raw, b"")

    def _note_large(self, txn: Any, lengths: Iterable[int]) -> None:
        for length in sorted(lengths):
            self._put(txn, b"large", length.to_bytes(8, "big"), b"")

    def _next_number(self, txn: Any) -> int:
        cursor = txn.cursor(self._tables[b"packs"])
        return max(dooms.next_number(txn, self._tables), _number(cursor.key()) + 1 if cursor.last() else 0)

    # packs on which nobody may lean any more: see `dooms`

    def doomed(self) -> dict[bytes, bool]:
        """Names of the packs that were condemned, or given up (True)."""
        with self._environment.read() as txn:
            return {name: any(by.values()) for name, by in dooms.load(txn, self._tables)}

    def doom_rows(self) -> dict[bytes, dict[str, bool]]:
        """As `doomed`, with who said so."""
        with self._environment.read() as txn:
            return dict(dooms.load(txn, self._tables))

    def doom(self, told: Mapping[bytes, Mapping[str, bool]], tables: Mapping[bytes, tuple[PackTable, int]]) -> bool:
        """From now on exactly these packs are doomed; their objects are found in the packs of `tables`, if at all.

        `tables` are (table, size) of all other packs, those that were doomed before too. False, with nothing
        changed, when a pack became known that is not among them. One of size 0 is not there any more.
        """

        return self._environment.write(lambda txn: self._doom(txn, told, tables))

    def hear(
        self, owner: str, count: int, packs: Mapping[bytes, bool], tables: Mapping[bytes, tuple[PackTable, int]]
    ) -> bool:
        """As `doom`: by its first `count` steps, `owner` dooms exactly these; nothing where more were heard before."""

        def change(txn: Any) -> bool:
            if dooms.said_later(txn, self._tables, owner, count):
                return True
            if not self._doom(txn, dooms.merged(txn, self._tables, owner, packs), tables):
                return False
            dooms.note_count(txn, self._tables, owner, count)
            return True

        return self._environment.write(change)

    def _doom(
        self, txn: Any, told: Mapping[bytes, Mapping[str, bool]], tables: Mapping[bytes, tuple[PackTable, int]]
    ) -> bool:
        lifted = dooms.change(txn, self._tables, told, {name: table for name, (table, _) in tables.items()})
        if lifted is None or lifted - tables.keys():
            return False
        back = [tables[name] for name in sorted(lifted)]
        self._add(txn, [found for found in back if found[1]], announced=False)
        return True

    # small things

    def epoch(self) -> bytes:
        """Changes whenever something was forgotten; what remembers digests elsewhere compares it."""
        return self._info(_EPOCH) or b""

    def meta_get(self, key: bytes) -> bytes | None:
        """A cached value of the user of this index (the ledger), or None."""
        value = self._value(b"meta", key)
        return None if value is None else rows.unseal(key, value)

    def meta_put(self, items: Iterable[tuple[bytes, bytes]]) -> None:
        """Store cached values, all or none."""
        wanted = list(items)

        def change(txn: Any) -> None:
            for key, value in wanted:
                self._put(txn, b"meta", key, value)

        self._environment.write(change)

    def meta_swap(
        self,
        key: bytes,
        before: bytes | None,
        items: Sequence[tuple[bytes, bytes]],
        gone: Sequence[bytes],
        under: bytes,
    ) -> bool:
        """As `meta_put`, and take rows away, in one transaction, if the row of `key` is still `before`.

        Who knows of none before takes the place of whatever lies there, and of all rows `under` a prefix.
        """

        def change(txn: Any) -> bool:
            found = txn.get(key, db=self._tables[b"meta"])
            if before is not None and (found is None or rows.unseal(key, found) != before):
                return False
            cursor = txn.cursor(self._tables[b"meta"])
            while before is None and cursor.set_range(under) and cursor.key().startswith(under):
                cursor.delete()
            for name in gone:
                txn.delete(name, db=self._tables[b"meta"])
            for name, value in items:
                self._put(txn, b"meta", name, value)
            return True

        return self._environment.write(change)

    def meta_scan(self, prefix: bytes, start: bytes = b"") -> list[tuple[bytes, bytes]]:
        """All cached (key, value) whose key starts with `prefix`, sorted; from the key `start` on."""
        found = []
        with self._environment.read() as txn:
            cursor = txn.cursor(self._tables[b"meta"])
            more = cursor.set_range(start or prefix) if start or prefix else cursor.first()
            while more and cursor.key().startswith(prefix):
                found.append((cursor.key(), rows.unseal(cursor.key(), cursor.value())))
                more = cursor.next()
        return found

    def note(self, key: bytes, value: bytes) -> None:
        """Remember something about the store itself (`info` table)."""
        self._environment.write(lambda txn: self._put(txn, b"info", key, value))

    def noted(self, key: bytes) -> bytes | None:
        """What `note` remembered."""
        return self._info(key)

    def _belongs(self) -> bool:
        """Whether this index is of our version and of this store; an empty one is made so."""
        if self._info(_FORMAT) is None and not self.count():
            self._environment.write(self._found)
        return self._info(_FORMAT) == str(rows.VERSION).encode() and self._info(_STORE) == self._store_id.encode()

    def _found(self, txn: Any) -> None:
        self._put(txn, b"info", _FORMAT, str(rows.VERSION).encode())
        self._put(txn, b"info", _STORE, self._store_id.encode())
        self._new_epoch(txn, self._tables)

    @staticmethod
    def _new_epoch(txn: Any, tables: dict[bytes, Any]) -> None:
        txn.put(_EPOCH, rows.seal(_EPOCH, os.urandom(16)), db=tables[b"info"])

    def _info(self, key: bytes) -> bytes | None:
        value = self._value(b"info", key)
        return None if value is None else rows.unseal(key, value)

    def _value(self, table: bytes, key: bytes) -> bytes | None:
        with self._environment.read() as txn:
            value: bytes | None = txn.get(key, db=self._tables[table])
        return value

    def _put(self, txn: Any, table: bytes, key: bytes, record: bytes) -> None:
        txn.put(key, rows.seal(key, record), db=self._tables[table])


def _number(key: bytes) -> int:
    return int.from_bytes(key, "big")
