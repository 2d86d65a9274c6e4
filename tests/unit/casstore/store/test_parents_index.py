"""From a digest to the trees that hold it: as walking them all tells it, whatever became of the file."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from attest.digests import Digest, sha256, to_raw
from casstore.errors import NoSuchObject
from casstore.store import parents_index
from casstore.store.holders import holding
from casstore.store.parents_index import ParentsIndex
from casstore.store.store import Store


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    with Store.init(str(tmp_path / "store")) as made:
        yield made


@pytest.fixture
def trees(store: Store, tmp_path: Path) -> list[Digest]:
    found = []
    for number in range(3):
        place = tmp_path / f"v{number}"
        (place / "a" / "same").mkdir(parents=True)
        (place / "b" / "same").mkdir(parents=True)
        for folder in ("a", "b"):
            (place / folder / "same" / "x").write_bytes(b"in both")
            os.symlink(to_raw(sha256(b"in both")), os.fsencode(place / folder / "same" / "no-digest"))
        (place / "top").write_bytes(b"version %d" % number)
        (place / "a" / "link").symlink_to("same/x")
        found.append(store.put_tree(str(place)).tree)
    return found


def digests_of(store: Store, trees: list[Digest]) -> set[Digest]:
    files = {entry.content for tree in trees for _, entry in store.walk_all(tree) if entry.kind != "link"}
    return files | {sha256(b"nowhere")}


def test_it_tells_what_a_walk_tells(store: Store, trees: list[Digest]) -> None:
    wanted = digests_of(store, trees)
    with ParentsIndex.beside(store) as index:
        assert index.take(store, trees[:2]) > 0
        assert index.take(store, trees[:2]) == 0
        assert index.take(store, trees) == 1, "only the folder that changed"
        found = index.places(store, set(trees), wanted)
    assert found == {t: {d: tuple(sorted(p)) for d, p in of.items()} for t, of in holding(store, trees, wanted).items()}
    assert found[trees[0]][sha256(b"in both")] == (b"a/same/x", b"b/same/x")
    with ParentsIndex.beside(store) as index:
        assert index.places(store, {trees[2]}, [sha256(b"version 1")]) == {}
        assert index.places(store, set(trees), [sha256(b"version 1")]) == {trees[1]: {sha256(b"version 1"): (b"top",)}}


def test_it_is_made_anew_where_it_is_lost_or_broken(store: Store, trees: list[Digest]) -> None:
    path = Path(store.catalog.folder) / parents_index.FILE
    for spoil in (lambda: path.unlink(missing_ok=True), lambda: path.write_bytes(b"no database" * 100)):
        for name in ("-wal", "-shm"):
            Path(f"{path}{name}").unlink(missing_ok=True)
        spoil()
        with ParentsIndex.beside(store) as index:
            assert index.take(store, trees) > 0
            assert set(index.places(store, set(trees), [sha256(b"in both")])) == set(trees)


@pytest.mark.parametrize(
    "spoil",
    [
        "UPDATE folders SET digest = randomblob(32)",
        "UPDATE folders SET proof = 0 WHERE id = 2",
        "DELETE FROM folders WHERE id = 1",
        "DELETE FROM parents WHERE folder = (SELECT max(folder) FROM parents)",
        "DELETE FROM parents",
        "UPDATE parents SET folder = folder + 4 WHERE folder % 3 = 0",
        "UPDATE parents SET child = cast(x'00' || substr(child, 2) AS BLOB)",
        "DELETE FROM sums",
        "UPDATE sums SET sum = sum + 1",
        "DROP TABLE parents",
    ],
)
def test_rows_that_are_spoilt_are_made_anew(store: Store, trees: list[Digest], spoil: str) -> None:
    path = Path(store.catalog.folder) / parents_index.FILE
    wanted = digests_of(store, trees)
    whole = {t: {d: tuple(sorted(p)) for d, p in of.items()} for t, of in holding(store, trees, wanted).items()}
    with ParentsIndex.beside(store) as index:
        index.take(store, trees)
    with sqlite3.connect(path) as other:
        other.execute(spoil)
    for _ in range(2):
        with ParentsIndex.beside(store) as index:
            index.take(store, trees)
            assert index.places(store, set(trees), wanted) == whole


def test_a_damaged_block_anywhere_makes_no_other_answer(store: Store, trees: list[Digest]) -> None:
    """SQLite itself takes a page whose cells are gone: a folder's number is then given twice."""
    path = Path(store.catalog.folder) / parents_index.FILE
    wanted = digests_of(store, trees)
    whole = {t: {d: tuple(sorted(p)) for d, p in of.items()} for t, of in holding(store, trees, wanted).items()}
    with ParentsIndex.beside(store) as index:
        index.take(store, trees)
    good = path.read_bytes()
    for start in range(0, len(good), 128):
        for name in ("-wal", "-shm"):
            Path(f"{path}{name}").unlink(missing_ok=True)
        path.write_bytes(good[:start] + bytes(128) + good[start + 128 :])
        with ParentsIndex.beside(store) as index:
            index.take(store, trees)
            assert index.places(store, set(trees), wanted) in (whole, {}), start


def test_what_was_not_taken_whole_is_not_there(
    store: Store, trees: list[Digest], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One folder cannot be read: what was indexed before it leaves no rows, and nothing is told of the tree."""
    (top,) = (entry.content for entry in store.tree(trees[0]) if entry.name == b"b")
    read = store.tree
    with ParentsIndex.beside(store) as index:
        with monkeypatch.context() as patch:
            patch.setattr(store, "tree", lambda digest: read(digest if digest != top else sha256(b"nowhere")))
            with pytest.raises(NoSuchObject):
                index.take(store, trees[:1])
        assert index.places(store, set(trees[:1]), [sha256(b"in both")]) == {}
    with ParentsIndex.beside(store) as index:
        assert index.take(store, trees[:1]) == 4
        assert index.places(store, set(trees[:1]), [sha256(b"in both")]) != {}


def test_without_a_place_it_is_made_in_memory(store: Store, trees: list[Digest], tmp_path: Path) -> None:
    for folder in (None, str(tmp_path / "missing")):
        with ParentsIndex(folder) as index:
            index.take(store, trees)
            assert len(index.places(store, set(trees), [sha256(b"in both")])) == 3
