"""The workers of one put: none beside us, threads, or processes; all take batches and give answers.

crew = Crew.inline(worker)
crew.send(0, batch)
for number, answer in crew.answers(): ...
done = crew.finish()
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from casstore.ingest.worker import Answer, Batch, Done, Worker


class Crew(Protocol):
    """Answers of one worker come in the order of its batches."""

    size: int

    def send(self, number: int, batch: Batch) -> None:
        """Give worker `number` something to do; may wait while it has too much."""

    def answers(self, *, wait: bool) -> Iterator[tuple[int, Answer]]:
        """Answers that are there; with `wait`, at least one. Raises what a worker raised."""

    def finish(self) -> list[Done]:
        """After all answers: make everything durable."""

    def abort(self) -> None:
        """Stop at once; nothing of it stays."""


class Inline:
    """One worker in this thread."""

    size = 1

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._ready: list[tuple[int, Answer]] = []

    def send(self, number: int, batch: Batch) -> None:
        """See `Crew`."""
        self._ready.append((number, self._worker.take(batch)))

    def answers(self, *, wait: bool) -> Iterator[tuple[int, Answer]]:  # noqa: ARG002  there is nothing to wait for
        """See `Crew`."""
        ready, self._ready = self._ready, []
        return iter(ready)

    def finish(self) -> list[Done]:
        """See `Crew`."""
        return [self._worker.finish()]

    def abort(self) -> None:
        """See `Crew`."""
        self._worker.abandon()
