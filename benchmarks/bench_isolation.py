"""The isolation check on four products: cold, and again with what it remembers; wall, CPU, peak memory.

    python benchmarks/bench_isolation.py [--small] [--mib 1024] [--rounds 3] [--folder DIR]

Real files: installed packages and this machine's libraries and programs, each content once, dealt out
by folder to four products; `--small` takes 50 MiB. One program of the second product is planted into a file of the
first, from byte 12345 on: a run that does not find it fails.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import sysconfig
import tempfile
import time

import harness
from harness import Timing

SOURCES = (sysconfig.get_paths()["purelib"], "/usr/lib", "/usr/bin", "/usr/share", "/usr/local")
PRODUCTS = ("agent-linux", "agent-windows", "core", "dpi-probe")
PLANTED = 100_000

CHECK = """
import json, sys, time
from attest.digests import Digest
from bundlers import isolation; from bundlers.products import manifest_building, product_manifests
from bundlers.products.product_manifests import ComponentTree
from casstore.store.store import Store
trees = json.load(open("trees.json"))
with Store.open("store", read_only=True) as store:
    made = {}
    for name, tree in trees.items():
        made[name] = manifest_building.build(store, name, "zip", {name: ComponentTree(Digest(tree))})
    began = time.perf_counter()
    report = isolation.check(store, isolation.Contents.each(made), isolation.Settings(), workers=int(sys.argv[1]))
    print(f"{time.perf_counter() - began:.2f} s, {report.compared} contents, {len(report.findings)} findings,"
          f" {len(report.unopened)} unopened", file=sys.stderr)
    assert any({s.at_a, s.at_b} == {0, 12345} for f in report.findings for s in f.stretches), "missed"
"""


def corpus(folder: str, limit: int) -> tuple[int, int]:
    """Deal files out to the products; (files, bytes)."""
    seen: set[bytes] = set()
    count = size = 0
    for source in SOURCES:
        for where, folders, names in os.walk(source):
            folders.sort()
            for name in sorted(names):
                path = os.path.join(where, name)
                if os.path.islink(path) or not os.path.isfile(path) or size >= limit:
                    continue
                with open(path, "rb") as file:
                    data = file.read()
                digest = hashlib.sha256(data).digest()
                if not data or digest in seen or len(data) > limit // 8:
                    continue
                seen.add(digest)
                package = os.path.relpath(where, source).partition("/")[0].partition("-")[0]
                product = PRODUCTS[hashlib.sha256(package.encode()).digest()[0] % 4]
                target = os.path.join(folder, product, f"{count:06}-{name.encode('ascii', 'replace').decode()}")
                os.makedirs(os.path.dirname(target), exist_ok=True)
                with open(target, "wb") as file:
                    file.write(data)
                count, size = count + 1, size + len(data)
    plant = os.urandom(PLANTED)
    with open(os.path.join(folder, PRODUCTS[1], "program"), "wb") as file:
        file.write(plant)
    with open(os.path.join(folder, PRODUCTS[0], "holder"), "wb") as file:
        file.write(os.urandom(12345) + plant + os.urandom(50_000))
    return count, size


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--mib", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder")
    asked = parser.parse_args()
    limit = (50 if asked.small else asked.mib) << 20
    with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
        began = time.perf_counter()
        count, size = corpus(folder, limit)
        put(folder)
        print(f"{count} files, {size / 2**20:.0f} MiB in four products, stored in {time.perf_counter() - began:.0f} s")
        cache = os.path.join(folder, "store", "index", "isolation.sqlite")

        def cold(workers: int) -> Timing:
            for end in ("", "-wal", "-shm"):
                if os.path.exists(cache + end):
                    os.unlink(cache + end)
            return check(folder, workers)

        commands = {
            "cold, 2 workers": lambda: cold(2),
            "again": lambda: check(folder, 2),
            "cold, 1 worker": lambda: cold(1),
        }
        found = harness.alternate(commands, rounds=1 if asked.small else asked.rounds)
        print(harness.machine())
        print(harness.table(found, against="cold, 2 workers"))
        print(f"cache: {os.path.getsize(cache) / 2**20:.0f} MiB")


def put(folder: str) -> None:
    """Store every product as a tree; their digests in trees.json."""
    code = (
        "import json; from casstore.store.store import Store\n"
        "with Store.init('store') as store:\n"
        f"    json.dump({{n: store.put_tree(n).tree for n in {PRODUCTS!r}}}, open('trees.json', 'w'))"
    )
    subprocess.run([sys.executable, "-c", code], cwd=folder, check=True, env=environment())


def check(folder: str, workers: int) -> Timing:
    """One check in a process of its own."""
    with open(os.path.join(folder, "check.py"), "w") as file:
        file.write(CHECK)
    return harness.run(f"{sys.executable} check.py {workers} 2>>told.txt", cwd=folder, env=environment())


def environment() -> dict[str, str]:
    """The code beside this script."""
    return {**os.environ, "PYTHONPATH": os.path.dirname(os.path.dirname(os.path.abspath(__file__)))}


if __name__ == "__main__":
    main()
