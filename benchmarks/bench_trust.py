"""What trust costs: verify one channel of a long ledger from a web server, fold, seal.

    python benchmarks/bench_trust.py --entries 10000 --rows 1000000
    python benchmarks/bench_trust.py --entries 1000000 --rows 0 --work /large/folder
    python benchmarks/bench_trust.py --entries 0 --rows 0 --signatures

A ledger of signed evidence is made (not measured), sealed every 10,000 entries, and published; a web server on
loopback counts requests and bytes of `casstore verify URL`, as a process of its own, without archives (they are
not read). Times are CPU seconds, of `verify` wall too. With `--work` all of it is kept, and a run that was ended goes
on where it was; an entry takes some 10 KB of disk, and with `eatmydata` no wait for it.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime
from functools import cache, partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]

from attest import signers  # noqa: E402
from attest.digests import Digest, sha256  # noqa: E402
from attest.keys import keys  # noqa: E402
from attest.log import state_trie  # noqa: E402
from attest.signers import Signer  # noqa: E402
from attest.statements import statements  # noqa: E402
from attest.trust.verify import verify_with_key  # noqa: E402
from bundlers.publishing import feed  # noqa: E402
from casstore.ledger import sealing  # noqa: E402
from casstore.ledger.book.log import Ledger  # noqa: E402
from casstore.ledger.entries import EntryKind  # noqa: E402
from casstore.ledger.folding import replay, replay_all  # noqa: E402
from casstore.objects.kinds import Kind, NewObject  # noqa: E402
from casstore.store.store import Store  # noqa: E402
from tests.support import published, worlds  # noqa: E402
from tests.support.published import PublishedWorld  # noqa: E402

BATCH, SEALED = 500, 10_000
TYPE = "https://example.com/predicate/v1"


class Counting(SimpleHTTPRequestHandler):
    """Serves a folder and counts what was sent."""

    asked: ClassVar[list[tuple[str, int]]] = []

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name there
        """No talk."""

    def log_request(self, *_: Any) -> None:
        """What was found is counted."""
        path = self.translate_path(self.path)
        self.asked.append((self.path, os.path.getsize(path) if os.path.isfile(path) else 0))


def keep_keys(folder: Path) -> None:
    """The keys of the world's people lie in a folder, for the run that goes on."""
    folder.mkdir(parents=True, exist_ok=True)

    @cache
    def signer(name: str) -> Signer:
        path = folder / name
        if not path.exists():
            algorithm = keys.ED25519 if name == "log" else keys.ECDSA_P256
            path.write_bytes(keys.private_to_pem(keys.generate(algorithm), None))
        return signers.from_private_key(keys.private_from_pem(path.read_bytes(), None))

    worlds.signer = published.signer = signer  # type: ignore[assignment]


def begun(folder: Path) -> PublishedWorld:
    """The line that lies there, or a new one with a release in prod."""
    keep_keys(folder / "keys")
    if (folder / "shipped").exists():
        return PublishedWorld(Store.open(str(folder / "store")))
    world = PublishedWorld.make(str(folder / "store"))
    world.ship("1.0.0")
    world.to_prod("1.0.0")
    (folder / "shipped").touch()
    return world


def evidence(world: PublishedWorld, ledger: Ledger, numbers: range) -> None:
    """An entry of signed provenance for each number."""
    raws = [worlds.provenance({"x": sha256(b"%d" % number)}, "ci") for number in numbers]
    for digest in world.store.put_many([NewObject(raw, Kind.ATTESTATION, ()) for raw in raws]):
        ledger.append(EntryKind.EVIDENCE, digest, now=world.now)


def grow(world: PublishedWorld, ledger: Ledger, entries: int) -> None:
    """Evidence until there are so many entries; sealed now and then, as by publications."""
    count = replay(ledger, world.store).count
    while count < entries:
        evidence(world, ledger, range(count, min(count + BATCH, entries)))
        before, count = count, min(count + BATCH, entries)
        if before // SEALED != count // SEALED:
            seal(world, ledger)
            if count // SEALED % 10 == 0:
                peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
                print(f"{count} entries, {time.process_time():.0f} s, {peak:.0f} MiB", file=sys.stderr, flush=True)


def seal(world: PublishedWorld, ledger: Ledger) -> None:
    sealing.seal(world.store, ledger, signer=worlds.signer("log"), now=world.now)


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
    for name in ("XDG_CACHE_HOME", "XDG_STATE_HOME", "LD_PRELOAD", "PYTHONDONTWRITEBYTECODE"):
        environment.pop(name, None)
    environment["PYTHONPYCACHEPREFIX"] = str(home.parent / "bytecode")  # as an installation has it
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    words = [sys.executable, "-m", "cli.main", "verify", url, "--channel", "prod"]
    subprocess.run(words, check=True, cwd=home, env={**environment, "PYTHONPATH": str(ROOT)}, capture_output=True)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, list(Counting.asked)


