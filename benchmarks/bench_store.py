"""The store against its peers, phase by phase, each tool in turn on a fresh file system; medians and pairwise ratios.

    python benchmarks/bench_store.py [--small] [--corpora DIR] [--corpus small|binaries|versions]
                                     [--tools NAME ...] [--phases cold again next restore check]
                                     [--rounds 3] [--image FILE]

One round takes every tool through: cold (a first put), again (nothing changed), next (the next release at the same
path, every file's times are new), restore (every byte verified; not by ostree and cp), check (every byte of the
store). The tree is read once before each put, so the page cache is warm, as after a build. `--image FILE` (root) makes
an ext4 anew in a loop file before each tool: a file system on which a large tree was just deleted is not fit for
timing. Put the file on a tmpfs to measure the work and not the disk. `--small` makes a small corpus from what is
installed here and takes one round.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import corpora
import harness
import peers
from harness import Timing
from peers import Tool

PHASES = ("cold", "again", "next", "restore", "check")
TREES = {
    "small": ("small-a", "small-a", "small-b"),
    "binaries": ("binaries", "binaries"),
    "versions": tuple(f"versions/{number}" for number in (1, 2, 3, 4)),
}
IMAGE = 8 * 2**30
NAMES = {"small": ("cold", "again", "next"), "binaries": ("cold", "again"), "versions": ("cold", "2", "3", "4")}


class Bench:
    """One place for store and restored tree, emptied before each tool."""

    def __init__(self, place: str, image: str | None, phases: Sequence[str]) -> None:
        self.place, self.image, self.phases = place, image, phases

    def fresh(self) -> None:
        """An empty place."""
        if not self.image:
            shutil.rmtree(self.place, ignore_errors=True)
            os.makedirs(self.place)
            return
        os.makedirs(self.place, exist_ok=True)
        self.unmount()
        if not os.path.exists(self.image):
            written(self.image, IMAGE)
        mkfs = ["mkfs.ext4", "-q", "-F", "-E", "nodiscard,lazy_itable_init=0,lazy_journal_init=0", self.image]
        for step in (mkfs, ["mount", "-o", "loop,nodiscard", self.image, self.place]):
            subprocess.run(step, check=True)

    def unmount(self) -> None:
        """Nothing mounted at the place."""
        if self.image and os.path.ismount(self.place):
            subprocess.run(["umount", self.place], check=True)

    def run(self, command: str, tool: Tool, **names: str) -> Timing:
        """One phase; then what it left unsynced is synced, untimed."""
        values = {"S": f"{self.place}/store", "D": f"{self.place}/out", **names}
        env = {name: filled(value, values) for name, value in tool.env.items()}
        timing = harness.run(filled(command, values), cwd=self.place, env={"HOME": self.place, **env})
        os.sync()
        return timing

    def one(self, tool: Tool, corpus: str, folder: str) -> Iterator[tuple[str, Timing | float]]:
        """(phase, figures) of one tool on one corpus; `size` is MiB on disk at the end."""
        self.fresh()
        self.run(tool.init, tool)
        trees = [os.path.join(folder, name) for name in TREES[corpus]]
        for number, (phase, tree) in enumerate(zip(NAMES[corpus], trees, strict=True)):
            if phase == "next" and "next" not in self.phases:
                break
            with at_one_path(tree) as source:
                read(source)
                yield phase, self.run(tool.ingest, tool, T=source, N=f"n{number}")
                last = f"n{number}"
        os.mkdir(f"{self.place}/out")
        for phase in ("restore", "check"):
            if phase in self.phases and (command := getattr(tool, phase)):
                yield phase, self.run(command, tool, N=last)
        yield "size", size(f"{self.place}/store")


def written(path: str, length: int) -> None:
    """A file whose every byte was written once: the first touch of a machine's memory is slow, and nobody's fault."""
    with open(path, "wb") as file:
        for _ in range(length >> 20):
            file.write(bytes(1 << 20))


def filled(text: str, values: Mapping[str, str]) -> str:
    """Text with {X} replaced."""
    for name, value in values.items():
        text = text.replace(f"{{{name}}}", value)
    return text


@contextmanager
def at_one_path(tree: str) -> Iterator[str]:
    """Every release lies at the same path, as in a CI workspace."""
    source = os.path.join(os.path.dirname(tree), "workspace")
    os.rename(tree, source)
    try:
        yield source
    finally:
        os.rename(source, tree)


def read(tree: str) -> None:
    """Into the page cache."""
    for where, _, names in os.walk(tree):
        for name in names:
            with open(os.path.join(where, name), "rb", buffering=0) as file:
                while file.read(1 << 20):
                    pass


def size(folder: str) -> float:
    """MiB of a folder's files."""
    found = [os.lstat(os.path.join(where, name)).st_size for where, _, names in os.walk(folder) for name in names]
    return sum(found) / 2**20


def main() -> None:
    """Print the tables for RESULTS.md."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--corpora")
    parser.add_argument("--corpus", choices=sorted(TREES), action="append")
    parser.add_argument("--tools", nargs="+", choices=sorted(peers.TOOLS), default=list(peers.TOOLS))
    parser.add_argument("--phases", nargs="+", choices=PHASES, default=PHASES)
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--image")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        trees = os.path.abspath(given.corpora or os.path.join(folder, "corpora"))
        corpora.make(trees, is_full=not given.small)
        bench = Bench(os.path.join(folder, "place"), given.image, given.phases)
        tools = peers.installed(given.tools)
        print(f"{harness.machine()}\nversions: {peers.versions(tools)}")
        try:
            for corpus in given.corpus or ["small", "binaries", "versions"]:
                measure(bench, tools, corpus, trees, given.rounds or (1 if given.small else 3))
        finally:
            bench.unmount()


def turned(tools: Mapping[str, Tool], number: int) -> list[tuple[str, Tool]]:
    """Each round begins with another tool, so that nobody is always first or always after the same one."""
    rows = list(tools.items())
    return rows[number % len(rows) :] + rows[: number % len(rows)]


def measure(bench: Bench, tools: Mapping[str, Tool], corpus: str, trees: str, rounds: int) -> None:
    """All rounds of one corpus, and its tables."""
    timings: dict[str, dict[str, list[Timing]]] = {}
    sizes: dict[str, float] = {}
    for number in range(rounds):
        for name, tool in turned(tools, number):
            for phase, found in bench.one(tool, corpus, trees):
                if isinstance(found, Timing):
                    timings.setdefault(phase, {}).setdefault(name, []).append(found)
                else:
                    sizes[name] = found
            print(f"{corpus} {name}: done", file=sys.stderr, flush=True)
    for phase, rows in timings.items():
        rows = {name: rows[name] for name in tools if name in rows}
        print(f"\n### {corpus}: {phase}\n\n{harness.table(rows, against=next(iter(rows)))}", flush=True)
    print(f"\n### {corpus}: size of the store at the end\n\n| what | MiB |\n|---|---|")
    for name, mib in sizes.items():
        print(f"| {name} | {mib:.0f} |", flush=True)


if __name__ == "__main__":
    main()
