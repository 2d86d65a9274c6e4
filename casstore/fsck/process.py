"""A worker of a check as a process of its own: this is what runs there, started by `team`.

It looks into the index that its parent has opened: whether each row of a pack is there and
right, and whether everything that a folder names is known.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from casstore.fsck.worker import PartWorker
from casstore.index import IndexDoubt
from casstore.index.compare import Rows, attach_rows
from casstore.machine.workers import Ended, begin, receive, send, tell_error
from casstore.objects.packs import LocalPacks


def main() -> int:
    """Read the set-up, then parts; answer each with what was found."""
    setup = begin()
    if isinstance(setup, Ended):
        return 0
    try:
        worker = PartWorker(LocalPacks(setup["store"]), _rows(setup["index"]))
        while not isinstance(task := receive(0), Ended):
            send(1, ["done", list(worker.check(*task))])
    except BaseException as exc:
        tell_error(exc)
        return 1
    return 0


def _rows(path: str) -> Callable[[], AbstractContextManager[Rows]]:
    try:
        rows = attach_rows(path)
    except IndexDoubt as exc:
        doubt = exc

        def refuse() -> AbstractContextManager[Rows]:
            raise doubt

        return refuse
    return lambda: nullcontext(rows)
