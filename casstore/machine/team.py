"""Shares tasks out among worker processes: whoever is free gets the next one.

    processes = started("casstore.checkout.process", setup, 4)
    for task, answer in share(processes, lambda worker: next(tasks, None)): ...

A worker answers each task, in order, with a message `[kind, answer]`; `["error", ...]` ends it all.
"""

from __future__ import annotations

import contextlib
import os
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from casstore.machine.workers import Ended, WorkerProcess, ended_early, error_of, receive, send

T = TypeVar("T")

_AHEAD = 2
"""Tasks that a worker has at once, so that it never waits for us."""


def started(module: str, setup: Any, count: int) -> list[WorkerProcess]:
    """Workers that run a module: as many as could be started, none where that cannot be done."""
    processes: list[WorkerProcess] = []
    with contextlib.suppress(OSError):
        for _ in range(count):
            processes.append(WorkerProcess(module, setup))
    return processes


def share(processes: Sequence[WorkerProcess], following: Callable[[int], T | None]) -> Iterator[tuple[T, Any]]:
    """Each task as it is done, with its answer; `following(worker)` gives the next. Raises what a worker raised."""
    results: queue.SimpleQueue[tuple[int, Any]] = queue.SimpleQueue()
    for number, process in enumerate(processes):
        threading.Thread(target=_listen, args=(number, process, results), daemon=True).start()
    given: list[list[T]] = [[] for _ in processes]

    def give(number: int) -> None:
        task = following(number)
        if task is not None:
            given[number].append(task)
            with contextlib.suppress(BrokenPipeError):  # its end, or its error, comes through the queue
                send(processes[number].input, task)

    for number in [*range(len(processes))] * _AHEAD:
        give(number)
    while any(given):
        number, message = results.get()
        if isinstance(message, Ended):
            if given[number]:
                raise ended_early()
            continue
        if message[0] == "error":
            raise error_of(*message[1:])
        yield given[number].pop(0), message[1]
        give(number)


def _listen(number: int, process: WorkerProcess, results: queue.SimpleQueue[tuple[int, Any]]) -> None:
    while True:
        message = receive(process.output)
        results.put((number, message))
        if isinstance(message, Ended):
            os.close(process.output)
            return
