"""Attestations: import, sign, verify by key and keyless, and side by side with sigstore-python's own CLI.

    python benchmarks/bench_attest.py [--small] [--rounds 9]

Everything is made here: keys, and keyless bundles signed at the private instance of tests/support. The side-by-side
runs are whole processes in alternating rounds on the same bundles and the same trusted root, offline. A batch is 100
files with their bundles: sigstore's CLI takes them in one process, or one process each; casstore's library and its
command in one.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version

import harness

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [ROOT, os.path.join(ROOT, "tests", "support")]

from attest import signers  # noqa: E402
from attest.digests import sha256  # noqa: E402
from attest.keys import keys  # noqa: E402
from attest.sigstore import keyless  # noqa: E402
from attest.statements import statements  # noqa: E402
from attest.trust.verify import verify_with_key  # noqa: E402

TYPE, SUBJECT = "https://example.com/p/v1", sha256(b"artifact")
ANN, ISSUER = "ann@example.com", "https://issuer.example"
BATCH = """
import json, sys
from datetime import UTC, datetime
from attest.statements import subjects
from attest.trust import artifact_signatures
root, now = open("root.json", "rb").read(), datetime.now(UTC)
signer = artifact_signatures.Certificate("ann@example.com", "https://issuer.example")
for n in range(int(sys.argv[1])):
    content, raw = open(f"{n}.txt", "rb").read(), open(f"{n}.txt.sigstore.json", "rb").read()
    wanted = artifact_signatures.algorithms(raw)
    artifact = artifact_signatures.Artifact(subjects.of_pieces([content], wanted), content)
    artifact_signatures.verify(raw, artifact=artifact, signer=signer, root_json=root, at=now)
"""


def payload(number: int) -> bytes:
    """A statement of some 400 bytes, as a gate's result has."""
    predicate = {
        "result": "PASSED",
        "number": number,
        "configuration": [{"name": "gate", "digest": {"sha256": "0" * 64}}],
    }
    return statements.of_digests({"artifact": SUBJECT}, TYPE, predicate).to_bytes()


def row(what: str, target: str, unit: str, samples: list[float]) -> None:
    """One line of the table: median and spread."""
    low, middle, high = min(samples), statistics.median(samples), max(samples)
    print(f"| {what} | {middle:.3g} ({low:.3g} - {high:.3g}) {unit} | {target} |", flush=True)


def cpu(work: Callable[[], object], rounds: int, per: int = 1, scale: float = 1.0) -> list[float]:
    """CPU seconds of each round in this process, per item, times scale."""
    found = []
    for _ in range(rounds):
        began = time.process_time()
        work()
        found.append((time.process_time() - began) / per * scale)
    return found


def wall(work: Callable[[], object], rounds: int) -> list[float]:
    """Seconds of each round: for work that several processes share."""
    found = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        found.append(time.perf_counter() - began)
    return found


def imports(rounds: int) -> list[float]:
    """CPU milliseconds that `import attest.trust.verify` adds to an empty Python process, in alternating rounds."""
    found = harness.alternate(
        {
            "empty": lambda: harness.run(f"{sys.executable} -c pass", cwd=ROOT),
            "verify": lambda: harness.run(f"{sys.executable} -c 'import attest.trust.verify'", cwd=ROOT),
        },
        rounds=rounds,
    )
    return [(b.cpu - a.cpu) * 1000 for a, b in zip(found["empty"], found["verify"], strict=True)]


def verify_all(raws: list[bytes], pem: bytes) -> int:
    """All of them, one after the other."""
    for raw in raws:
        verify_with_key(raw, pem, predicate_type=TYPE, subjects=[SUBJECT])
    return len(raws)


def two_cores(raws: list[bytes], pem: bytes) -> None:
    """All of them by two processes; starting those is part of the time."""
    with ProcessPoolExecutor(2) as pool:
        assert sum(pool.map(partial(verify_all, pem=pem), (raws[0::2], raws[1::2]))) == len(raws)


def managed(asked: argparse.Namespace) -> None:
    """Managed keys: import, sign, verify."""
    row("import attest.trust.verify", "<= 60 ms", "CPU ms", imports(asked.rounds * 2))
    for algorithm in keys.ALGORITHMS:
        managed_key(asked, algorithm, 1_000 if asked.small else 10_000)


