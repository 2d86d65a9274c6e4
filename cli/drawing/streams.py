"""Standard output and standard error as they are found: of any encoding, full, broken off or closed.

Promises: no character is refused (what the terminal's encoding has not is escaped); data that could
not be written is an error, never silence; talk that nobody can hear is dropped, and never gets
among the data. Leaves to others: what is said (`render`).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from attest.errors import CasstoreError


class OutputLost(CasstoreError):
    """The result could not be written to standard output; what was done is done."""

    exit_code = 12


class ReaderGone(Exception):
    """Whoever read standard output (`head`) has had enough; nothing needs to be told."""


def data(text: str) -> None:
    """To standard output. Raises OutputLost, ReaderGone."""
    with _output() as out:
        out.write(_fitting(text, out))


def raw(given: bytes) -> None:
    """Bytes to standard output, after the text before them. Raises OutputLost, ReaderGone."""
    with _output() as out:
        out.flush()
        out.buffer.write(given)


def flush() -> None:
    """Everything that was written is out. Raises OutputLost, ReaderGone."""
    if sys.stdout is not None:
        with _output() as out:
            out.flush()


def talk(text: str) -> None:
    """To standard error, at once; dropped where nobody listens."""
    err = sys.stderr
    if err is None:
        return
    try:
        err.write(_fitting(text, err))
        err.flush()
    except OSError:  # full, or broken off: the work goes on, its exit code tells
        _drop(err)


def hold_places() -> None:
    """Each of the descriptors 0, 1 and 2 is taken, so that no file of a store comes to lie there."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest that is free


@contextmanager
def _output() -> Iterator[TextIO]:
    out = sys.stdout
    if out is None:
        raise OutputLost("standard output is closed: the result cannot be told", hint=_DONE)
    try:
        yield out
    except BrokenPipeError as exc:
        _drop(out)
        raise ReaderGone from exc
    except OSError as exc:
        _drop(out)
        raise OutputLost(f"standard output: {exc.strerror}: the result cannot be told", hint=_DONE) from exc


_DONE = "what was asked for was done as far as it came; mend the output and run it again"


def _fitting(text: str, stream: TextIO) -> str:
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def _drop(stream: TextIO) -> None:
    """It goes nowhere from now on, so that the end of the process does not try it once more."""
    try:
        place = os.open(os.devnull, os.O_WRONLY)
        os.dup2(place, stream.fileno())
        os.close(place)
    except (OSError, ValueError):  # no descriptor behind it
        return
