"""The one place that writes to the terminal: data to stdout, talk to stderr.

Data is text for people or, with --json, exactly one JSON object. Talk is plain lines that read
well without colour. rich is imported only for tables and bars on a terminal.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

_REDRAW_SECONDS = 0.1
_CONTROL = {c: f"\\x{c:02x}" for c in [*range(0x20), *range(0x7F, 0xA0)] if c != 0x0A}


def clean(text: str) -> str:
    """Text with control bytes escaped: a file name must not steer a terminal."""
    return text.translate(_CONTROL).encode("utf-8", "backslashreplace").decode()


def line(text: str) -> None:
    """One line of data."""
    print(clean(text))


def raw(data: bytes) -> None:
    """Bytes of data, as they are."""
    sys.stdout.buffer.write(data)


def flush() -> None:
    """Push out what `raw` wrote."""
    sys.stdout.buffer.flush()


def json_object(value: Mapping[str, Any]) -> None:
    """The one JSON object of a command."""
    import json

    print(json.dumps(value, indent=2, ensure_ascii=True, sort_keys=False))


def say(text: str) -> None:
    """One line of talk."""
    print(clean(text), file=sys.stderr, flush=True)


def error(message: str, *, hint: str = "") -> None:
    """`error: ...` and, where there is one, `hint: ...`."""
    say(f"error: {' '.join(message.splitlines())}")
    if hint:
        say(f"hint: {' '.join(hint.splitlines())}")


def warning(message: str) -> None:
    """`warning: ...`"""
    say(f"warning: {message}")


def table(headers: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Columns, aligned, no frame; the same in a pipe and on a terminal."""
    cells = [[clean(str(cell)) for cell in row] for row in rows]
    if not cells:
        return
    widths = [max(len(h), *(len(r[i]) for r in cells)) for i, h in enumerate(headers)]
    for row in [list(headers), *cells]:
        print("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip())


def size(count: int) -> str:
    """Bytes for people: 1.5 MiB."""
    value = float(count)
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if value < 1024 or unit == "TiB":
            return f"{int(value)} B" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    raise AssertionError


def seconds(value: float) -> str:
    """A duration for people: 12 ms, 3.4 s."""
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.1f} s"


def interactive() -> bool:
    """Whether a person can be asked and shown bars."""
    return sys.stderr.isatty() and sys.stdin.isatty() and not os.environ.get("CI")


def ask(question: str) -> bool:
    """A question to the person at the terminal; an empty answer is yes, the end of input is no."""
    print(f"{clean(question)} [Y/n] ", end="", file=sys.stderr, flush=True)
    answer = sys.stdin.readline()
    return answer != "" and answer.strip().lower() in ("", "y", "yes")


class Bar:
    """A progress bar on a terminal, nothing in a pipe; the shape of `casstore.machine.progress.Progress`."""

    def __init__(self) -> None:
        self.shown = sys.stderr.isatty()
        self._progress: Any = None
        self._task: Any = None
        self._done = self._new = self._files = 0
        self._total_files: int | None = None
        self._told = 0.0

    def start(self, what: str, total_files: int | None, total_bytes: int | None) -> None:
        """Begin a phase; None is a total that is not known yet."""
        self.finish()
        self._done = self._new = self._files = 0
        self._total_files = total_files
        if not self.shown:
            return
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )

        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=10),
            DownloadColumn(binary_units=True),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            console=Console(stderr=True),
            transient=True,
        )
        self._progress.start()
        self._task = self._progress.add_task(clean(what), total=total_bytes, note="")

    def advance(self, files: int, bytes: int, new_bytes: int) -> None:  # noqa: A002 (the protocol's word)
        """Count on; told some times a second, for drawing costs more than most steps of the work."""
        self._files += files
        self._done += bytes
        self._new += new_bytes
        if self._progress is not None and (now := time.monotonic()) - self._told > _REDRAW_SECONDS:
            self._told = now
            total = f"/{self._total_files}" if self._total_files else ""
            note = f"{self._files}{total} files, {size(self._new)} new"
            self._progress.update(self._task, completed=self._done, note=note)

    def expect(self, files: int, bytes: int) -> None:  # noqa: A002 (the protocol's word)
        """Totals that have become known."""
        self._total_files = files
        drawn = self._progress  # another thread may end it now
        if drawn is not None:
            drawn.update(self._task, total=bytes)

    def finish(self) -> None:
        """End the phase and clear its line."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None


@contextmanager
def bar() -> Iterator[Bar]:
    """A Bar that is cleared however the block ends."""
    shown = Bar()
    try:
        yield shown
    finally:
        shown.finish()
