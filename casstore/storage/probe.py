"""Prove that a storage creates exclusively, instead of believing it: some servers answer 200 and overwrite.

First in sequence, then racing; the keys carry a random name and are removed afterwards. A server that lets two win
in one race of 200 was seen: so `casstore init` also runs many races of two, side by side. `casstore doctor` runs fewer.

    probe(storage).require()
"""

from __future__ import annotations

import contextlib
import secrets
import threading
from concurrent.futures import ThreadPoolExecutor

from attest.core.values import dataclass
from attest.errors import CasstoreError
from casstore.errors import NotWritable
from casstore.storage.base import Storage

WRITERS = 8
ROUNDS = 20
PAIRS = 600
"""Races of two in a bucket: where two win in one of 200, it is seen in 19 of 20 probes."""
FEW_PAIRS = 60
_LANES = 8
_LOCAL_ROUNDS = 5


@dataclass(frozen=True, slots=True)
class ProbeReport:
    """What was tried and what went wrong; `problem` is empty when the storage can be used."""

    url: str
    writers: int
    rounds: int
    pairs: int = 0
    problem: str = ""

    def require(self) -> ProbeReport:
        """The report itself. Raises NotWritable when the storage must not hold a store."""
        if self.problem:
            raise NotWritable(
                f"{self.url}: {self.problem}",
                hint="no ledger can be kept there; use a folder, or a server that honours If-None-Match",
            )
        return self

    def to_json(self) -> dict[str, object]:
        """For `--json`."""
        tried = {"writers": self.writers, "rounds": self.rounds, "pairs": self.pairs}
        return {"url": self.url, **tried, "problem": self.problem or None}


def probe(
    storage: Storage, *, writers: int = WRITERS, rounds: int | None = None, pairs: int | None = None
) -> ProbeReport:
    """Sequential and racing creates. Raises StorageUnavailable when the storage cannot be reached."""
    rounds = rounds if rounds is not None else (_LOCAL_ROUNDS if storage.local_path else ROUNDS)
    pairs = pairs if pairs is not None else (0 if storage.local_path else PAIRS)
    if storage.read_only:
        return ProbeReport(storage.url, 0, 0, problem="it is read-only")
    prefix = f"probe/{secrets.token_hex(8)}"
    keys = [f"{prefix}/{number}" for number in range(rounds + 1)]
    twos = [f"{prefix}/{number}" for number in range(rounds + 1, rounds + 1 + pairs)]
    try:
        problem = _sequence(storage, keys[0]) or _races(storage, keys[1:], writers) or _side_by_side(storage, twos)
    finally:
        with contextlib.suppress(CasstoreError), ThreadPoolExecutor(2 * _LANES) as pool:
            for _ in pool.map(lambda key: storage.delete([key]), keys + twos):
                pass
    return ProbeReport(storage.url, writers, rounds, pairs, problem)


def _side_by_side(storage: Storage, keys: list[str]) -> str:
    """Races of two, in so many lanes at once."""
    with ThreadPoolExecutor(_LANES) as pool:
        found = pool.map(lambda lane: _races(storage, keys[lane::_LANES], 2), range(_LANES))
        return next(filter(None, list(found)), "")


def _sequence(storage: Storage, key: str) -> str:
    first, second = secrets.token_bytes(32), secrets.token_bytes(32)
    if not storage.create(key, first):
        return "it refuses to create a new object"
    if storage.create(key, second):
        return "it creates an object that is there already: another writer's bytes would be lost"
    if storage.read(key) != first:
        return "it overwrote an object although it said that it did not"
    if not storage.create(key, first):
        return "it does not recognise the bytes that are there"
    return ""


def _races(storage: Storage, keys: list[str], writers: int) -> str:
    start = threading.Barrier(writers)
    with ThreadPoolExecutor(writers) as pool:
        for key in keys:
            bodies = [secrets.token_bytes(32) for _ in range(writers)]

            def race(body: bytes, key: str = key) -> bool:
                start.wait(60)
                return storage.create(key, body)

            won = [body for body, mine in zip(bodies, pool.map(race, bodies), strict=True) if mine]
            if len(won) != 1:
                return f"{len(won)} of {writers} racing writers were told that they created the same object"
            if storage.read(key) != won[0]:
                return "it holds other bytes than those of the writer that it told it had won"
    return ""
