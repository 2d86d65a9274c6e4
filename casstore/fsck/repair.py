"""Mends a damaged store from another one: with the very bytes that names say, or not at all.

- A pack that the other store has too is taken whole, under its own name.
- Else what the damaged pack held is written into a new pack: what is still good from here, the
  rest from there. A note (`mended/`) leads readers of old ledger entries to it; then the
  damaged pack goes to `quarantine/`. While one of its objects cannot be had it stays.
- Each step can be done again: who is killed in between repairs once more.

    report = repair(store, source)
    report.mended, report.damaged
"""

from __future__ import annotations

import os
import time
from collections.abc import Collection
from dataclasses import replace

from attest.digests import Digest, from_raw, to_raw
from attest.errors import FormatError
from casstore.errors import Conflict, NoSuchObject, NotWritable, StoreDamaged
from casstore.fsck.announced import unnamed
from casstore.fsck.check import fsck
from casstore.fsck.copies import Copies, copy_from
from casstore.fsck.mending import mend_records
from casstore.fsck.report import Damage, FsckReport, Mended
from casstore.fsck.whole_pack import put_away, take_whole
from casstore.ledger.book.listing import ledger_names
from casstore.machine.progress import Progress
from casstore.objects import mended as notes
from casstore.objects import tree as trees
from casstore.objects.kinds import Kind
from casstore.objects.pack_writer import PackWriter
from casstore.objects.packs import key_of, wrapped
from casstore.objects.tree import LINK
from casstore.store.store import Store

_ROUNDS = 16
"""What is mended may show what else is missing: a folder, a release."""


def repair(store: Store, source: Store, *, progress: Progress | None = None) -> FsckReport:
    """Check, mend, and check again until nothing more can be mended. Raises NotWritable, Conflict."""
    started = time.monotonic()
    if store.read_only:
        raise NotWritable(f"{store.url}: opened for reading only, it cannot be mended")
    if source.url == store.url:
        raise Conflict(f"{source.url}: a store cannot be mended from itself", hint="name another copy: --from STORE")
    report = fsck(store, progress=progress)
    done: list[Mended] = []
    for _ in range(_ROUNDS):
        if report.ok:
            break
        names = store.catalog.ask(lambda index: index.packs())
        mended = _Round(store, source, report.damaged, names).run()
        before, report = report, fsck(store, progress=progress)
        done += mended
        if not mended and len(report.damaged) >= len(before.damaged):
            break
    left = {(one.pack, one.object, one.record) for one in report.damaged}
    kept = {(one.object, one.record): one for one in done if (one.pack, one.object, one.record) not in left}
    return replace(report, mended=tuple(kept.values()), seconds=time.monotonic() - started)


