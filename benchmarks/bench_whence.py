"""Where a digest comes from, among a million files: making the index, and asking it.

python benchmarks/bench_whence.py [FILES]
"""

from __future__ import annotations

import gc
import os
import statistics
import sys
import tempfile
import time

from attest.digests import Digest, from_raw, sha256
from casstore.objects import tree as trees
from casstore.objects.tree import Tree, TreeEntry
from casstore.store.holders import Inside
from casstore.store.parents_index import ParentsIndex

IN_A_FOLDER = 1000
ASKED = 200


class Folders:
    """Folder objects by digest, as a store has them."""

    inside: Inside | None = None

    def __init__(self) -> None:
        self.objects: dict[Digest, bytes] = {}

    def tree(self, digest: Digest) -> Tree:
        """A folder."""
        return trees.parse(self.objects[digest])

    def read(self, digest: Digest, **_: object) -> bytes:
        """Its bytes."""
        return self.objects[digest]

    def add(self, entries: list[TreeEntry]) -> Digest:
        """Keep a folder."""
        data = trees.encode(entries)
        self.objects[sha256(data)] = data
        return sha256(data)


def _cold(folder: str, store: Folders, trees: set[Digest], digest: Digest) -> float:
    """Seconds of a first call of all."""
    for name in os.listdir(folder):
        with open(os.path.join(folder, name), "rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    start = time.perf_counter()
    with ParentsIndex(folder) as index:
        assert index.places(store, trees, [digest])
    return time.perf_counter() - start


def main() -> None:
    """Make a tree of random files, index it, a version with one change too, and ask."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    store, files, rows = Folders(), [], []
    for number in range(count // IN_A_FOLDER):
        made = [
            TreeEntry(b"file-%d.bin" % at, "file", 0o644, 100, from_raw(os.urandom(32))) for at in range(IN_A_FOLDER)
        ]
        files += [entry.content for entry in made]
        rows.append(TreeEntry(b"folder-%d" % number, "dir", 0o755, digest=store.add(made)))
    first = store.add(rows)
    changed = store.add([TreeEntry(b"file", "file", 0o644, 1, from_raw(os.urandom(32)))])
    second = store.add([*rows[1:], TreeEntry(b"other", "dir", 0o755, digest=changed)])
    with tempfile.TemporaryDirectory() as folder, ParentsIndex(folder) as index:
        for name, tree in (("first", first), ("second", second)):
            start = time.process_time()
            read = index.take(store, [tree])
            print(f"{name}: {read} folders indexed in {time.process_time() - start:.2f} s of CPU")
        size = sum(os.path.getsize(os.path.join(folder, name)) for name in os.listdir(folder))
        print(f"{size / count:.0f} bytes a file")
        asked = files[:: max(1, len(files) // ASKED)]
        for how in ("as it is", "with the bench's own million objects out of the collector's sight"):
            took, passes = [], gc.get_stats()[2]["collections"]
            for digest in asked:
                start = time.process_time()
                found = index.places(store, {first, second}, [digest])
                took.append(time.process_time() - start)
                assert first in found
            passes = gc.get_stats()[2]["collections"] - passes
            first_call = took[0]
            took.sort()
            told = f"median {statistics.median(took) * 1e3:.1f} ms of CPU, the first {first_call * 1e3:.1f}, worst"
            slow = ", ".join(f"{one * 1e3:.1f}" for one in took[-3:])
            print(f"asked {len(asked)}, {how}: {told} {slow} ms; {passes} whole passes of the collector")
            gc.freeze()
        cold = sorted(_cold(folder, store, {first, second}, digest) for digest in asked)
        told = f"median {statistics.median(cold) * 1e3:.1f} ms by the clock, worst {cold[-1] * 1e3:.1f} ms"
        print(f"asked {len(asked)}, each time opened anew and its file out of the page cache: {told}")


if __name__ == "__main__":
    main()
