"""What is taken comes back: sizes on both sides of every internal border, by every way in and every way out.

The borders are the code's own: a new one is a row here.
"""

from __future__ import annotations

import io
import os
import random
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from worlds import World, signer

from attest.core import limits
from attest.digests import Digest, sha256
from bundlers import formats
from bundlers.formats import deflate, members, tar_stream, tar_zst
from bundlers.formats.pieces import LEAST, Layout, measure
from bundlers.products import manifest_building
from bundlers.products.product_manifests import ComponentTree, ProductManifest
from bundlers.products.reader import ProductReader
from casstore.checkout import checkout
from casstore.fsck import fsck
from casstore.gc import Settings, collect, pins
from casstore.ingest import IngestOptions, ingest
from casstore.objects import pack_format, ranges
from casstore.objects.kinds import NewObject
from casstore.objects.tree import TreeEntry
from casstore.store.store import Store

BORDERS = {
    tar_stream.BLOCK, pack_format.ALIGN, deflate.WINDOW, pack_format.SOLO, LEAST, ranges.END, deflate.PIECE,
    pack_format.BLOCK, ranges.AHEAD, tar_zst.FRAME, pack_format.FRAME, members.PIECE, limits.PACKED_OBJECT,
}  # fmt: skip
SIZES = sorted({0, 1, *(size for border in BORDERS for size in (border - 1, border, border + 1))})


def content(size: int) -> bytes:
    """Noise for every second size, else what gets smaller; distinct in their first bytes."""
    odd = SIZES.index(size) % 2
    return random.Random(size).randbytes(size) if odd else (b"%d " % size * (size // 2 + 1))[:size]


CONTENTS = {f"d{number % 3}/{size:07}": content(size) for number, size in enumerate(SIZES)}
DIGESTS = {path: sha256(data) for path, data in CONTENTS.items()}


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("work")
    for path, data in CONTENTS.items():
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_bytes(data)
    return folder


def one_worker(store: Store, work: Path) -> None:
    store.put_tree(str(work), options=IngestOptions(workers=1))


def processes(store: Store, work: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ingest, "_MANY_FILES", 1)
        store.put_tree(str(work), options=IngestOptions(workers=2))


def by_name(store: Store, work: Path) -> None:
    store.put_paths(str(work), [path.encode() for path in CONTENTS])


def streamed(store: Store, work: Path) -> None:
    assert {one.digest for one in store.put_stream([bytes(work / path) for path in CONTENTS])} == set(DIGESTS.values())


def gathered(store: Store, work: Path) -> None:
    with store.gathering():
        for data in CONTENTS.values():
            store.put_bytes(data)
        one_worker(store, work)


def at_once(store: Store, _work: Path) -> None:
    store.put_many([NewObject(data) for data in CONTENTS.values()])


@pytest.mark.parametrize("way", [one_worker, processes, by_name, streamed, gathered, at_once])
@pytest.mark.parametrize("scheme", ["file", "memory"])
def test_every_way_in_and_out_of_a_store(
    scheme: str, way: Callable[[Store, Path], None], work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = str(tmp_path / "store") if scheme == "file" else f"memory://{uuid4()}"
    with Store.init(url) as store:
        way(store, work)
    with Store.open(url) as store:
        for path, data in CONTENTS.items():
            assert (store.size(DIGESTS[path]), store.read(DIGESTS[path]) == data) == (len(data), True), path
            with store.open_blob(DIGESTS[path]) as blob:
                for at in {max(0, len(data) - 1), len(data) // 2}:
                    blob.seek(at)
                    assert blob.read(2) == data[at : at + 2], path
        found = zip(CONTENTS.values(), store.chunks_of(list(DIGESTS.values())), strict=True)
        assert all(b"".join(chunks) == data for data, chunks in found)
        monkeypatch.setattr(checkout, "_MANY_FILES", 1 if way is processes else 1000)
        store.checkout(tree_of(store), str(tmp_path / "out"))
        assert {path: (tmp_path / "out" / path).read_bytes() for path in CONTENTS} == CONTENTS
        assert not fsck(store).damaged


def tree_of(store: Store) -> Digest:
    rows = {
        path.encode(): TreeEntry(path.rpartition("/")[2].encode(), "file", 0o644, len(data), DIGESTS[path])
        for path, data in CONTENTS.items()
    }
    return store.build_tree(rows)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, work: Path) -> Iterator[Store]:
    with Store.init(str(tmp_path_factory.mktemp("store") / "s")) as made:
        one_worker(made, work)
        yield made


@pytest.mark.parametrize("kind", ["tar.gz", "tar.zst", "zip", "oci"])
def test_every_archive(store: Store, kind: str) -> None:
    manifest = manifest_building.build(store, "p", kind, {"c": ComponentTree(tree_of(store))})
    out = io.BytesIO()
    formats.write(manifest, ProductReader(store, manifest), out)
    out.seek(0)
    assert {file.path: b"".join(chunks) for file, chunks in formats.read(manifest, out)} == CONTENTS
    if kind != "oci":
        assert pieced(manifest, out.getvalue()) == [CONTENTS[file.path] for file in manifest.files if file.size]


def pieced(manifest: ProductManifest, data: bytes) -> list[bytes]:
    """What an update takes out of the pieces, one after the other."""
    pieces = measure(manifest, io.BytesIO(data), sha256(data))
    assert pieces is not None
    layout, whole = Layout(manifest, pieces), bytearray()

    def before(first: int, last: int) -> bytes:
        return bytes(whole[first:last])

    for unit in layout.units:
        whole += b"".join(layout.unpacked(unit, iter([data[unit.start : unit.end]]), before))
    files = [one for one in layout.stretches if one.file is not None and one.last > one.first]
    return [bytes(whole[one.first : one.last]) for one in files]


def test_what_a_collection_moves(tmp_path: Path) -> None:
    world = World.make(str(tmp_path / "store"))
    dead = [random.Random(f"dead {size}").randbytes(2 * size) for size in SIZES if size]
    rows = world.store.put_many([NewObject(data) for data in (*CONTENTS.values(), *dead)])
    for digest in rows[: len(CONTENTS)]:
        pins.add(world.store, digest, reason="", now=world.now)
    world.now += timedelta(days=30)
    for pack in Path(world.store.url, "packs").rglob("*.pack"):
        os.utime(pack, (0, 0))
    settings = Settings(grace=timedelta(0), keep_last=0)
    report = collect(world.store, settings, now=world.now, signer=signer("pam"), confirm=True)
    assert report.moved > 0 and not world.store.has(rows[-1])
    assert all(world.store.read(DIGESTS[path]) == data for path, data in CONTENTS.items())
    assert not fsck(world.store).damaged
