"""A worker of a checkout as a process of its own; `team` starts it."""

from __future__ import annotations

from casstore.checkout.plan import Item, Job
from casstore.checkout.writing import write_job
from casstore.packs import LocalPacks
from casstore.workers import Ended, begin, receive, send, tell_error


def main() -> int:
    """Read the set-up, then lists of jobs; answer each with what failed."""
    setup = begin()
    if isinstance(setup, Ended):
        return 0
    packs = LocalPacks(setup["store"])
    top, masked = setup["top"], setup["masked"]
    try:
        while not isinstance(batch := receive(0), Ended):
            failed = []
            for number, (pack, pieces, items) in enumerate(batch):
                job = Job(pack, pieces, [Item(*item) for item in items])
                failed += [(number, at) for at in write_job(packs.read, top, job, masked=masked)]
            send(1, ["done", failed])
    except BaseException as exc:
        tell_error(exc)
        return 1
    return 0
