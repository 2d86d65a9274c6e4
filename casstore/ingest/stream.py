"""Files named one by one, each acknowledged as soon as it is durable.

What has arrived is taken together: a fast producer shares one pack, one fsync and one index
transaction among many files, a slow one waits for nobody. A path that cannot be kept is an
outcome of its own, and the others go on; a store that cannot be written to ends it all.

    stream = StreamIntake(catalog, packs, level=1)
    for outcome in stream.put([b"/build/a", b"/build/b"]):
        outcome.digest or outcome.error
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from attest.core.values import dataclass
from attest.digests import Digest, from_raw
from casstore.errors import UnsupportedInput
from casstore.index.catalog import Catalog
from casstore.ingest.files import look
from casstore.ingest.worker import Worker
from casstore.objects.packs import Packs
from casstore.objects.tree import show

MOST_FILES = 4096
MOST_BYTES = 256 * 1024 * 1024
"""A batch ends when it holds this much, so that nobody waits long for the first acknowledgement."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one path: its digest, durable, or why it was not kept."""

    path: bytes
    digest: Digest | None
    error: UnsupportedInput | None = None


class StreamIntake:
    """Batches of paths in, outcomes out."""

    def __init__(self, catalog: Catalog, packs: Packs, level: int) -> None:
        self._catalog = catalog
        self._packs = packs
        self._level = level
        self.new_packs: list[bytes] = []
        """Names of the large packs that were made."""
        self.met_known = False
        """Whether some content was there already, or came twice."""

    def put(self, paths: Sequence[bytes]) -> Iterator[Outcome]:
        """Outcomes in the order of the paths. Raises StorageUnavailable; what was yielded before is durable."""
        batch: list[bytes] = []
        size = 0
        for path in paths:
            batch.append(path)
            size += _size(path)
            if len(batch) >= MOST_FILES or size >= MOST_BYTES:
                yield from self._batch(batch)
                batch, size = [], 0
        if batch:
            yield from self._batch(batch)

    def _batch(self, paths: Sequence[bytes]) -> list[Outcome]:
        index = self._catalog.index
        with index.reader() as known:
            worker = Worker(b"", self._level, self._packs, self._catalog.known(known.get), index.large_sizes())
            try:
                outcomes = [_one(worker, path) for path in paths]
                done = worker.finish()
            except BaseException:
                worker.abandon()
                raise
        self._catalog.learn(done.packs)
        self._catalog.staged.add(done.sealed)
        self.new_packs += done.packs
        self.met_known |= done.new_files < sum(outcome.digest is not None for outcome in outcomes)
        return outcomes


def _one(worker: Worker, path: bytes) -> Outcome:
    try:
        folder, name = os.path.split(os.path.join(os.getcwdb(), path))
        folder = os.path.realpath(folder)
        answer = worker.take([[folder.lstrip(b"/"), [name], _signature(path)]])
    except UnsupportedInput as exc:
        return Outcome(path, None, exc)
    return Outcome(path, from_raw(answer.digests))


def _signature(path: bytes) -> bytes:
    if not os.path.lexists(path):
        raise UnsupportedInput(f"{show(path)}: no such file")
    if os.path.isdir(path) and not os.path.islink(path):
        raise UnsupportedInput(f"{show(path)}: is a folder", hint="name its files, or put the folder as a tree")
    return look(path)[0]


def _size(path: bytes) -> int:
    try:
        return os.lstat(path).st_size
    except OSError:
        return 0
