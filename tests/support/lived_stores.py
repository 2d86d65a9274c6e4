"""Stores that have seen a whole life: releases, moves, publications, pins, both steps of a collection, mending, caches.

line = whole_line(tmp_path)            # with a ledger: everything but collections/
loose = without_ledger(tmp_path)       # pins and collections/
"""

from __future__ import annotations

import os
import time
from datetime import timedelta
from pathlib import Path

from attest.digests import Digest, from_raw, sha256
from bundlers.inspection.units import Member
from bundlers.isolation.scans.scan_cache import ScanCache
from bundlers.isolation.scans.scanning import Scan
from bundlers.isolation.scans.token_cache import TokenCache
from bundlers.isolation.scans.tokens import Tokens
from casstore.fsck import fsck, repair
from casstore.gc import Settings, collect, pins
from casstore.ledger import sealed_states
from casstore.ledger.states.state import LedgerState
from casstore.objects.kinds import Kind
from casstore.store.parents_index import ParentsIndex
from casstore.store.store import Store
from tests.support.published import PublishedWorld
from tests.support.worlds import NOW, signer

WEEK = Settings(timedelta(days=7), 0)
TOKENS = Tokens.of({sha256(b"a file of core"): (14, Scan((Member("inside", sha256(b"inside"), 6),), (), ()))}, 1)
"""What isolation keeps of a product."""


def whole_line(folder: Path) -> Path:
    """The store's folder; what was published lies in `public`, the workspace in `work`."""
    world = PublishedWorld.make(str(folder / "store"))
    store = world.store
    for version in ("1.0.0", "1.1.0", "1.2.0"):
        world.ship(version, content=version.encode() * 50)
        world.later().promote(version, "dev")
        world.later().publish("dev", str(folder / "public"))
    world.later().rollback("dev")
    workspace(folder)
    store.put_tree(str(folder / "work"))
    kept = store.put_bytes(b"a customer still runs it")
    pins.add(store, kept, reason="customer 17", now=world.now)
    pins.add(store, world.made["1.0.0"].components["core-bin"], reason="and this", now=world.now)
    store.put_bytes(b"nobody needs it " * 1000)
    collected(store, world.now, signed=True)
    world.now += timedelta(days=9)
    store.put_bytes(b"nor this " * 1000)
    old(store)
    collect(store, WEEK, now=world.now, signer=signer("pam"), confirm=True)
    mended(store, folder)
    world.later().publish("dev", str(folder / "public"))
    sealed_states.keep(store.storage, world.state)
    tree = store.put_tree(str(folder / "work")).tree
    pins.add(store, tree, reason="else nothing would need it", now=world.now)
    with ParentsIndex.beside(store) as parents:
        parents.take(store, component_trees(world.state))
    unfinished(folder)
    scans = ScanCache(store.catalog.folder, "asked")
    scans.put(kept, {"prints": b"many"})
    scans.close()
    TokenCache(store.catalog.folder, "asked").put("core", TOKENS)
    assert fsck(store).ok
    store.close()
    return folder / "store"


def without_ledger(folder: Path) -> Path:
    """A store of somebody who only puts: its steps of a collection are not signed."""
    workspace(folder)
    with Store.init(str(folder / "store")) as store:
        store.put_bytes((folder / "work" / "below0" / "file").read_bytes())
        tree = store.put_tree(str(folder / "work")).tree
        pins.add(store, tree, reason="all of it", now=NOW)
        store.put_bytes(b"nobody needs it " * 1000)
        collected(store, NOW, signed=False)
        store.put_tree(str(folder / "work"))
    return folder / "store"


def workspace(folder: Path) -> None:
    """Files that are old enough for the stat cache."""
    for number in range(3):
        path = folder / "work" / f"below{number}" / "file"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"content %d " % number * 300)
    time.sleep(0.2)


def component_trees(state: LedgerState) -> list[Digest]:
    """Of all versions."""
    return sorted({tree for info in state.releases.values() for tree in info.components.values()})


def unfinished(folder: Path) -> None:
    """What a put that was killed left half an hour ago."""
    path = folder / "store" / "tmp" / "4711-0123456789abcdef.pack"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"half a pack " * 100)


def old(store: Store) -> None:
    """Packs that no put can be on its way with."""
    for path in Path(store.url, "packs").rglob("*.pack"):
        os.utime(path, (NOW.timestamp() - 30 * 86400,) * 2)


def collected(store: Store, now: object, *, signed: bool) -> None:
    """Both steps, a week apart."""
    from datetime import datetime

    assert isinstance(now, datetime)
    old(store)
    who = signer("pam") if signed else None
    for at in (now, now + timedelta(days=8)):
        collect(store, WEEK, now=at, signer=who, confirm=True)


def mended(store: Store, folder: Path) -> None:
    """One pack was damaged, and made anew from a store that has the same objects in another pack."""
    name, raws = next(
        (name, raws)
        for name in sorted(store.packs.names())
        if (raws := [row[0] for row in store.packs.table(name)[0].iter_objects()])
        and all(store.has(from_raw(raw)) and store.kind(from_raw(raw)) is Kind.BLOB for raw in raws)
        and name not in store.catalog.doomed()
    )
    with Store.init(str(folder / "other")) as other:
        for raw in raws:
            other.put_bytes(store.read(from_raw(raw)))
        path = Path(store.url, "packs", name.hex()[:2], f"{name.hex()}.pack")
        data = bytearray(path.read_bytes())
        data[70] ^= 1
        path.chmod(0o644)
        path.write_bytes(data)
        store.packs.forget(name)
        report = repair(store, other)
        assert report.ok, report.damaged
        assert store.packs.mended(name)
