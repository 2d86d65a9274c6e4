"""Asks a parser in a cell, and ends the cell when it costs too much. Cells are kept for the next file.

A cell serves one thread at a time; there are as many as threads ask at once. What a cell says is plain values; a cell
that was ended is replaced when the next file comes.
"""

from __future__ import annotations

import atexit
import os
import select
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any, Final

import msgpack

from casstore.errors import OverBudget, StorageUnavailable
from casstore.hostile.budget import MIB, Budget
from casstore.machine.workers import WorkerProcess, error_of, send

_CELL = "casstore.hostile.cell"
_PIECE = 1 << 20
_SMALL = 1 << 20
_COPIED = 64 << 20
"""A larger file is given as it is."""
_LONGEST = 1 << 28
"""No answer's part is larger."""
_START = 60.0
"""Seconds in which a cell must have begun."""
_FREE: Final = 64
"""Our ends of its files lie above the numbers that it knows."""


class Door:
    """The parsers of one module (its `PARSERS`: name -> function of foreign bytes, question, scratch, tell)."""

    def __init__(self, parsers: str) -> None:
        self._parsers = parsers
        self._idle: list[_Cell] = []
        self._lock = threading.Lock()
        atexit.register(self.close)

    def ask(self, name: str, stream: IO[bytes], size: int, asked: Any, budget: Budget) -> Iterator[Any]:
        """What the parser tells, part by part, then what it returns. Raises OverBudget, and what the parser refuses.

        `stream` is read from where it stands to its end; `size` is how many bytes that are. A large file is not copied:
        a cell of its own reads it where it lies.
        """
        given = _number(stream) if size > _COPIED else None
        with self._cell(budget, given) as cell:
            seconds = budget.deadline(size)
            until = time.monotonic() + seconds
            cell.give(stream, size, [name, seconds, asked])
            while True:
                kind, *told = _next(cell, until, seconds)
                if kind == "part":
                    yield told[0]
                    continue
                cell.whole = True
                if kind == "done":
                    yield told[0]
                    return
                if kind == "error" and told[0]:
                    raise error_of(*told)
                cell.whole = False
                raise OverBudget(_told(told[-2] if kind == "error" else told[0], budget), hint=_HINT)

    @contextmanager
    def _cell(self, budget: Budget, given: int | None = None) -> Iterator[_Cell]:
        with self._lock:
            fit = [cell for cell in self._idle if cell.budget == budget and given is None]
            cell = fit[-1] if fit else None
            if cell is not None:
                self._idle.remove(cell)
        cell = cell or _Cell(self._parsers, budget, given)
        cell.whole = False
        try:
            yield cell
        finally:
            if cell.whole and given is None:
                with self._lock:
                    self._idle.append(cell)
            else:
                cell.end()

    def confined_by(self, budget: Budget = Budget()) -> list[str]:  # noqa: B008  frozen
        """What of the kernel's holds a cell beside limits: `landlock`, `seccomp`."""
        with self._cell(budget) as cell:
            cell.whole = True
            return list(cell.held)

    def close(self) -> None:
        """End the cells that wait."""
        with self._lock:
            idle, self._idle = self._idle, []
        for cell in idle:
            cell.end()


_HINT = "nothing of it was believed; look at it, or give it more: max_seconds, max_memory (casstore help isolation)"


def _next(cell: _Cell, until: float, seconds: int) -> list[Any]:
    try:
        message = cell.hear(until)
    except TimeoutError:
        raise OverBudget(f"it takes more than {seconds} s", hint=_HINT) from None
    except MemoryError:
        raise OverBudget(f"it says more than {_LONGEST // MIB} MiB at once", hint=_HINT) from None
    if message is None:
        raise OverBudget(f"it ended its parser ({cell.end()})", hint=_HINT)
    return message


def _told(what: str, budget: Budget) -> str:
    memory = f"it takes more than {budget.memory // MIB} MiB of memory"
    return memory if what == "memory" else f"its parser failed: {what}"


