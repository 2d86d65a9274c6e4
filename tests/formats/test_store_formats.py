"""The golden files of the store's formats are what the code writes, and stay readable."""

from __future__ import annotations

import runpy
from hashlib import sha256
from pathlib import Path

import pytest

from attest import digests
from attest.errors import FormatError
from casstore.errors import UnsupportedInput
from casstore.fsck import check_table
from casstore.ingest.stat_cache import StatCache
from casstore.objects import tree
from casstore.objects.pack_reader import decode_piece, object_chunks, read_table
from casstore.objects.store_config import StoreConfig

HERE = Path(__file__).parent
GOLDEN = HERE / "golden"
MADE = runpy.run_path(str(HERE / "make_store.py"))
FILES: dict[str, bytes] = MADE["files"]()


@pytest.mark.parametrize("name", sorted(FILES))
def test_golden_file_is_what_is_written_now(name: str) -> None:
    assert (GOLDEN / name).read_bytes() == FILES[name]


def test_no_golden_file_is_forgotten() -> None:
    kept = {str(p.relative_to(GOLDEN)) for p in (GOLDEN / "store").rglob("*") if p.is_file()}
    assert kept == {*FILES, MADE["KEPT"]}


@pytest.mark.parametrize("name", ["store/small.pack", MADE["KEPT"]])
def test_golden_packs_give_their_objects(name: str) -> None:
    pack = (GOLDEN / name).read_bytes()
    table = read_table(lambda at, size: pack[at : at + size], len(pack), pack[-40:-8])
    check_table(table, len(pack))
    for data, kind, subjects in MADE["objects"]():
        place = table.find(sha256(data).digest())
        assert place is not None
        assert place.kind == kind
        found = object_chunks(table.pieces, place, lambda _, p: decode_piece(p, pack[p.offset : p.offset + p.stored]))
        assert b"".join(found) == data
        wanted = {(sha256(s).digest(), sha256(data).digest()) for s in subjects}
        assert wanted <= set(table.iter_subjects())


@pytest.mark.parametrize("name", ["tree", "product-tree"])
def test_golden_tree_is_read_as_it_was_written(name: str) -> None:
    data = (GOLDEN / f"store/{name}.msgpack").read_bytes()
    assert tree.encode(tree.parse(data)) == data


def test_only_an_empty_folder_has_a_mode_of_its_own() -> None:
    data = (GOLDEN / "store/product-tree.msgpack").read_bytes()
    assert [entry.mode for entry in tree.parse(data)] == [0o700, 0o600, 0o750]
    filled = data.replace(sha256(tree.encode([])).digest(), b"x" * 32, 1)
    with pytest.raises(FormatError, match="only an empty folder"):
        tree.parse(filled)
    with pytest.raises(UnsupportedInput, match="not kept"):
        tree.encode([tree.TreeEntry(b"d", "dir", 0o700, 0, digests.sha256(b"x"))])


def test_golden_configuration_is_read() -> None:
    config = StoreConfig.parse((GOLDEN / "store/casstore.json").read_bytes(), "here")
    assert (config.store_id[:4], config.options.compression, str(config.options.durability)) == ("0011", "best", "full")


def test_golden_stat_cache_is_read() -> None:
    path = str(GOLDEN / "store/stat-cache")
    cache = StatCache.load(path, b"E" * 16, 0, bytes(32))
    inner, top = cache.find(b"inner"), cache.find(b"")
    assert inner is not None
    assert top is not None
    assert inner.known([b"a", b"b"], [inner.signs[:32], inner.signs[32:]])[0] == sha256(b"library\n").digest()
    assert (inner.signs[32:], inner.tree) == (bytes(32), sha256(b"inner").digest())
    assert top.tree == sha256(b"top").digest()
    assert StatCache.load(path, b"F" * 16, 0, bytes(32)).find(b"") is None
