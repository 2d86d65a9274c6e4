"""A worker of a check as a process of its own: this is what runs there, started by `team`.

It looks into the index that its parent has opened: whether each row of a pack is there and
right, and whether everything that a folder names is known.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from casstore.fsck.worker import PartWorker
from casstore.index import IndexDoubt
from casstore.index.compare import Rows, attach_rows
from casstore.machine.workers import serve
from casstore.objects.packs import LocalPacks


def main() -> int:
    """Parts; answers each with what was found."""
    return serve(_checking)


def _checking(setup: Any) -> Callable[[Any], Any]:
    worker = PartWorker(LocalPacks(setup["store"]), _rows(setup["index"]))
    return lambda task: list(worker.check(*task))


def _rows(path: str) -> Callable[[], AbstractContextManager[Rows]]:
    try:
        rows = attach_rows(path)
    except IndexDoubt as exc:
        doubt = exc

        def refuse() -> AbstractContextManager[Rows]:
            raise doubt

        return refuse
    return lambda: nullcontext(rows)
