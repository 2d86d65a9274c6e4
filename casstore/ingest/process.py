"""A worker as a process of its own: this is what runs there, started by `crew.Processes`.

A fresh interpreter, not a fork: nothing of the parent's LMDB environment, threads or locks
comes along. It ends when its input ends, and then leaves no temporary file behind.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

from attest.errors import CasstoreError
from casstore.index import IndexDoubt, attach
from casstore.ingest import wire
from casstore.ingest.worker import Worker
from casstore.packs import Durability, LocalPacks


def main() -> int:
    """Read the set-up, then batches, then an empty message; answer each on standard output."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears it too, and ends us
    setup = wire.receive(0)
    if isinstance(setup, wire.Ended):
        return 0
    packs = LocalPacks(setup["store"], Durability(setup["durability"]))
    worker = Worker(setup["root"], setup["level"], packs, _known(setup["index"]), frozenset(setup["large"]))
    try:
        return _serve(worker)
    except BaseException as exc:
        worker.abandon()
        _tell(exc)
        return 1


def _serve(worker: Worker) -> int:
    while not isinstance(batch := wire.receive(0), wire.Ended):
        if batch is None:
            wire.send(1, ["done", list(worker.finish())])
            return 0
        wire.send(1, ["answer", list(worker.take(batch))])
    worker.abandon()
    return 0


def _known(index: str | None) -> Callable[[bytes], Any]:
    if index is None:
        return _nothing
    try:
        return attach(index)
    except IndexDoubt:
        return _nothing  # then what is known is stored once more, and nothing is lost


def _nothing(_raw: bytes) -> None:
    return None


def _tell(exc: BaseException) -> None:
    if isinstance(exc, CasstoreError):
        wire.send(1, ["error", type(exc).__name__, exc.message, exc.hint])
    else:
        wire.send(1, ["error", "", f"{type(exc).__name__}: {exc}", ""])
