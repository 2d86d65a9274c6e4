"""Shares the parts of all packs out: among processes for packs of this machine, among threads for others.

Processes, because the many objects of a pack of small files need Python for each; threads,
because a bucket is mostly waited for, and only this process may speak to it.

    for task, found in shared_out(packs, index, tasks, size): ...
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from casstore.fsck.worker import Found, PartWorker
from casstore.index import Index
from casstore.machine.team import share, started
from casstore.machine.workers import WorkerProcess, processors
from casstore.objects.packs import LocalPacks, Packs

Task = tuple[bytes, int, int]
"""A pack's name, which part of it, of how many."""

_MUCH = 24 * 1024 * 1024
"""From so many stored bytes on worker processes pay for their start."""
_THREADS = 8


def shared_out(
    packs: Packs, index: Index, tasks: Sequence[Task], size: int, workers: int = 0
) -> Iterator[tuple[Task, Found]]:
    """Every task with what was found, in no promised order."""
    workers = min(workers or processors(), len(tasks))
    if isinstance(packs, LocalPacks):
        setup = {"store": packs.root, "index": index.path}
        processes = started("casstore.fsck.process", setup, workers) if workers > 1 and size >= _MUCH else []
        if processes:
            yield from _by_processes(processes, tasks)
            return
        worker = PartWorker(packs, index.rows)
        yield from ((task, worker.check(*task)) for task in tasks)
        return
    yield from _by_threads(packs, index, tasks)


def _by_processes(processes: Sequence[WorkerProcess], tasks: Sequence[Task]) -> Iterator[tuple[Task, Found]]:
    """Whoever is free gets the next part; each worker begins at another place, so that it stays with its packs."""
    waiting = _dealt(tasks, len(processes))
    ended_well = False
    try:
        for task, answer in share(processes, lambda worker: _taken(worker, waiting)):
            yield task, Found(*answer)
        ended_well = True
    finally:
        for process in processes:
            process.end(kill=not ended_well)


def _dealt(tasks: Sequence[Task], hands: int) -> list[list[Task]]:
    """Neighbouring tasks together; what is taken first stands last."""
    share = -(-len(tasks) // hands)
    return [list(reversed(tasks[start : start + share])) for start in range(0, len(tasks), share)]


def _taken(worker: int, waiting: list[list[Task]]) -> Task | None:
    """The next of its own, else one of whoever has most left."""
    own = waiting[worker] if worker < len(waiting) else []
    if own:
        return own.pop()
    longest = max(waiting, key=len, default=[])
    return longest.pop(0) if longest else None


def _by_threads(packs: Packs, index: Index, tasks: Sequence[Task]) -> Iterator[tuple[Task, Found]]:
    local = threading.local()

    def work(task: Task) -> tuple[Task, Found]:
        if not hasattr(local, "worker"):
            local.worker = PartWorker(packs, index.rows)
        return task, local.worker.check(*task)

    with ThreadPoolExecutor(_THREADS) as pool:
        yield from pool.map(work, tasks)
