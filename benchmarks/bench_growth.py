"""How the store grows: files in a put, bytes in a file, writers at once.

    python benchmarks/bench_growth.py [--small] [--folder DIR]

| table | what is done |
|---|---|
| files | 10^4, 10^5 and 10^6 files of 20 to 200 bytes, 100 a folder: put, put again, memory of the largest process |
| size | one file of 16 MiB, 256 MiB and 4 GiB: put and cat, peak memory |
| writers | 1 to 64 processes, each puts 20 folders of 10 files one after the other, into one store: puts a second |

`--folder` names a place with room for 10^6 files (a tmpfs counts the memory of no process). Times are single runs: the
growth is what they show.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter

import harness

CASSTORE = f"{sys.executable} -m cli.main --store store"


def many(folder: str, count: int) -> None:
    """`count` distinct small files."""
    for number in range(count):
        if number % 100 == 0:
            inner = os.path.join(folder, f"{number // 10000:03}", f"{number // 100 % 100:02}")
            os.makedirs(inner)
        seed = hashlib.sha256(number.to_bytes(4)).digest()
        fd = os.open(f"{inner}/{number % 100:02}.txt", os.O_WRONLY | os.O_CREAT)
        os.write(fd, seed.hex().encode() * 4)
        os.ftruncate(fd, 20 + seed[0])
        os.close(fd)


def files(folder: str, counts: list[int]) -> None:
    """Growth with the number of files."""
    print(
        "\n### files\n\n| files | put s | CPU s | peak MiB | again s | CPU s | peak MiB | store MiB |\n|" + "---|" * 8
    )
    for count in counts:
        with tempfile.TemporaryDirectory(dir=folder) as place:
            many(os.path.join(place, "src"), count)
            harness.run(f"{CASSTORE} init", cwd=place, env={"HOME": place})
            time.sleep(2)
            put = harness.run(f"{CASSTORE} put src", cwd=place, env={"HOME": place})
            again = harness.run(f"{CASSTORE} put src", cwd=place, env={"HOME": place})
            size = sum(
                os.stat(os.path.join(where, name)).st_blocks * 512
                for where, _, names in os.walk(os.path.join(place, "store"))
                for name in names
            )
            cells = (put.wall, put.cpu, put.peak, again.wall, again.cpu, again.peak, size / 2**20)
            print(f"| {count:,} | " + " | ".join(f"{cell:.2f}" for cell in cells) + " |", flush=True)


def sizes(folder: str, mibs: list[int]) -> None:
    """Growth with the size of one file, of bytes that do not compress."""
    print("\n### size of a file\n\n| MiB | put s | CPU s | peak MiB | cat s | CPU s | peak MiB |\n|" + "---|" * 7)
    for mib in mibs:
        with tempfile.TemporaryDirectory(dir=folder) as place:
            with open(os.path.join(place, "src"), "wb") as file:
                block = os.urandom(1 << 20)
                for number in range(mib):
                    file.write(number.to_bytes(8) + block[8:])
            harness.run(f"{CASSTORE} init", cwd=place, env={"HOME": place})
            put = harness.run(f"{CASSTORE} put src > line", cwd=place, env={"HOME": place})
            cat = harness.run(f"{CASSTORE} cat $(cut -d' ' -f1 line) > /dev/null", cwd=place, env={"HOME": place})
            cells = (put.wall, put.cpu, put.peak, cat.wall, cat.cpu, cat.peak)
            print(f"| {mib:,} | " + " | ".join(f"{cell:.2f}" for cell in cells) + " |", flush=True)


WRITER = """
import sys
from casstore.store.store import Store
with Store.open("store") as store:
    for number in range(20):
        print(store.put_tree(f"src/{sys.argv[1]}/{number}").tree, flush=True)
"""


def writers(folder: str, counts: list[int]) -> None:
    """Growth with the number of writers."""
    print("\n### writers\n\n| writers | puts | s | puts/s | listed once and exact |\n|" + "---|" * 5)
    for count in counts:
        with tempfile.TemporaryDirectory(dir=folder) as place:
            for writer in range(count):
                for number in range(20):
                    inner = os.path.join(place, "src", str(writer), str(number))
                    os.makedirs(inner)
                    for name in range(10):
                        with open(os.path.join(inner, str(name)), "wb") as file:
                            file.write(os.urandom(3000))
            env = {**os.environ, "HOME": place}
            harness.run(f"{CASSTORE} init", cwd=place, env=env)
            began = time.perf_counter()
            started = [
                subprocess.Popen([sys.executable, "-c", WRITER, str(n)], cwd=place, env=env, stdout=subprocess.PIPE)
                for n in range(count)
            ]
            told = [line for process in started for line in process.communicate()[0].split()]
            seconds = time.perf_counter() - began
            exact = "yes" if held(place, told) else "NO"
            print(f"| {count} | {len(told)} | {seconds:.2f} | {len(told) / seconds:.0f} | {exact} |", flush=True)


def held(place: str, told: list[bytes]) -> bool:
    """Whether every acknowledged tree is listed once and comes back as its source is."""
    from attest.digests import Digest
    from casstore.store.store import Store

    with Store.open(os.path.join(place, "store")) as store:
        listed = Counter[str](store.digests())
        wanted = [Digest(line.decode()) for line in told]
        out = os.path.join(place, "out")
        for digest in wanted:
            store.checkout(digest, os.path.join(out, digest.removeprefix("sha256:")))
    files = sum(len(names) for _, _, names in os.walk(out))
    shutil.rmtree(out)
    return all(listed[digest] == 1 for digest in wanted) and files == 10 * len(wanted)


def main() -> None:
    """Print the tables for RESULTS.md."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--folder")
    given = parser.parse_args()
    print(harness.machine())
    files(given.folder, [1000, 10_000] if given.small else [10_000, 100_000, 1_000_000])
    sizes(given.folder, [16, 64] if given.small else [16, 256, 4096])
    writers(given.folder, [1, 4] if given.small else [1, 2, 4, 8, 16, 32, 64])


if __name__ == "__main__":
    main()