def managed_key(asked: argparse.Namespace, algorithm: str, many: int) -> None:
    """The rows of one algorithm."""
    signer = signers.from_private_key(keys.generate(algorithm))
    payloads = [payload(n) for n in range(many)]
    pem = signer.public_pem or b""
    took = cpu(lambda: [signer.sign_statement(p) for p in payloads[:1000]], asked.rounds)
    row(f"sign 1,000 statements, {algorithm}", "<= 1 s", "CPU s", took)
    raws = [signer.sign_statement(p) for p in payloads]
    took = cpu(lambda: verify_all(raws[:1000], pem), asked.rounds, per=1000, scale=1000)
    row(f"verify with a key, a bundle, {algorithm}", "<= 0.3 ms", "CPU ms", took)
    row(f"verify {many:,} on 2 cores, {algorithm}", "<= 5 s", "s", wall(lambda: two_cores(raws, pem), 3))


def keyless_rows(asked: argparse.Namespace, folder: str, count: int) -> None:
    """Keyless bundles of the private instance, judged in this process; leaves files for the side-by-side runs."""
    from private_sigstore import PrivateSigstore

    from attest.signers.keyless import open_config, open_session

    with PrivateSigstore() as instance:
        root = instance.trusted_root()
        for rekor in (1, 2):
            config = open_config(instance.trust_config(rekor), network=None)
            signer = open_session(config, instance.token(email=ANN), network=None)
            raws = [signer.sign_statement(payload(n)) for n in range(100)]
            at = datetime.now(UTC)
            judge = partial(keyless.verify_keyless, trusted_root_json=root, at=at)
            judge(raws[0])
            took = cpu(partial(judge_all, judge, raws), asked.rounds, per=100, scale=1000)
            row(f"verify keyless, a bundle, Rekor v{rekor}", "<= 4 ms", "CPU ms", took)
        config = open_config(instance.trust_config(1), network=None)
        signer = open_session(config, instance.token(email=ANN), network=None)
        write(folder, "root.json", root)
        write(folder, "config.json", instance.trust_config(1))
        for n in range(count):
            content = f"artifact {n}\n".encode()
            write(folder, f"{n}.txt", content)
            write(folder, f"{n}.txt.sigstore.json", signer.sign_artifact(sha256(content)))


def judge_all(judge: Callable[[bytes], object], raws: list[bytes]) -> None:
    """All of them, one after the other."""
    for raw in raws:
        judge(raw)


def write(folder: str, name: str, data: bytes) -> None:
    """One file."""
    with open(os.path.join(folder, name), "wb") as file:
        file.write(data)


def side_by_side(asked: argparse.Namespace, folder: str, count: int) -> None:
    """Whole processes, alternating, on the same bundles."""
    scripts = os.path.dirname(sys.executable)
    sigstore, ours = (os.path.join(scripts, name) for name in ("sigstore", "casstore"))
    if not os.path.exists(sigstore) or not shutil.which(ours):
        print("sigstore or casstore is not installed beside this Python: no side-by-side runs")
        return
    write(folder, "batch.py", BATCH.encode())
    theirs = f"{sigstore} --trust-config config.json verify identity --offline"
    theirs += f" --cert-identity {ANN} --cert-oidc-issuer {ISSUER}"
    mine = f"{ours} attest verify-bundle --trusted-root root.json"
    mine += f" --certificate-identity {ANN} --certificate-oidc-issuer {ISSUER}"
    names = " ".join(f"{n}.txt" for n in range(count))

    def process(command: str) -> Callable[[], harness.Timing]:
        env = {"PYTHONPATH": ROOT}
        return lambda: harness.run(command, cwd=folder, env=env)

    print("\n### one bundle, one process\n")
    one = {"casstore": process(f"{mine} --bundle 0.txt.sigstore.json 0.txt"), "sigstore": process(f"{theirs} 0.txt")}
    print(harness.table(harness.alternate(one, rounds=asked.rounds), against="casstore"))
    print(f"\n### a batch of {count}\n")
    pairs = " ".join(f"--bundle {n}.txt.sigstore.json" for n in range(count))
    batch = {
        "casstore's library, one process": process(f"{sys.executable} batch.py {count}"),
        "casstore attest verify-bundle, one process": process(f"{mine} {pairs} {names}"),
        "sigstore, one process": process(f"{theirs} {names}"),
        "sigstore, a process each": process(f"for name in {names}; do {theirs} $name; done"),
    }
    print(harness.table(harness.alternate(batch, rounds=asked.batch_rounds), against="casstore's library, one process"))


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--batch-rounds", type=int, default=3)
    asked = parser.parse_args()
    if asked.small:
        asked.rounds, asked.batch_rounds = 3, 1
    count = 10 if asked.small else 100
    print(harness.machine())
    print(
        "versions: " + ", ".join(f"{name} {version(name)}" for name in ("sigstore", "cryptography", "rfc3161-client"))
    )
    print("\n| what | median (min - max) | target |\n|---|---|---|")
    managed(asked)
    with tempfile.TemporaryDirectory() as folder:
        keyless_rows(asked, folder, count)
        side_by_side(asked, folder, count)


if __name__ == "__main__":
    main()