def channel(folder: Path, entries: int, rounds: int, *, fold: bool, whole_feed: bool) -> None:
    world = begun(folder)
    ledger = world.ledger
    grow(world, ledger, entries)
    count = replay(ledger, world.store).count
    took, whole = [], []
    for _ in range(rounds):
        evidence(world, ledger, range(count, count + 100))
        begun_at = time.process_time()
        state = replay(ledger, world.store)
        folded = time.process_time()
        seal(world, ledger)
        took.append(time.process_time() - folded)
        whole.append(time.process_time() - begun_at)
        count = state.count + 1
    spread = f"{min(took) * 1000:.0f} to {max(took) * 1000:.0f} ms"
    told(f"seal {count} entries, 100 of them new and folded; the most is one that keeps its state", spread)
    told("the same, with folding the 100", f"{min(whole) * 1000:.0f} to {max(whole) * 1000:.0f} ms")
    if not whole_feed:
        feed.parts = lambda *_: iter(())
    what = "publish" if whole_feed else "publish, without the feed"
    told(what, f"{seconds(lambda: world.publish('prod', str(folder / 'public'))):.1f} s")
    serve(folder, rounds)
    if fold:
        took_all = seconds(lambda: replay_all(world.ledger, world.store))
        told(f"fold {count} entries, nothing believed", f"{took_all:.1f} s")
    told("peak memory", f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")
    world.store.close()


def serve(folder: Path, rounds: int) -> None:
    """`casstore verify` of what lies in the folder, first and again."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Counting, directory=str(folder / "public")))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}"
    first, warm = [], []
    with tempfile.TemporaryDirectory() as name:
        for number in range(rounds + 1):
            home = Path(name, str(number))
            home.mkdir()
            first.append(verify(url, home))
            warm.append(verify(url, home))
    server.shutdown()
    del first[0], warm[0]  # it made the bytecode
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


def signatures(rounds: int) -> None:
    """What one signature costs its verifier: of a managed key, and keyless by the private instance of tests/support."""
    from private_sigstore import PrivateSigstore

    from attest.signers.keyless import open_config, open_session
    from attest.sigstore import keyless

    managed, subject = worlds.signer("ci"), sha256(b"x")
    payloads = [statements.of_digests({"x": subject}, TYPE, {"n": n}).to_bytes() for n in range(100)]
    raws = [managed.sign_statement(payload) for payload in payloads]
    by_key = partial(verify_with_key, public_pem=managed.public_pem or b"", predicate_type=TYPE, subjects=[subject])
    each("a managed key (ECDSA P-256)", by_key, raws, rounds)
    with PrivateSigstore() as instance:
        root = instance.trusted_root()
        for rekor in (1, 2):
            config = open_config(instance.trust_config(rekor), network=None)
            session = open_session(config, instance.token(email="ann@example.org"), network=None)
            raws = [session.sign_statement(payload) for payload in payloads[:1]]
            judge = partial(keyless.verify_keyless, trusted_root_json=root, at=datetime.now(UTC))
            told(
                f"keyless, Rekor v{rekor}, the first one of a process, with what it loads",
                first_in_a_process(raws[0], root),
            )
            raws += [session.sign_statement(payload) for payload in payloads[1:]]
            each(f"keyless, Rekor v{rekor}", judge, raws, rounds)


FIRST = """
import sys, time
from datetime import UTC, datetime
import attest.trust.verify
begun = time.process_time()
from attest.sigstore import keyless
bundle, root = (open(path, "rb").read() for path in sys.argv[1:])
keyless.verify_keyless(bundle, trusted_root_json=root, at=datetime.now(UTC))
print(f"{(time.process_time() - begun) * 1000:.0f} ms")
"""


def first_in_a_process(raw: bytes, root: bytes) -> str:
    """What a command that verifies by managed keys already pays for its first keyless one."""
    with tempfile.TemporaryDirectory() as name:
        paths = [Path(name, "bundle"), Path(name, "root")]
        for path, data in zip(paths, (raw, root), strict=True):
            path.write_bytes(data)
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        words = [sys.executable, "-c", FIRST, *map(str, paths)]
        return subprocess.run(words, check=True, env=environment, capture_output=True, text=True).stdout.strip()


def each(what: str, judge: Any, raws: list[bytes], rounds: int) -> None:
    judge(raws[0])
    took = statistics.median(seconds(lambda: [judge(raw) for raw in raws]) / len(raws) for _ in range(rounds))
    told(f"verify a signature: {what}", f"{took * 1000:.2f} ms, {statistics.median(map(len, raws)):.0f} bytes")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--entries", type=int, default=10_000)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--work", type=Path, help="A folder that is kept, and gone on with.")
    parser.add_argument("--no-fold", action="store_true", help="Leave out the fold of all entries.")
    parser.add_argument("--no-feed", action="store_true", help="Publish without what only witnesses read.")
    parser.add_argument("--signatures", action="store_true", help="What a managed and a keyless signature cost.")
    given = parser.parse_args()
    print("| what | seen |\n|---|---|")
    if given.entries:
        with tempfile.TemporaryDirectory() as name:
            folder = given.work or Path(name)
            home = folder / "home"
            os.environ.update(XDG_CACHE_HOME=str(home / "cache"), XDG_STATE_HOME=str(home / "state"))
            channel(folder, given.entries, given.rounds, fold=not given.no_fold, whole_feed=not given.no_feed)
    if given.rows:
        trie(given.rows)
    if given.signatures:
        signatures(given.rounds)


if __name__ == "__main__":
    main()
