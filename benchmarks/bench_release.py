"""A release of one changed small product beside large ones that did not change; wall, CPU, peak memory.

    python benchmarks/bench_release.py [--small] [--mib 1024] [--products 1] [--rounds 3] [--folder DIR]

Real files: installed packages and this machine's libraries and programs, each content once, dealt out by
folder to the large products; `--small` takes 50 MiB. The small product is one program of 64 KiB that changes
each time. Timed is `casstore release` as a whole process, with isolation and the gates that always run.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
import tempfile

import harness
from bench_isolation import SOURCES
from harness import Timing

CASSTORE = f"{sys.executable} -m cli.main"
HEAD = '[store]\nurl = "./store"\n[components.small]\nroot = "in/small"\ninclude = ["**"]\n'
PRODUCT = """
[components.{name}]
root = "in/{name}"
include = ["**"]
[products.{name}]
components = ["{name}"]
format = "tar.zst"
"""


def project(folder: str, limit: int, products: int) -> tuple[int, int]:
    """A line that was released as 1.0.0; (files, bytes) of the large products."""
    os.chdir(folder)
    count, size = dealt(os.path.join(folder, "in"), limit, products)
    names = sorted(os.listdir("in"))
    with open("casstore.toml", "w", encoding="utf-8") as file:
        file.write(HEAD + '[products.small]\ncomponents = ["small"]\nformat = "tar.gz"\n')
        file.writelines(PRODUCT.format(name=name) for name in names)
        file.write("[channels.dev]\napprovals = 0\n")
    change()
    for command in ("keys generate key.pem --no-passphrase --algorithm ed25519", "init --key key.pem"):
        harness.run(f"{CASSTORE} {command}", cwd=folder, env=ENVIRONMENT)
    return count, size


def dealt(folder: str, limit: int, products: int) -> tuple[int, int]:
    """Deal files out to the large products, each content once; (files, bytes)."""
    seen: set[bytes] = set()
    size = 0
    for path in (
        os.path.join(where, name) for source in SOURCES for where, _, names in os.walk(source) for name in names
    ):
        if os.path.islink(path) or not os.path.isfile(path) or size >= limit:
            continue
        with open(path, "rb") as file:
            data = file.read()
        digest = hashlib.sha256(data).digest()
        if not data or digest in seen or len(data) > limit // 8:
            continue
        number = hashlib.sha256(os.path.dirname(path).encode()).digest()[0] % products
        target = os.path.join(folder, f"large-{number}", f"{len(seen):06}")
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(target, "wb") as file:
            file.write(data)
        seen.add(digest)
        size += len(data)
    return len(seen), size


def change() -> None:
    """Another small program."""
    os.makedirs("in/small", exist_ok=True)
    with open("in/small/program", "wb") as file:
        file.write(os.urandom(65536))


ENVIRONMENT = {"CASSTORE_KEY": "key.pem"}


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--mib", type=int, default=1024)
    parser.add_argument("--products", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
        count, size = project(folder, (50 if asked.small else asked.mib) << 20, asked.products)
        ENVIRONMENT["HOME"] = folder
        print(f"{count} files, {size / 2**20:.0f} MiB in {asked.products} products; {harness.machine()}\n")
        versions = iter(f"1.{number}.0" for number in range(1000))

        def release() -> Timing:
            version = next(versions)
            harness.run(f"{CASSTORE} put --all --release-version {version}", cwd=folder, env=ENVIRONMENT)
            return harness.run(f"{CASSTORE} release {version}", cwd=folder, env=ENVIRONMENT)

        first = release()
        found = harness.alternate({"one small product changed": release}, rounds=asked.rounds, before=change)
        print(harness.table({"all are new": [first] * asked.rounds, **found}, against="all are new"))


if __name__ == "__main__":
    main()
