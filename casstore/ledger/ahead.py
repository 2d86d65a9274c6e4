"""Reads what the next entries name, parses it and verifies its signatures, in other processes while entries are folded.

Promises: the fold is the same with workers and without, and so is what it raises and when: a worker hands back bytes
whose digest it checked, and facts (`facts`), never a verdict; what it cannot find or verify it leaves out. None is
started for few entries, nor where the packs are not in a folder. One that is ended from outside stops the fold.

    with closing(entries(first, rest, reader.recent, roots)) as following: ...
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterable, Iterator, Sequence
from operator import length_hint
from typing import Any

from attest.digests import from_raw, to_raw
from attest.errors import CasstoreError
from attest.trust import trust_roots
from attest.trust.trust_roots import TrustRoot
from casstore.ledger import facts
from casstore.ledger.entries import ROOTS, Entry
from casstore.ledger.rules.recent import Recent
from casstore.machine.team import share, started
from casstore.machine.workers import WorkerProcess, processors

LEAST = 2_000
"""Of fewer entries a worker's start costs more than it saves."""
_BATCH = 128
_MOST = 3
"""The fold itself keeps no more of them busy."""


def entries(
    first: Entry, rest: Iterator[Entry], recent: Recent, roots: Iterable[TrustRoot]
) -> Generator[Entry, None, None]:
    """The same entries; what each one needs is mostly in `recent` when it is its turn. Raises what a worker raised."""
    lent = getattr(recent.objects, "lent", None)
    if lent is None or length_hint(rest) < LEAST or processors() < 2:
        yield first
        yield from rest
        return
    todo, ended_well = [first, *rest], False
    setup = {**lent, "pems": sorted(_pems(todo, recent, roots))}
    processes = started("casstore.ledger.ahead_process", setup, min(processors(), _MOST))
    try:
        yield from _told(todo, recent, processes)
        ended_well = True
    finally:
        for process in processes:
            process.end(kill=not ended_well)


def _told(todo: Sequence[Entry], recent: Recent, processes: Sequence[WorkerProcess]) -> Iterator[Entry]:
    starts = range(0, len(todo), _BATCH)
    tasks: Iterator[tuple[int, list[bytes]]] = (
        (start, [to_raw(one.statement) for one in todo[start : start + _BATCH]]) for start in starts
    )
    answers = share(processes, lambda _: next(tasks, None))
    arrived: dict[int, Any] = {}
    for start in starts:
        while processes and start not in arrived:
            task, answer = next(answers)
            arrived[task[0]] = answer
        for raw, data, row in arrived.pop(start, ()):
            recent.keep(from_raw(raw), data)
            if row is not None:
                facts.learn(data, row)
        yield from todo[start : start + _BATCH]


def _pems(todo: Iterable[Entry], recent: Recent, roots: Iterable[TrustRoot]) -> set[bytes]:
    """The keys of all trust roots, those to come with them: whether they count is not asked here."""
    known = list(roots)
    for entry in todo:
        if entry.kind in ROOTS:
            with contextlib.suppress(CasstoreError):  # it is judged when it is its turn
                known.append(trust_roots.parse_payload(trust_roots.payload_of(recent.read(entry.statement))))
    return {one.public_pem for root in known for one in root.identities if one.public_pem is not None}
