"""A call that is left to itself when its time is out: what no time-out of a library ends.

A server that sends a byte now and then keeps any library waiting, whose limit is for one read alone.

    within(60, lambda: fetch(url))      # what it gives or raises, or NotEnded
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn, TypeVar

_T = TypeVar("_T")


class NotEnded(TimeoutError):
    """The time was out, and not that of one read inside."""


def within(seconds: float, act: Callable[[], _T]) -> _T:
    """What it gives or raises. Raises NotEnded where its time is out; its thread goes on by itself."""
    import queue
    import threading

    outcome: queue.SimpleQueue[Callable[[], _T]] = queue.SimpleQueue()

    def run() -> None:
        try:
            found = act()
        except BaseException as exc:
            error = exc  # the name in `except` ends with it
            outcome.put(lambda: _raise(error))
        else:
            outcome.put(lambda: found)

    threading.Thread(target=run, daemon=True).start()
    try:
        told = outcome.get(timeout=seconds)
    except queue.Empty:
        raise NotEnded(f"no whole answer in {seconds:g} s") from None
    return told()


def _raise(error: BaseException) -> NoReturn:
    raise error
