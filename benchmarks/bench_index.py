"""The index from ten thousand to ten million digests: grown, compacted, rebuilt from the packs' tables, asked.
Then one digest by command, as a whole process.

    python benchmarks/bench_index.py [--small] [--place DIR]

Packs are made of a real header, table and footer without the bytes between, so that the index is filled by the very
code that fills it from a store. Each size runs in a process of its own. Grown = pack after pack, each a transaction;
found = single look-ups in random order with decoding and the row's check; 1000 new = what a put adds. The commands
run with their bytecode on the disk, as after an installation; git reads a blob of the same size.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from statistics import median
from typing import Any

import harness

from casstore.index.catalog import Catalog
from casstore.objects.kinds import NewObject
from casstore.objects.pack_format import FOOTER, HEADER, OBJECT, PIECE, Footer, header_bytes, seal_of
from casstore.objects.packs import Durability, LocalPacks, key_of
from casstore.objects.tree import TreeEntry
from casstore.store.store import Store

SIZES = (10_000, 100_000, 1_000_000, 10_000_000)
IN_BLOCK = 190
ASKED = 300_000


def table_only(root: str, count: int, seed: int) -> list[bytes]:
    """A pack of `count` objects without their bytes; its digests."""
    chance = random.Random(seed)
    blob = chance.randbytes(32 * count)
    raws = sorted(blob[at : at + 32] for at in range(0, len(blob), 32))
    rows = ((raw, 0, at // IN_BLOCK, at % IN_BLOCK * 1300, 1300) for at, raw in enumerate(raws))
    blocks = -(-count // IN_BLOCK)
    pieces = (PIECE.pack(HEADER.size + at * 60_000, 60_000, 250_000, 1, bytes(32)) for at in range(blocks))
    table = b"".join(pieces) + b"".join(OBJECT.pack(*row) for row in rows)
    header = header_bytes(chance.randbytes(16))
    seal = seal_of(header, table, Footer(HEADER.size, blocks, count, 0, bytes(32)))
    path = os.path.join(root, key_of(seal))
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(header + table + Footer(HEADER.size, blocks, count, 0, seal).to_bytes())
    assert os.path.getsize(path) == HEADER.size + len(table) + FOOTER.size
    return raws


def timed(work: Callable[[], Any]) -> float:
    """Seconds of wall."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def ask(catalog: Catalog, raws: list[bytes], expected: bool) -> None:
    """Look each digest up, in this order, in one read transaction."""
    with catalog.index.reader() as reader:
        get = reader.get
        for raw in raws:
            assert (get(raw) is not None) is expected


def one(root: str, count: int) -> dict[str, float]:
    """All figures of one size."""
    packs = max(10, count // 100_000)
    some: list[bytes] = []
    for number in range(packs):
        raws = table_only(root, count // packs, number)
        some += random.Random(number).sample(raws, min(len(raws), ASKED // packs))
    random.Random(0).shuffle(some)
    catalog = Catalog(LocalPacks(root), os.path.join(root, "index"), "0" * 32, Durability.BATCH)
    names = sorted(LocalPacks(root).names())
    grown = timed(lambda: [catalog.learn([name]) for name in names])
    sizes: list[int] = []
    compacted = timed(lambda: sizes.extend(catalog.compact()))
    rebuilt = timed(lambda: catalog.rebuild("measured"))
    assert catalog.index.count() == count
    found = min(timed(lambda: ask(catalog, some, True)) for _ in range(3))
    others = [os.urandom(32) for _ in some]
    missed = min(timed(lambda: ask(catalog, others, False)) for _ in range(3))
    table_only(root, 1000, count)
    mine = time.process_time()
    catalog.learn(sorted(set(LocalPacks(root).names()) - set(names)))
    mine = time.process_time() - mine
    catalog.close()
    return {
        "grown": count / grown, "had": sizes[0] / count, "compacted": compacted, "has": sizes[1] / count,
        "rebuilt": count / rebuilt, "found": len(some) / found, "missed": len(some) / missed, "mine": mine * 1000,
    }  # fmt: skip


def measured(place: str, count: int) -> str:
    """One row, by a process of its own."""
    root = os.path.join(place, f"digests-{count}")
    answer = os.path.join(place, f"{count}.json")
    os.makedirs(os.path.join(root, "packs"))
    this = f"{sys.executable} {os.path.abspath(__file__)}"
    timing = harness.run(f"{this} --one {count} --place {root} --answer {answer}", cwd=place)
    with open(answer, encoding="utf-8") as file:
        it = json.load(file)
    shutil.rmtree(root)
    return (
        f"| {count:,} | {it['grown']:,.0f} | {it['had']:.0f} | {it['compacted']:.2f} | {it['has']:.0f} "
        f"| {it['rebuilt']:,.0f} | {it['found']:,.0f} | {it['missed']:,.0f} | {it['mine']:.1f} | {timing.peak:.0f} |"
    )


def commands(place: str, rounds: int) -> str:
    """A table of whole commands, each once per round."""
    url, repository = os.path.join(place, "store"), os.path.join(place, "git")
    blob = random.Random(1).randbytes(35_000)
    with Store.init(url) as store:
        store.put_many([NewObject(b"%d" % number) for number in range(20_000)])
        digest = store.put_bytes(blob)
        tree = store.build_tree({b"one": TreeEntry(b"one", "file", 0o644, len(blob), digest)})
    env = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": os.path.join(place, "bytecode")}
    casstore = f"{os.path.join(os.path.dirname(sys.executable), 'casstore')} --store {url}"
    lines = {
        "casstore cat DIGEST": f"{casstore} cat {digest}",
        "casstore ls DIGEST": f"{casstore} ls {tree}",
        "casstore --help": f"{casstore} --help",
        "python alone": f"{sys.executable} -c pass",
    }
    if shutil.which("git"):
        with open(os.path.join(place, "blob"), "wb") as file:
            file.write(blob)
        harness.run(f"git init -q {repository}; cd {repository}; git hash-object -w ../blob > name", cwd=place)
        lines["git cat-file"] = f"git -C {repository} cat-file blob $(cat {repository}/name)"
    timed_lines = {name: partial(harness.run, line, cwd=place, env=env) for name, line in lines.items()}
    harness.alternate(timed_lines, rounds=1)
    return in_ms(harness.alternate(timed_lines, rounds=rounds))


def in_ms(found: Mapping[str, Sequence[harness.Timing]]) -> str:
    """Markdown rows."""
    rows = ["| command | wall ms (min - max) | CPU ms |", "|---|---|---|"]
    for name, timings in found.items():
        walls, cpus = [1000 * t.wall for t in timings], [1000 * t.cpu for t in timings]
        rows.append(f"| {name} | {median(walls):.0f} ({min(walls):.0f} - {max(walls):.0f}) | {median(cpus):.0f} |")
    return "\n".join(rows)


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="only the two smallest sizes")
    parser.add_argument("--place", help="a folder to work in; default: a temporary one")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--answer", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.one:
        with open(chosen.answer, "w", encoding="utf-8") as file:
            json.dump(one(chosen.place, chosen.one), file)
        return
    print(harness.machine())
    print()
    print(
        "| digests | grown, a second | bytes a digest | compacted, s | bytes a digest then "
        "| rebuilt, a second | found, a second | not found, a second | 1000 new, CPU ms | peak MiB |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory(dir=chosen.place) as place:
        for count in SIZES[:2] if chosen.small else SIZES:
            print(measured(place, count), flush=True)
        print()
        print(commands(place, 3 if chosen.small else 20))


if __name__ == "__main__":
    main()
