"""Who may write to the store's folder and has no key: what this machine keeps and believes later is sealed."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import zlib
from pathlib import Path

import msgpack
import pytest

from attest.digests import sha256, to_raw
from bundlers import isolation
from bundlers.isolation import Contents, Settings
from bundlers.isolation.scans.scan_cache import ScanCache
from bundlers.isolation.scans.tokens import Tokens
from bundlers.products import manifest_building
from bundlers.products.product_manifests import ComponentTree, ProductManifest
from casstore.errors import StoreDamaged
from casstore.ingest.stat_cache import Record
from casstore.ledger.book import seen
from casstore.ledger.book.log import Ledger
from casstore.ledger.folding import replay
from casstore.machine import user_secrets
from casstore.store.store import Store
from tests.support.worlds import World

GOOD, EVIL = b"good program " + bytes(3000), b"EVIL program " + bytes(3000)


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "program").write_bytes(GOOD)
    os.utime(folder / "program", ns=(1, 1))
    return folder


def caches(store: Store) -> list[Path]:
    return [path for path in (Path(store.catalog.folder) / "stat").iterdir() if path.is_file()]


def settle(store: Store, work: Path) -> None:
    """Put until the file is old enough to be believed."""
    import time

    time.sleep(0.2)
    store.put_tree(str(work))


def forged(raw: bytes, seal: bytes) -> bytes:
    """The cache with another digest for the file, as a reader of the source would write it."""
    start = int.from_bytes(raw[-24:-16], "big")
    _, places = msgpack.unpackb(raw[start:-24])
    out = bytearray(raw)
    for place in places.values():
        at, size = place >> 28, place & ((1 << 28) - 1)
        path, *fields = msgpack.unpackb(raw[at + 16 : at + size], use_list=False)
        record = Record._make(fields)
        digests = record.digests.replace(to_raw(sha256(GOOD)), to_raw(sha256(EVIL)))
        body = msgpack.packb([path, *record._replace(digests=digests, tree=b"")._asdict().values()])
        if len(body) == size - 16:
            out[at + 16 : at + size] = body
            out[at : at + 16] = seal or zlib.crc32(body).to_bytes(16, "big")
    return bytes(out)


def test_a_digest_swapped_in_the_stat_cache_is_not_signed(tmp_path: Path, work: Path) -> None:
    with Store.init(str(tmp_path / "store")) as store:
        store.put_bytes(EVIL)
        settle(store, work)
        for path in caches(store):
            path.write_bytes(forged(path.read_bytes(), b""))
        tree = store.put_tree(str(work)).tree
        assert store.read(store.tree(tree).entries[0].content) == GOOD


def test_a_whole_stat_cache_under_a_made_up_secret_counts_for_nothing(
    tmp_path: Path, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Store.init(str(tmp_path / "store")) as store:
        settle(store, work)
        own = user_secrets.own()
        monkeypatch.setattr(user_secrets, "own", lambda: bytes(32))
        (work / "program").write_bytes(EVIL)
        settle(store, work)
        (work / "program").write_bytes(GOOD)
        monkeypatch.setattr(user_secrets, "own", lambda: own)
        tree = store.put_tree(str(work)).tree
        assert store.read(store.tree(tree).entries[0].content) == GOOD


def test_an_emptied_scan_is_scanned_again(tmp_path: Path) -> None:
    digest = sha256(b"blob")
    cache = ScanCache(str(tmp_path), "asked")
    cache.put(digest, {"prints": b"many"})
    cache.close()
    with sqlite3.connect(tmp_path / "isolation.sqlite") as forger:
        key, data = forger.execute("SELECT key, data FROM scans").fetchone()
        import zstandard

        packed = zstandard.compress(msgpack.packb({"prints": b""}), 1)
        for check in (data[:16], bytes(16), user_secrets.mac(bytes(32), key, packed)):
            forger.execute("UPDATE scans SET data = ?", (check + packed,))
            forger.commit()
            assert ScanCache(str(tmp_path), "asked").get(digest) is None


def test_forged_tokens_hide_no_leak(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tokens are what decides which files are held against other products at all."""
    with Store.init(str(tmp_path / "store")) as store:
        leak = random.Random(3).randbytes(9000)
        products = Contents.each({name: _product(store, tmp_path, name, leak) for name in ("agent", "core")})
        assert isolation.check(store, products, Settings()).findings
        folder = tmp_path / "store" / "index" / "isolation"
        kept = {path: path.read_bytes() for path in folder.iterdir()}
        assert len(kept) == 2
        none = Tokens.of({}, 1).to_bytes()
        for path, data in kept.items():
            for forged in (data[:16] + none, none, b"", user_secrets.mac(bytes(32), b"", none) + none):
                path.write_bytes(forged)
                assert isolation.check(store, products, Settings()).findings
                assert path.read_bytes() == data
        swapped = dict(zip(kept, reversed(list(kept.values())), strict=True))
        for path, data in swapped.items():
            path.write_bytes(data)
        assert isolation.check(store, products, Settings()).findings


def _product(store: Store, tmp_path: Path, name: str, data: bytes) -> ProductManifest:
    (tmp_path / name).mkdir()
    (tmp_path / name / "program").write_bytes(name.encode() * 100 + data)
    tree = ComponentTree(store.put_tree(str(tmp_path / name)).tree)
    return manifest_building.build(store, name, "zip", {name: tree})


def test_another_file_system_at_the_same_place_is_another_workspace(
    tmp_path: Path, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two images with pinned times agree in size, times and inode: here the cache of one is asked for the other."""
    from casstore.ingest import mounts

    with Store.init(str(tmp_path / "store")) as store:
        settle(store, work)
        assert len(caches(store)) == 1
        monkeypatch.setattr(mounts, "identity", lambda _: b"another!")
        store.put_tree(str(work))
        assert len(caches(store)) == 2
        monkeypatch.setattr(mounts, "identity", lambda _: None)
        store.put_tree(str(work))
        assert len(caches(store)) == 2, "a file system that proves nothing has no cache"


def test_a_ledger_that_was_cut_with_all_that_lies_beside_it_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A promotion is taken back, its index too, and what this user saw is forged under another secret."""
    world = World.make(str(tmp_path / "store"))
    world.release("1.0.0")
    world.promote("1.0.0", "dev")
    world.store.close()
    newest = max((tmp_path / "store/ledgers/main").glob("0*"))
    newest.unlink()
    shutil.rmtree(tmp_path / "store/index")
    with Store.open(str(tmp_path / "store")) as store:
        with pytest.raises(StoreDamaged, match=f"entry {int(newest.name)} is gone"):
            replay(Ledger(store), store)
        short = [path for path in (tmp_path / "store/ledgers/main").glob("0*") if path.is_file()]
        own = user_secrets.own()
        with monkeypatch.context() as forging:
            forging.setattr(user_secrets, "own", lambda: bytes(32))
            seen.keep(store.url, store.store_id, "main", seen.Seen(len(short), sha256(max(short).read_bytes())))
        assert user_secrets.own() == own
        assert seen.load(store.url, store.store_id, "main") is None