class _Cell:
    """One process and our ends of its pipes and files."""

    def __init__(self, parsers: str, budget: Budget, given: int | None = None) -> None:
        self.budget, self.whole, self._given = budget, False, given
        setup = {"parsers": parsers, "memory": budget.memory, "disk": budget.disk}
        theirs: list[int] = []
        try:
            self._foreign = _unnamed(theirs, given)
            self.process = WorkerProcess(_CELL, setup, environment=_variables(), files=theirs)
        except OSError as exc:
            raise StorageUnavailable(f"no process for a parser can be started: {exc}", hint="run it again") from exc
        finally:
            for fd in theirs:
                os.close(fd)
        self._ended: str | None = None
        self._waiting = select.poll()
        self._waiting.register(self.process.output, select.POLLIN)
        try:
            ready = self.hear(time.monotonic() + _START)
        except TimeoutError:
            ready = None
        if ready is None or ready[0] != "ready":
            said = ready[-2] if ready else self.end()
            raise StorageUnavailable(f"a parser's process did not begin: {said}", hint="run it again, or report this")
        self.held: list[str] = ready[1]

    def give(self, stream: IO[bytes], size: int, question: list[Any]) -> None:
        """Lay foreign bytes before it, small ones beside the question, and ask."""
        if self._given is not None:
            self._ask([*question, None])
            return
        if size < _SMALL:
            self._ask([*question, stream.read()])
            return
        os.ftruncate(self._foreign, 0)
        os.lseek(self._foreign, 0, os.SEEK_SET)
        while piece := stream.read(_PIECE):
            view = memoryview(piece)
            while view:
                view = view[os.write(self._foreign, view) :]
        self._ask([*question, None])

    def _ask(self, message: list[Any]) -> None:
        with suppress(BrokenPipeError):  # then there is no answer
            send(self.process.input, message)

    def hear(self, until: float) -> list[Any] | None:
        """The next message; None when it is gone. Raises TimeoutError, MemoryError."""
        head = self._exactly(4, until)
        size = int.from_bytes(head, "big") if head else 0
        if size > _LONGEST:
            raise MemoryError
        body = self._exactly(size, until) if head else None
        if body is None:
            return None
        with suppress(ValueError, msgpack.UnpackException):
            message = msgpack.unpackb(body)
            if isinstance(message, list) and message:
                return message
        return None

    def _exactly(self, size: int, until: float) -> bytes | None:
        parts = []
        while size:
            left = until - time.monotonic()
            if left <= 0 or not self._waiting.poll(left * 1000):
                raise TimeoutError
            part = os.read(self.process.output, min(size, _PIECE))
            if not part:
                return None
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def end(self) -> str:
        """Kill it; how it had ended."""
        if self._ended is None:
            status = self.process.end(kill=True)
            os.close(self.process.output)
            os.close(self._foreign)
            self._ended = f"signal {-status}" if status < 0 else f"exit status {status}"
        return self._ended


def _number(stream: IO[bytes]) -> int | None:
    """Of a file that stands at its begin and can only be read; none for what is no such file."""
    try:
        import fcntl

        number = stream.fileno()
        read_only = fcntl.fcntl(number, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY
        return number if read_only and stream.tell() == 0 else None
    except (OSError, AttributeError, ImportError):
        return None


def _unnamed(theirs: list[int], given: int | None) -> int:
    """Two files without a name: the foreign bytes, ours to write and theirs to read, and a scratch of theirs."""
    ours, path = tempfile.mkstemp(prefix="casstore-foreign-")
    try:
        with open(path, "rb") as foreign, tempfile.TemporaryFile(prefix="casstore-scratch-") as scratch:
            numbers = (foreign.fileno() if given is None else given, scratch.fileno())
            theirs += map(_above, numbers)
    finally:
        os.unlink(path)
    return ours


def _above(number: int) -> int:
    """The same file under a number that a cell does not use itself."""
    try:
        import fcntl
    except ImportError:  # where numbers are not handed on
        return os.dup(number)
    return fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, _FREE)


def _variables() -> dict[str, str]:
    """What an interpreter may need to start at all; a cell needs nothing else of ours."""
    kept = {name: os.environ[name] for name in ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH") if name in os.environ}
    return {**kept, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
