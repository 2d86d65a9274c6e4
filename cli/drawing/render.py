"""The one place that writes to the terminal: data to stdout, talk to stderr.

Data is text for people or, with --json, exactly one JSON object. Talk is plain lines that read
well without colour. rich is imported only for tables and bars on a terminal.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Any, TextIO

from attest.core.shown import shown
from cli.drawing import streams
from cli.drawing.hiding import hidden, plain

_REDRAW_SECONDS = 0.1


def line(text: str) -> None:
    """One line of data; whatever stands in it, it stays one."""
    streams.data(shown(plain(text)) + "\n")


def lines(text: str) -> None:
    """Data that has line ends of its own: help, a document."""
    for one in text.split("\n"):
        line(one)


def page(text: str) -> None:
    """A page in Markdown: drawn on a terminal, as it is written in a pipe."""
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.markdown import Markdown

        Console().print(Markdown("\n".join(map(shown, text.split("\n")))))
    else:
        lines(text.rstrip())


def paged(rows: Iterable[str]) -> None:
    """Data that a person reads at once: by their pager (PAGER, else less) where it is more than fits on the screen."""
    import shutil

    told = [shown(plain(row)) for row in rows]
    if not on_terminal() or len(told) < shutil.get_terminal_size().lines:
        for row in told:
            streams.data(row + "\n")
        return
    import click

    streams.flush()
    click.echo_via_pager(row + "\n" for row in told)


def raw(data: bytes) -> None:
    """Bytes of data, as they are."""
    streams.raw(data)


def flush() -> None:
    """Push out what was written."""
    streams.flush()


def json_object(value: Mapping[str, Any]) -> None:
    """The one JSON object of a command."""
    import json

    streams.data(json.dumps(value, indent=2, ensure_ascii=True, sort_keys=False) + "\n")


def say(text: str) -> None:
    """One line of talk; whatever stands in it, it stays one."""
    streams.talk(shown(hidden(text)) + "\n")


def error(message: str, *, hint: str = "") -> None:
    """`error: ...` and, where there is one, `hint: ...`."""
    say(f"error: {message}")
    if hint:
        say(f"hint: {hint}")


def warning(message: str) -> None:
    """`warning: ...`"""
    say(f"warning: {message}")


def table(headers: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Columns, aligned, no frame; the same in a pipe and on a terminal."""
    kept = list(rows)
    long_table(headers, lambda: kept)


def long_table(headers: Sequence[str], rows: Callable[[], Iterable[Sequence[object]]]) -> None:
    """As `table`, of rows that are asked for twice and not kept."""
    widths: list[int] = []
    for row in rows():
        lengths = [len(_cell(cell)) for cell in row]
        widths = list(map(max, widths or map(len, headers), lengths))
    for line in chain([headers], rows()) if widths else ():
        cells = (_cell(cell).ljust(width) for cell, width in zip(line, widths, strict=True))
        streams.data("  ".join(cells).rstrip() + "\n")


def _cell(value: object) -> str:
    return shown(plain(str(value)))


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


def named(text: str) -> str:
    """A value in a prompt that another library writes."""
    return shown(hidden(text))


def interactive() -> bool:
    """Whether a person can be asked and shown bars."""
    return _on_terminal(sys.stderr) and _on_terminal(sys.stdin) and not os.environ.get("CI")


def on_terminal() -> bool:
    """Whether a person reads the data."""
    return _on_terminal(sys.stdout)


def _on_terminal(stream: TextIO | None) -> bool:
    try:
        return stream is not None and stream.isatty()
    except ValueError:  # closed meanwhile
        return False


def ask(question: str, *, default: bool = True) -> bool:
    """A question to the person at the terminal; an empty answer is the default, the end of input is no."""
    streams.talk(f"{shown(question)} [{'Y/n' if default else 'y/N'}] ")
    answer = sys.stdin.buffer.readline().decode("utf-8", "replace") if sys.stdin is not None else ""
    return answer != "" and answer.strip().lower() in (("", "y", "yes") if default else ("y", "yes"))


class Bar:
    """A progress bar on a terminal, nothing in a pipe; the shape of `casstore.machine.progress.Progress`."""

    def __init__(self) -> None:
        self.shown = _on_terminal(sys.stderr)
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
        self._task = self._progress.add_task(shown(what), total=total_bytes, note="")

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
