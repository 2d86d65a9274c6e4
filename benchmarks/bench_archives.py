"""Archives straight from the store beside `tar` and `zip` from files: wall, CPU, peak memory.

    python benchmarks/bench_archives.py [--small] [--mib 512] [--rounds 3] [--folder DIR]

Real files, as `bench_isolation.py` takes them, in one product. What casstore does beyond its peers: each
file is verified by its digest while it is read, the archive is hashed while it is written. Peers that are
not installed are left out and named.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile

import bench_isolation
import harness

WRITE = """
import json, sys
from attest.digests import Digest
from bundlers import formats; from bundlers.products import manifest_building, product_manifests
from bundlers.products.product_manifests import ComponentTree
from bundlers.products.reader import ProductReader
from casstore.store.store import Store
form, workers = sys.argv[1], int(sys.argv[2])
trees = json.load(open("trees.json"))
with Store.open("store", read_only=True) as store, open(f"out-{form}", "wb") as out:
    components = {name: ComponentTree(Digest(tree)) for name, tree in trees.items()}
    manifest = manifest_building.build(store, "p", form, components)
    print(formats.write(manifest, ProductReader(store, manifest), out, workers=workers))
"""

PEERS = {
    "tar.zst": ("zstd", "tar -cf - {files} | zstd -q -1 -T0 -f -o peer"),
    "tar.gz": ("gzip", "tar -cf - {files} | gzip > peer"),
    "zip": ("zip", "rm -f peer.zip; zip -q -r peer.zip {files}"),
}


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--mib", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder")
    asked = parser.parse_args()
    rounds = 1 if asked.small else asked.rounds
    with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
        count, size = bench_isolation.corpus(folder, (50 if asked.small else asked.mib) << 20)
        bench_isolation.put(folder)
        with open(os.path.join(folder, "write.py"), "w") as file:
            file.write(WRITE)
        print(f"{count} files, {size / 2**20:.0f} MiB; {harness.machine()}")
        for form, (tool, command) in PEERS.items():
            compare(folder, form, tool, command, rounds)


def compare(folder: str, form: str, tool: str, command: str, rounds: int) -> None:
    """One format beside its peer."""
    env = bench_isolation.environment()
    commands = {
        f"casstore {form}": lambda: harness.run(f"{sys.executable} write.py {form} 2", cwd=folder, env=env),
        f"casstore {form}, 1 worker": lambda: harness.run(f"{sys.executable} write.py {form} 1", cwd=folder, env=env),
    }
    if shutil.which(tool):
        line = command.format(files=" ".join(bench_isolation.PRODUCTS))
        commands[line] = lambda: harness.run(line, cwd=folder)
    else:
        print(f"left out: {tool} is not installed")
    print(harness.table(harness.alternate(commands, rounds=rounds), against=f"casstore {form}"))
    sizes = {
        name: os.path.getsize(os.path.join(folder, name))
        for name in os.listdir(folder)
        if name.startswith(("out-", "peer"))
    }
    print("sizes: " + ", ".join(f"{name} {size / 2**20:.1f} MiB" for name, size in sorted(sizes.items())))


if __name__ == "__main__":
    main()
