"""A worker as a process of its own: this is what runs there, started by `crew.Processes`.

A fresh interpreter, not a fork: nothing of the parent's LMDB environment, threads or locks
comes along. It ends when its input ends, and then leaves no temporary file behind.
"""

from __future__ import annotations

from collections.abc import Callable

from casstore.index import IndexDoubt, attach
from casstore.ingest.worker import Worker
from casstore.machine.workers import Ended, begin, receive, send, tell_error
from casstore.objects.packs import Durability, LocalPacks


def main() -> int:
    """Read the set-up, then batches, then an empty message; answer each on standard output."""
    setup = begin()
    if isinstance(setup, Ended):
        return 0
    packs = LocalPacks(setup["store"], Durability(setup["durability"]))
    known = _known(setup["index"], frozenset(setup["staged"]))
    worker = Worker(setup["root"], setup["level"], packs, known, frozenset(setup["large"]))
    try:
        return _serve(worker)
    except BaseException as exc:
        worker.abandon()
        tell_error(exc)
        return 1


def _serve(worker: Worker) -> int:
    while not isinstance(batch := receive(0), Ended):
        if batch is None:
            send(1, ["done", list(worker.finish())])
            return 0
        send(1, ["answer", list(worker.take(batch))])
    worker.abandon()
    return 0


def _known(index: str | None, staged: frozenset[bytes]) -> Callable[[bytes], bool]:
    if index is None:
        return staged.__contains__
    try:
        indexed = attach(index)
    except IndexDoubt:
        return staged.__contains__  # then what is known is stored once more, and nothing is lost
    return (lambda raw: raw in staged or indexed(raw)) if staged else indexed
