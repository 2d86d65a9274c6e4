"""Laws of ProductManifest and archives: one writing, round trips, and no influence of how the bytes came."""

from __future__ import annotations

import io
import os
import random
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from attest.digests import Digest, sha256
from attest.errors import CasstoreError, FormatError
from bundlers import formats
from bundlers.errors import HostileArchive
from bundlers.installing.extract import extract
from bundlers.products import checksums, manifest_building, product_manifests
from bundlers.products.product_manifests import ComponentTree, ProductFile, ProductManifest
from bundlers.products.reader import ProductReader
from casstore.store.store import Store

MIB = 1024 * 1024
NAMES = st.text("ab.\u00e9\U0001f600 -", min_size=1, max_size=40)
PATHS = st.lists(NAMES, min_size=1, max_size=5).map("/".join)
SIZES = st.sampled_from([0, 1, 511, 512, 513, 70_000, MIB - 512, MIB - 1, MIB, MIB + 1, 2 * MIB])
DATA = st.binary(max_size=600) | st.builds(lambda seed, size: random.Random(seed).randbytes(size), st.integers(), SIZES)
CONTENTS = st.dictionaries(PATHS, DATA, min_size=1, max_size=5)


class Blobs:
    """Contents by digest, handed out in pieces of any size."""

    def __init__(self, contents: dict[str, bytes], piece: int = 100_000) -> None:
        self.by_digest, self.piece = {sha256(data): data for data in contents.values()}, piece

    def chunks(self, digest: Digest) -> Iterator[bytes]:
        data = self.by_digest[digest]
        yield from (data[at : at + self.piece] for at in range(0, len(data), self.piece))

    def chunks_of(self, wanted: Iterable[Digest]) -> Iterator[Iterator[bytes]]:
        return (self.chunks(digest) for digest in wanted)


def product(contents: dict[str, bytes], archive_format: str) -> ProductManifest:
    """A ProductManifest that its own reader takes; other inputs are thrown away."""
    files = [
        ProductFile(path, 0o755 if len(data) % 2 else 0o644, len(data), sha256(data), component="c")
        for path, data in contents.items()
    ]
    first = min(contents, key=str.encode)
    files.append(ProductFile("~alias", link=first, component="c"))
    ordered = tuple(sorted(files, key=lambda file: file.path.encode()))
    manifest = ProductManifest("p", archive_format, {"c": ComponentTree(sha256(b""), time=1_700_000_000)}, ordered)
    try:
        assert product_manifests.parse(manifest.to_bytes()) == manifest
    except FormatError:
        assume(False)
    return manifest


PACKED = [name for name in formats.FORMATS if name != "file"]
"""A finished file is its own archive, and holds nothing else."""


def written(manifest: ProductManifest, contents: dict[str, bytes], *, workers: int = 1, piece: int = 100_000) -> bytes:
    out = io.BytesIO()
    info = formats.write(manifest, ProductReader(Blobs(contents, piece), manifest), out, workers=workers)
    assert (info.digest, info.size) == (sha256(out.getvalue()), len(out.getvalue()))
    return out.getvalue()


@pytest.mark.parametrize("archive_format", PACKED)
@given(contents=CONTENTS, workers=st.sampled_from([2, 3, 8]), piece=st.integers(1, 3 * MIB).filter(lambda n: n > 900))
def test_an_archive_is_a_function_of_its_manifest(
    archive_format: str, contents: dict[str, bytes], workers: int, piece: int
) -> None:
    manifest = product(contents, archive_format)
    data = written(manifest, contents)
    assert written(manifest, contents, workers=workers, piece=piece) == data
    found = {file.path: b"".join(chunks) for file, chunks in formats.read(manifest, io.BytesIO(data))}
    assert found == {**contents, "~alias": b""}


@pytest.mark.parametrize("archive_format", PACKED)
@given(contents=CONTENTS)
def test_what_is_written_is_what_is_unpacked(archive_format: str, contents: dict[str, bytes]) -> None:
    assume(all(len(part.encode()) <= 255 for path in contents for part in path.split("/")))
    manifest = product(contents, archive_format)
    with tempfile.TemporaryDirectory() as folder:
        into = Path(folder, "into")
        extract(manifest, io.BytesIO(written(manifest, contents)), str(into))
        assert {path: (into / path).read_bytes() for path in contents} == contents
        assert os.listdir(folder) == ["into"]


