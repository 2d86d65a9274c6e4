"""What a fold of a whole ledger takes, nothing believed: by the code of several folders in turns, in new processes.

    python benchmarks/bench_line.py --grow LINE 10000         # after `init` in LINE; or any store in a folder
    python benchmarks/bench_fold.py LINE/store --code . --code ../before --rounds 3

`alone`: no worker is started, whatever the number of entries. Wall and CPU seconds, those of workers apart; the last
column is the digest of the state's record, the same in all rows.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import resource
import subprocess
import sys
import tempfile
import time


def fold(store_url: str, *, alone: bool) -> str:
    """One row of the table, without its name; `casstore` is that of PYTHONPATH."""
    from attest.digests import sha256
    from casstore.ledger.book.log import Ledger
    from casstore.ledger.folding import replay_all
    from casstore.ledger.states import state_records
    from casstore.store.store import Store

    if alone and importlib.util.find_spec("casstore.ledger.ahead"):
        from casstore.ledger import ahead

        ahead.LEAST = sys.maxsize
    store = Store.open(store_url)
    began, cpu = time.perf_counter(), time.process_time()
    state = replay_all(Ledger(store), store)
    wall, own = time.perf_counter() - began, time.process_time() - cpu
    store.close()
    workers = resource.getrusage(resource.RUSAGE_CHILDREN)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    told = sha256(state_records.record(state.fields()))[7:19]
    seconds = f"{wall:.1f} | {own:.2f} | {workers.ru_utime + workers.ru_stime:.2f}"
    return f"{state.count:,} | {seconds} | {peak:.0f} | {told} |"


def row(code: str, store_url: str, how: str) -> None:
    """A fold by the code of a folder, with an empty home."""
    with tempfile.TemporaryDirectory() as home:
        homes = {"HOME": home, "XDG_CACHE_HOME": f"{home}/cache", "XDG_STATE_HOME": f"{home}/state"}
        environment = {**os.environ, **homes, "PYTHONPATH": os.path.abspath(code)}
        words = [sys.executable, os.path.abspath(__file__), store_url, "--once", how]
        made = subprocess.run(words, check=True, env=environment, capture_output=True, text=True).stdout
    print(f"| {code} | {how} | {made.strip()}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("store")
    parser.add_argument("--code", action="append", help="A folder with the code to measure; more than once.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--once", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.once:
        print(fold(given.store, alone=given.once == "alone"))
        return
    print(f"load {os.getloadavg()[0]:.0f}\n\n| code | how | entries | wall | CPU | CPU of workers | peak MiB | state |")
    print("|" + "---|" * 8)
    for _ in range(given.rounds):
        for code in given.code or ["."]:
            for how in ("alone", "workers") if os.path.exists(f"{code}/casstore/ledger/ahead.py") else ("alone",):
                row(code, given.store, how)


if __name__ == "__main__":
    main()
