"""A worker of a checkout as a process of its own; `team` shares the work out."""

from __future__ import annotations

import os

from casstore.checkout.writing import Find, RegionWriter
from casstore.index.attach import attach_spots
from casstore.index.rows import IndexDoubt
from casstore.machine.workers import Ended, begin, receive, send, tell_error
from casstore.objects.packs import LocalPacks


def main() -> int:
    """Read the set-up, then regions; answer each with what failed."""
    setup = begin()
    if isinstance(setup, Ended):
        return 0
    try:
        top = os.open(setup["top"], os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        writer = RegionWriter(LocalPacks(setup["store"]).read, _spots(setup["index"]), top, masked=setup["masked"])
        while not isinstance(region := receive(0), Ended):
            send(1, ["done", writer.write(region)])
    except BaseException as exc:
        tell_error(exc)
        return 1
    return 0


def _spots(index: str) -> Find:
    """Where objects lie; nowhere when the index was replaced meanwhile: then the parent writes the files itself."""
    try:
        return attach_spots(index)
    except IndexDoubt:
        return lambda _: None