@pytest.mark.parametrize("archive_format", PACKED)
@given(st.data())
def test_another_archive_is_refused_or_is_the_same_product(archive_format: str, data: st.DataObject) -> None:
    """Cut, doubled, shifted, overwritten, inserted: never other content, never a foreign error."""
    contents = {"a": b"some text " * 30, "b/c": random.Random(1).randbytes(700), "empty": b""}
    manifest = product(contents, archive_format)
    good = written(manifest, contents)
    start, end = sorted(data.draw(st.tuples(st.integers(0, len(good)), st.integers(0, len(good)))))
    middle = data.draw(st.binary(max_size=40) | st.just(good) | st.just(good[start:end][::-1]))
    bad = good[:start] + middle + good[end:]
    try:
        found = {file.path: b"".join(chunks) for file, chunks in formats.read(manifest, io.BytesIO(bad))}
    except HostileArchive:
        return
    assert found == {**contents, "~alias": b""}
    assert len(bad) == len(good)


@given(st.randoms(use_true_random=False), st.sampled_from([0o000, 0o022, 0o077]))
def test_a_manifest_does_not_depend_on_how_the_folder_was_made(rng: random.Random, umask: int) -> None:
    """Neither on the order of files and folders, nor on times, umask, place, or what the store had before."""
    files = {"bin/x": b"x" * 10, "bin/y": b"y", "lib/deep/er/z": b"", "top": b"x" * 10}
    with tempfile.TemporaryDirectory() as folder:
        manifests = [_manifest(Path(folder), number, files, rng, umask) for number in range(2)]
    assert manifests[0].to_bytes() == manifests[1].to_bytes()
    assert [file.path for file in manifests[0].files] == sorted(files)


def _manifest(folder: Path, number: int, files: dict[str, bytes], rng: random.Random, umask: int) -> ProductManifest:
    order = list(files)
    before = os.umask(umask if number else 0o022)
    try:
        if number:
            rng.shuffle(order)
        for path in order:
            target = folder / f"tree{number}" / path
            target.parent.mkdir(mode=0o777, parents=True, exist_ok=True)
            target.write_bytes(files[path])
            os.chmod(target, 0o755 if path.startswith("bin/") else 0o600 if number else 0o644)
            os.utime(target, (number * 10**6, number * 10**6))
    finally:
        os.umask(before)
    with Store.init(str(folder / f"store{number}")) as store:
        if number:
            store.put_bytes(b"something that was here before")
        tree = store.put_tree(str(folder / f"tree{number}")).tree
        shutil.rmtree(folder / f"tree{number}")
        return manifest_building.build(store, "p", "zip", {"c": ComponentTree(tree)})


@given(st.lists(st.sampled_from(["a", "b", "c"]), min_size=3, max_size=3, unique=True))
def test_a_manifest_does_not_depend_on_the_order_of_components(order: list[str]) -> None:
    trees = {name: sha256(name.encode()) for name in "abc"}

    class Trees:
        def contents(self, digest: Digest):  # type: ignore[no-untyped-def]
            from casstore.objects.tree import TreeEntry

            name = next(name for name, tree in trees.items() if tree == digest).encode()
            yield b"same", TreeEntry(b"same", "file", 0o644, 1, sha256(b"s"))
            yield b"z/" + name, TreeEntry(name, "file", 0o644, 1, sha256(name))

    made = [
        manifest_building.build(Trees(), "p", "zip", {name: ComponentTree(trees[name]) for name in names})
        for names in (order, "abc")
    ]
    assert made[0].to_bytes() == made[1].to_bytes()


@given(st.binary(max_size=200) | st.text('{}[]":,0aé\\', max_size=80).map(str.encode))
def test_no_bytes_make_the_readers_fail_otherwise_than_by_refusing(data: bytes) -> None:
    for reader in (product_manifests.parse, checksums.parse):
        try:
            reader(data)
        except CasstoreError:
            continue


@given(st.dictionaries(st.text("ab/ .\u00e9\u2028\x85\x0b", min_size=1, max_size=20), st.binary(), max_size=6))
def test_checksums_come_back(files: dict[str, bytes]) -> None:
    assume(not any(name.startswith("/") for name in files))
    listed = {name: sha256(data) for name, data in files.items()}
    assert checksums.parse(checksums.to_bytes(listed)) == listed
