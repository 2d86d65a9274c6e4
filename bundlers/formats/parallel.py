"""Work on a stream's pieces in threads, results in order, a bounded number under way."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

_A = TypeVar("_A")
_B = TypeVar("_B")


def in_order(work: Callable[[_A], _B], items: Iterable[_A], workers: int) -> Iterator[_B]:
    """`map` with threads; the order and the results do not depend on `workers`."""
    if workers <= 1:
        yield from map(work, items)
        return
    waiting: deque[Future[_B]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) > 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
