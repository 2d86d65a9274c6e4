"""What trust costs: verify one channel of a long ledger from a web server, fold, seal.

    python benchmarks/bench_trust.py --entries 10000 --rows 1000000

A ledger of signed evidence is made (not measured), sealed and published; a web server on loopback counts
requests and bytes of `casstore verify URL`, as a process of its own, without archives (they are not read).
Times are CPU seconds, of `verify` wall too.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import subprocess
import sys
import tempfile
import threading
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]

from attest.digests import Digest, sha256  # noqa: E402
from attest.log import state_trie  # noqa: E402
from casstore.ledger import sealing  # noqa: E402
from casstore.ledger.entries import EntryKind  # noqa: E402
from casstore.ledger.folding import replay_all  # noqa: E402
from casstore.objects.kinds import Kind, NewObject  # noqa: E402
from tests.support.published import PublishedWorld  # noqa: E402
from tests.support.worlds import provenance, signer  # noqa: E402

BATCH = 500


class Counting(SimpleHTTPRequestHandler):
    """Serves a folder and counts what was sent."""

    asked: ClassVar[list[tuple[str, int]]] = []

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name there
        """No talk."""

    def log_request(self, *_: Any) -> None:
        """What was found is counted."""
        path = self.translate_path(self.path)
        self.asked.append((self.path, os.path.getsize(path) if os.path.isfile(path) else 0))


def grown(folder: Path, entries: int) -> PublishedWorld:
    """A release in prod, and so many entries of evidence beside it."""
    world = PublishedWorld.make(str(folder / "store"))
    world.ship("1.0.0")
    world.to_prod("1.0.0")
    ledger = world.ledger
    for first in range(0, entries, BATCH):
        raws = [provenance({"x": sha256(b"%d" % number)}, "ci") for number in range(first, min(first + BATCH, entries))]
        items = [NewObject(raw, Kind.ATTESTATION, ()) for raw in raws]
        for digest in world.store.put_many(items):
            ledger.append(EntryKind.EVIDENCE, digest, now=world.now)
    return world


def told(what: str, value: str) -> None:
    print(f"| {what} | {value} |", flush=True)


def seconds(work: Any) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def verify(url: str, home: Path) -> tuple[float, float, list[tuple[str, int]]]:
    """Wall and CPU seconds of the command, and what it asked for."""
    Counting.asked.clear()
    environment = {**os.environ, "HOME": str(home), "CASSTORE_TESTING": "1", "CASSTORE_NOW": "2026-03-01T10:00:00Z"}
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    words = [sys.executable, "-m", "cli.main", "verify", url, "--channel", "prod"]
    subprocess.run(words, check=True, cwd=home, env={**environment, "PYTHONPATH": str(ROOT)}, capture_output=True)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, list(Counting.asked)


def channel(entries: int, rounds: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        world = grown(folder, entries)
        told(
            f"fold {entries} entries, nothing believed",
            f"{seconds(lambda: replay_all(world.ledger, world.store)):.1f} s",
        )
        state = world.state
        count = state.count
        seal = partial(sealing.seal, world.store, world.ledger, signer=signer("log"), now=world.now)
        told(f"seal {count} entries, the first one", f"{seconds(seal) * 1000:.0f} ms")
        told("publish", f"{seconds(lambda: world.publish('prod', str(folder / 'public'))):.1f} s")
        world.store.close()
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Counting, directory=str(folder / "public")))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}"
        first, warm = [], []
        for number in range(rounds):
            home = folder / f"home{number}"
            home.mkdir()
            first.append(verify(url, home))
            warm.append(verify(url, home))
        server.shutdown()
        for what, runs in (("first", first), ("again", warm)):
            wall, cpu, asked = sorted(runs)[len(runs) // 2]
            size = sum(length for _, length in asked)
            told(
                f"verify, {what}",
                f"{wall * 1000:.0f} ms wall, {cpu * 1000:.0f} ms CPU, {len(asked)} requests, {size} bytes",
            )
        for path, length in sorted(first[0][2], key=lambda row: -row[1])[:6]:
            told(f"  {path}", f"{length} bytes")


def trie(rows: int) -> None:
    made = {f"void/{number}": {"code": "policy"} for number in range(rows)}
    start = time.process_time()
    built = state_trie.build(made)
    told(
        f"build {rows} rows", f"{time.process_time() - start:.2f} s, {sum(map(len, built.blobs.values())) / 1e6:.1f} MB"
    )
    blobs, root = dict(built.blobs), built.root
    times = []
    for number in range(9):
        changes = {f"void/{random.randrange(rows)}": {"code": "seal", "n": number} for _ in range(100)}
        start = time.process_time()
        changed = state_trie.change(root, blobs.__getitem__, changes)
        times.append(time.process_time() - start)
        blobs |= changed.blobs
        root = changed.root
    told(f"100 changed rows of {rows}", f"{sorted(times)[4] * 1000:.0f} ms")
    asked: list[int] = []

    def read(digest: Digest) -> bytes:
        asked.append(len(blobs[digest]))
        return blobs[digest]

    state_trie.look_up(root, read, "revoked/nobody")
    told("a row that is not there", f"{len(asked)} nodes, {sum(asked)} bytes")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--entries", type=int, default=10_000)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    print("| what | seen |\n|---|---|")
    if given.entries:
        channel(given.entries, given.rounds)
    if given.rows:
        trie(given.rows)


if __name__ == "__main__":
    main()