class _Round:
    """One pass over what a check has named."""

    def __init__(self, store: Store, source: Store, damaged: Collection[Damage], known: dict[bytes, int]) -> None:
        self._store = store
        self._source = source
        self._damaged = damaged
        self._known = known
        self._mended: list[Mended] = []

    def run(self) -> list[Mended]:
        """What has been mended."""
        self._mended += mend_records(self._store, self._source, self._damaged)
        packs = {one.pack: None for one in self._damaged if one.pack is not None}
        loose = {to_raw(one.object) for one in self._damaged if one.object is not None and one.pack is None}
        rebuilt = [to_raw(pack) for pack in packs if not self._take_whole(to_raw(pack))]
        for name in rebuilt:
            self._rebuild(name)
        if loose:
            self._write(loose, b"")
        if packs or loose:
            self._store.catalog.rebuild("packs were mended")
        return self._mended

    def _take_whole(self, name: bytes) -> bool:
        if not take_whole(self._store, self._source, name):
            return False
        self._tell(name, {one.object for one in self._damaged if one.pack == from_raw(name)}, "its pack was taken")
        return True

    def _rebuild(self, name: bytes) -> None:
        """A new pack for what this one held; it goes into quarantine when nothing of it is lost."""
        if self._take_note(name):
            return
        wanted, sure, known = self._held_by(name)
        lost, homes = self._write(wanted, name)
        if lost or not sure:
            return
        if not known:  # whatever it held lies in packs that an entry names, or in one of these
            homes |= unnamed(self._store)
        note = notes.to_bytes(name, homes)
        if not self._store.storage.create(notes.key_of(name), note) and self._store.packs.mended(name) is None:
            raise StoreDamaged(f"{notes.key_of(name)}: is there and is no note", hint="remove it and repair once more")
        put_away(self._store, name)
        self._store.storage.delete([key_of(name)])
        self._store.packs.forget(name)

    def _take_note(self, name: bytes) -> bool:
        """Whether the other store was mended before, and left a note that leads on here too."""
        packs = None if self._store.packs.size(name) is not None else self._source.packs.mended(name)
        if packs is None or any(self._store.packs.size(pack) is None for pack in packs):
            return False
        self._store.storage.create(notes.key_of(name), notes.to_bytes(name, packs))
        self._tell(name, {None}, "its note was taken")
        return True

    def _held_by(self, name: bytes) -> tuple[set[bytes], bool, bool]:
        """(what the pack held, whether that is all, whether anything says so): by its table, else by the index,
        else by what a ledger misses."""
        hit = {to_raw(one.object) for one in self._damaged if one.object is not None and one.pack == from_raw(name)}
        try:
            table, _ = self._store.packs.table(name)
            return hit | {row[0] for row in table.iter_objects()}, True, True
        except (FormatError, NoSuchObject):
            pass
        number = self._known.get(name)
        if number is not None:
            return hit | self._store.catalog.ask(lambda index: index.objects_of(number)), True, True
        missing = {to_raw(one.object) for one in self._damaged if one.object is not None and one.pack is None}
        return hit | missing, bool(ledger_names(self._store)), False

    def _write(self, wanted: set[bytes], damaged: bytes) -> tuple[set[bytes], set[bytes]]:
        """(what cannot be had, the packs that hold the rest); a new pack for what no other pack here holds whole."""
        copies = Copies.of(self._store, wanted)
        homes: set[bytes] = set()
        moving: set[bytes] = set()
        for raw in wanted:
            elsewhere = (name for name in copies.homes.get(raw, ()) if name != damaged and copies.whole(raw, name))
            home = next(elsewhere, None)
            if home is None:
                moving.add(raw)
            else:
                homes.add(home)
        lost = self._new_pack(moving, copies, damaged, homes) if moving else set()
        return lost, homes

    def _new_pack(self, moving: set[bytes], copies: Copies, damaged: bytes, homes: set[bytes]) -> set[bytes]:
        """What cannot be had anywhere."""
        path = self._store.packs.new_path()
        with wrapped(path):
            writer = PackWriter(path, level=self._store.options.level, nonce=os.urandom(16))
        lost: set[bytes] = set()
        taken: set[bytes] = set()
        try:
            with wrapped(path):
                self._fill(writer, moving, copies, damaged, lost, taken)
                sealed = writer.finish() if writer.objects else None
        except BaseException:
            writer.abandon()
            raise
        if sealed is None:
            writer.abandon()
            return lost
        self._store.packs.adopt(sealed)
        self._store.catalog.learn([sealed.name])
        homes.add(sealed.name)
        self._tell(damaged, {from_raw(raw) for raw in taken}, "taken")
        return lost

    def _fill(
        self,
        writer: PackWriter,
        moving: set[bytes],
        copies: Copies,
        damaged: bytes,
        lost: set[bytes],
        taken: set[bytes],
    ) -> None:
        waiting, met = sorted(moving, reverse=True), set(moving)
        while waiting:
            raw = waiting.pop()
            if damaged in copies.homes.get(raw, ()) and copies.whole(raw, damaged):
                copies.copy(raw, damaged, writer)
                continue
            try:
                copy_from(self._source, raw, writer)
            except (NoSuchObject, StoreDamaged, FormatError):
                lost.add(raw)
                continue
            taken.add(raw)
            more = [below for below in self._below(raw) if below not in met]
            met.update(more)
            waiting += more

    def _below(self, raw: bytes) -> list[bytes]:
        """What a folder from there names and this store does not have."""
        digest = from_raw(raw)
        if self._source.kind(digest) != Kind.TREE:
            return []
        try:
            rows = trees.rows(self._source.read(digest, max_bytes=trees.MAX_TREE))
        except FormatError:
            return []
        return [row[3] for row in rows if row[1] != LINK and not self._store.has(from_raw(row[3]))]

    def _tell(self, name: bytes, objects: Collection[Digest | None], how: str) -> None:
        pack = from_raw(name) if name else None
        for one in sorted(objects, key=lambda digest: digest or ""):
            self._mended.append(Mended(pack, one, f"{how} from {self._source.url}"))
