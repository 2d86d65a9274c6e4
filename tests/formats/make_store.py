"""Makes the golden files of the store's formats: python tests/formats/make_store.py

`packed.pack` holds zstd frames, whose bytes may differ between versions of the library: it
is kept once made (`--all` makes it anew) and must stay readable.
"""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
from pathlib import Path

from attest.digests import from_raw, sha256
from casstore.index.rows import object_items, seal
from casstore.ingest.files import SIGNATURE
from casstore.ingest.stat_cache import Record, StatCache
from casstore.objects import mended, tree
from casstore.objects.kinds import Kind
from casstore.objects.pack_reader import read_table
from casstore.objects.pack_writer import PackWriter
from casstore.objects.packs import Durability
from casstore.objects.store_config import StoreConfig, StoreOptions
from casstore.objects.tree import TreeEntry

GOLDEN = Path(__file__).parent / "golden"
KEPT = "store/packed.pack"


def tree_bytes() -> bytes:
    return tree.encode(
        [
            TreeEntry(b"bin", "dir", 0o755, 0, sha256(tree.encode([]))),
            TreeEntry(b"libx.so", "link", target=b"libx.so.1"),
            TreeEntry(b"libx.so.1", "file", 0o755, 8, sha256(b"library\n")),
            TreeEntry("Prüfung\n.txt".encode(), "file", 0o644, 0, sha256(b"")),
            TreeEntry(b"\xff\xfe", "file", 0o644, 1 << 40, sha256(b"not really")),
        ]
    )


def product_tree_bytes() -> bytes:
    """As `get` makes one of a product that says more of modes."""
    return tree.encode(
        [
            TreeEntry(b"cache", "dir", 0o700, 0, tree.EMPTY),
            TreeEntry(b"key", "file", 0o600, 8, sha256(b"library\n")),
            TreeEntry(b"spool", "dir", 0o750, 0, tree.EMPTY),
        ]
    )


def objects() -> list[tuple[bytes, Kind, list[bytes]]]:
    """(data, kind, subjects) of the golden packs."""
    return [
        (b"library\n", Kind.BLOB, []),
        (b"", Kind.BLOB, []),
        (tree_bytes(), Kind.TREE, []),
        (b'{"an":"attestation"}', Kind.ATTESTATION, [b"library\n", tree_bytes()]),
        (b"0123456789abcdef" * 6000, Kind.BLOB, []),
    ]


def pack_bytes(level: int) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/pack"
        writer = PackWriter(path, level=level, nonce=bytes(range(16)))
        for data, kind, subjects in objects():
            writer.add(raw(data), data, kind, [raw(subject) for subject in subjects])
        writer.finish()
        return Path(path).read_bytes()


def raw(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def index_rows(pack: bytes) -> bytes:
    table = read_table(lambda at, size: pack[at : at + size], len(pack), pack[-40:-8])
    rows = {
        "objects": {key.hex(): value.hex() for key, value in object_items(300, table)},
        "subjects": {(s + a).hex(): seal(s + a, b"").hex() for s, a in table.iter_subjects()},
        "pack": from_raw(table.name),
    }
    return json.dumps(rows, indent=1, sort_keys=True).encode() + b"\n"


def stat_cache_bytes() -> bytes:
    """Two folders; the second file of the inner one was too young to be believed."""
    with tempfile.TemporaryDirectory() as folder:
        cache = StatCache(f"{folder}/stat-cache", b"E" * 16, 2_000_000_000_000, bytes(32))
        signs = SIGNATURE.pack(8, 5, 1_000_000_000_001, 7) + SIGNATURE.pack(0, -5, 1_999_999_999_999, 8)
        digests = raw(b"library\n") + raw(b"")
        cache.remember(b"inner", Record(b"a/b", signs, digests, raw(b"inner"), b"\x93\xc4\x02\0\1\x90\x90"))
        shape = b"\x93\xc4\0\x91\x92\xc4\x05inner\xc4\x20" + raw(b"inner") + b"\x90"
        cache.remember(b"", Record(b"", b"", b"", raw(b"top"), shape))
        cache.complete()
        cache.save()
        return Path(f"{folder}/stat-cache").read_bytes()


def files() -> dict[str, bytes]:
    """Path below the golden folder -> content."""
    pack = pack_bytes(level=0)
    config = StoreConfig("00112233445566778899aabbccddeeff", StoreOptions("best", Durability.FULL))
    return {
        "store/casstore.json": config.to_bytes(),
        "store/small.pack": pack,
        "store/tree.msgpack": tree_bytes(),
        "store/product-tree.msgpack": product_tree_bytes(),
        "store/index-rows.json": index_rows(pack),
        "store/stat-cache": stat_cache_bytes(),
        "store/mended.json": mended.to_bytes(raw(b"a pack"), [raw(b"one"), raw(b"another")]),
    }


if __name__ == "__main__":
    (GOLDEN / "store").mkdir(parents=True, exist_ok=True)
    for name, data in files().items():
        (GOLDEN / name).write_bytes(data)
    if "--all" in sys.argv or not (GOLDEN / KEPT).exists():
        (GOLDEN / KEPT).write_bytes(pack_bytes(level=1))
