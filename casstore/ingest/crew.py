"""The workers of one put: one in this thread, several threads, or several processes.

Processes serve many small files (Python's own work is shared out), threads a few large
ones (hashing and compression let others run), one worker the rest. All take batches and
give answers in the order of each worker's batches.

    crew = Processes(setup, 2)
    crew.send(0, batch)
    for number, answer in crew.answers(wait=True): ...
    done = crew.finish()
"""

from __future__ import annotations

import contextlib
import os
import queue
import threading
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from attest.core.values import dataclass
from casstore.errors import StorageUnavailable
from casstore.ingest.worker import Answer, Batch, Done, Worker
from casstore.machine.workers import Ended, WorkerProcess, ended_early, error_of, receive, send
from casstore.objects.pack_writer import SealedPack

_WAITING = 8
"""Batches that may wait for one thread."""


class Crew(Protocol):
    """Answers of one worker come in the order of its batches."""

    size: int

    def send(self, number: int, batch: Batch) -> None:
        """Give worker `number` something to do; may wait while it has too much."""

    def answers(self, *, wait: bool) -> Iterator[tuple[int, Answer]]:
        """Answers that are there; with `wait`, at least one. Raises what a worker raised."""

    def finish(self) -> list[Done]:
        """After all answers: end all packs."""

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


class _Queued:
    """What threads and processes share: answers come through one queue."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._results: queue.SimpleQueue[tuple[int, Answer | Done | BaseException]] = queue.SimpleQueue()

    def answers(self, *, wait: bool) -> Iterator[tuple[int, Answer]]:
        """See `Crew`."""
        while wait or not self._results.empty():
            number, found = self._results.get()
            if isinstance(found, BaseException):
                raise found
            if not isinstance(found, Answer):
                raise StorageUnavailable("a worker ended too early")
            wait = False
            yield number, found

    def _collect_done(self) -> list[Done]:
        done: list[Done] = []
        while len(done) < self.size:
            _, found = self._results.get()
            if isinstance(found, BaseException):
                raise found
            if isinstance(found, Done):
                done.append(found)
        return done


class Threads(_Queued):
    """One thread per worker."""

    def __init__(self, workers: Sequence[Worker]) -> None:
        super().__init__(len(workers))
        self._workers = workers
        self._inbox: list[queue.Queue[Batch | None]] = [queue.Queue(_WAITING) for _ in workers]
        self._stop = False
        self._threads = [threading.Thread(target=self._work, args=(n,), daemon=True) for n in range(self.size)]
        for thread in self._threads:
            thread.start()

    def send(self, number: int, batch: Batch) -> None:
        """See `Crew`."""
        self._inbox[number].put(batch)

    def finish(self) -> list[Done]:
        """See `Crew`."""
        for inbox in self._inbox:
            inbox.put(None)
        return self._collect_done()

    def abort(self) -> None:
        """See `Crew`."""
        self._stop = True
        for inbox, thread in zip(self._inbox, self._threads, strict=True):
            while thread.is_alive():
                with contextlib.suppress(queue.Full):
                    inbox.put_nowait(None)
                thread.join(0.05)
        for worker in self._workers:
            worker.abandon()

    def _work(self, number: int) -> None:
        worker, inbox = self._workers[number], self._inbox[number]
        try:
            while (batch := inbox.get()) is not None and not self._stop:
                self._results.put((number, worker.take(batch)))
            if not self._stop:
                self._results.put((number, worker.finish()))
        except BaseException as exc:  # handed to the thread that waits
            self._results.put((number, exc))
            while not self._stop and inbox.get() is not None:
                pass  # nobody may wait for us with a full inbox


@dataclass(frozen=True, slots=True)
class Setup:
    """What a worker process is told first."""

    root: bytes
    store: str
    durability: str
    level: int
    index: str | None
    large: tuple[int, ...]
    staged: tuple[bytes, ...] = ()
    """What the parent has packed and the index does not know yet."""

    def to_wire(self) -> dict[str, Any]:
        """Plain values."""
        return {name: getattr(self, name) for name in self.__slots__}


class Processes(_Queued):
    """One fresh interpreter per worker. Raises OSError when none can be started."""

    def __init__(self, setup: Setup, size: int) -> None:
        super().__init__(size)
        self._temp = os.path.join(setup.store, "tmp")
        self._workers: list[WorkerProcess] = []
        try:
            for _ in range(size):
                self._workers.append(WorkerProcess("casstore.ingest.process", setup.to_wire()))
        except BaseException:
            self.abort()
            raise
        for number, process in enumerate(self._workers):
            threading.Thread(target=self._listen, args=(number, process), daemon=True).start()

    def send(self, number: int, batch: Batch) -> None:
        """See `Crew`."""
        with contextlib.suppress(BrokenPipeError):  # why it ended comes through the queue
            send(self._workers[number].input, batch)

    def finish(self) -> list[Done]:
        """See `Crew`."""
        for process in self._workers:
            with contextlib.suppress(BrokenPipeError):
                send(process.input, None)
        done = self._collect_done()
        for process in self._workers:
            process.end(kill=False)
        return done

    def abort(self) -> None:
        """See `Crew`."""
        for process in self._workers:
            process.end(kill=True)
            _remove_of(self._temp, process.pid)

    def _listen(self, number: int, process: WorkerProcess) -> None:
        kind = ""
        while not isinstance(message := receive(process.output), Ended):
            kind, *rest = message
            if kind == "answer":
                digests, changed, new = rest[0]
                self._results.put((number, Answer(digests, [(a, b, c) for a, b, c in changed], new)))
            elif kind == "done":
                names, sealed, *counts = rest[0]
                self._results.put((number, Done(names, [SealedPack(*one) for one in sealed], *counts)))
            else:
                self._results.put((number, error_of(*rest)))
        os.close(process.output)
        if kind not in ("done", "error"):
            self._results.put((number, ended_early()))


def _remove_of(folder: str, pid: int) -> None:
    with contextlib.suppress(OSError):
        for name in os.listdir(folder):
            if name.startswith(f"{pid}-"):
                os.unlink(os.path.join(folder, name))
