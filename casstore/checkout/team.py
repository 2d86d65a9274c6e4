"""Shares the regions of a checkout out among worker processes: whoever is free gets the next one.

for region, failed in share(processes, regions): ...
"""

from __future__ import annotations

import contextlib
import os
import queue
import threading
from collections.abc import Iterator, Sequence
from typing import Any

from casstore.checkout.plan import Region
from casstore.checkout.writing import Failed
from casstore.machine.workers import Ended, WorkerProcess, ended_early, error_of, receive, send

_AHEAD = 2
"""Regions that a worker has at once, so that it never waits for us."""


def share(processes: Sequence[WorkerProcess], regions: Iterator[Region]) -> Iterator[tuple[Region, Failed]]:
    """Each region as it is done, with what could not be verified. Raises what a worker raised."""
    results: queue.SimpleQueue[tuple[int, Any]] = queue.SimpleQueue()
    for number, process in enumerate(processes):
        threading.Thread(target=_listen, args=(number, process, results), daemon=True).start()
    sent: list[list[Region]] = [[] for _ in processes]
    for _ in range(_AHEAD):
        for number, process in enumerate(processes):
            _give(process, sent[number], regions)
    while any(sent):
        number, message = results.get()
        if isinstance(message, Ended):
            if sent[number]:
                raise ended_early()
            continue
        if message[0] == "error":
            raise error_of(*message[1:])
        yield sent[number].pop(0), message[1]
        _give(processes[number], sent[number], regions)


def _give(process: WorkerProcess, sent: list[Region], regions: Iterator[Region]) -> None:
    region = next(regions, None)
    if region is not None:
        sent.append(region)
        with contextlib.suppress(BrokenPipeError):  # its end, or its error, comes through the queue
            send(process.input, region)


def _listen(number: int, process: WorkerProcess, results: queue.SimpleQueue[tuple[int, Any]]) -> None:
    while True:
        message = receive(process.output)
        results.put((number, message))
        if isinstance(message, Ended):
            os.close(process.output)
            return
