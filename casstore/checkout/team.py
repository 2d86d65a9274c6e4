"""Shares the jobs of a checkout out among worker processes: whoever is free gets the next batch.

for jobs, failed in share(processes, jobs): ...
"""

from __future__ import annotations

import contextlib
import os
import queue
import threading
from collections.abc import Iterator, Sequence
from typing import Any

from casstore.checkout.plan import Job
from casstore.workers import Ended, WorkerProcess, ended_early, error_of, receive, send

_BATCH_FILES = 256
_BATCH_BYTES = 4 * 1024 * 1024
_AHEAD = 2
"""Batches that a worker has at once, so that it never waits for us."""

Failed = list[tuple[int, int]]
"""(number of the job in its batch, position of the item)."""


def share(processes: Sequence[WorkerProcess], jobs: Sequence[Job]) -> Iterator[tuple[list[Job], Failed]]:
    """Each batch of jobs as it is done, with what could not be verified. Raises what a worker raised."""
    results: queue.SimpleQueue[tuple[int, Any]] = queue.SimpleQueue()
    for number, process in enumerate(processes):
        threading.Thread(target=_listen, args=(number, process, results), daemon=True).start()
    sent: list[list[list[Job]]] = [[] for _ in processes]
    batches = _batches(jobs)
    for _ in range(_AHEAD):
        for number, process in enumerate(processes):
            _give(process, sent[number], batches)
    while any(sent):
        number, message = results.get()
        if isinstance(message, Ended):
            if sent[number]:
                raise ended_early()
            continue
        if message[0] == "error":
            raise error_of(*message[1:])
        yield sent[number].pop(0), message[1]
        _give(processes[number], sent[number], batches)


def _give(process: WorkerProcess, sent: list[list[Job]], batches: Iterator[list[Job]]) -> None:
    batch = next(batches, None)
    if batch is not None:
        sent.append(batch)
        with contextlib.suppress(BrokenPipeError):  # its end, or its error, comes through the queue
            send(process.input, batch)


def _batches(jobs: Sequence[Job]) -> Iterator[list[Job]]:
    batch: list[Job] = []
    files = size = 0
    for job in jobs:
        batch.append(job)
        files += len(job.items)
        size += sum(item.length for item in job.items)
        if files >= _BATCH_FILES or size >= _BATCH_BYTES:
            yield batch
            batch, files, size = [], 0, 0
    if batch:
        yield batch


def _listen(number: int, process: WorkerProcess, results: queue.SimpleQueue[tuple[int, Any]]) -> None:
    while True:
        message = receive(process.output)
        results.put((number, message))
        if isinstance(message, Ended):
            os.close(process.output)
            return
