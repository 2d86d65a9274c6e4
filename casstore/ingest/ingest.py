"""One put of a folder, from the walk to the tree; the order of its steps is the promise.

Packs of files become durable first, then the pack of trees, then one index transaction;
only then is the tree's digest reported. A failure anywhere leaves nothing but packs that
hold whole objects, and temporary files that are removed here or by a later open.

    report = Intake(catalog, packs, level=1).put_tree(b"/work", Selection())
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from attest.digests import Digest, from_raw
from casstore.catalog import Catalog
from casstore.ingest.crew import Crew, Inline
from casstore.ingest.files import size_of
from casstore.ingest.trees import TreeBuilder
from casstore.ingest.walk import Folder
from casstore.ingest.worker import Answer, Done, Worker
from casstore.objects.pack_writer import PackWriter
from casstore.packs import Packs, wrapped

if TYPE_CHECKING:
    from casstore.progress import Progress

_BATCH_FILES = 256
_BATCH_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class IngestOptions:
    """How a put is done; never what it gives."""

    workers: int = 0
    """0 = by the number of processors and files."""
    stat_cache: bool = True


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What a put did. `bytes` of `files` read or known; `new_*` were not in the store before."""

    tree: Digest
    files: int
    bytes: int
    new_files: int
    new_bytes: int
    stored_bytes: int
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Plain values, keys in camelCase."""
        return {
            "tree": self.tree,
            "files": self.files,
            "bytes": self.bytes,
            "newFiles": self.new_files,
            "newBytes": self.new_bytes,
            "storedBytes": self.stored_bytes,
            "seconds": round(self.seconds, 3),
        }


class Intake:
    """One put; used once."""

    def __init__(
        self,
        root: bytes,
        catalog: Catalog,
        packs: Packs,
        level: int,
        options: IngestOptions,
        progress: Progress,
    ) -> None:
        self._root = root
        self._catalog = catalog
        self._packs = packs
        self._level = level
        self._options = options
        self._progress = progress
        self._files = self._bytes = 0
        self.packs: list[bytes] = []

    def put(self, folders: Iterator[Folder], keep_empty: Callable[[bytes], bool]) -> IngestReport:
        """Take in these folders. Raises UnsupportedInput, StorageUnavailable; then nothing is stored half."""
        started = time.monotonic()
        with self._catalog.index.reader() as known:
            trees = TreeBuilder(known.get, self._new_writer, keep_empty)
            worker = Worker(self._root, self._level, self._packs, known.get, self._catalog.index.large_sizes())
            crew = Inline(worker)
            try:
                done = self._run(folders, crew, trees)
                stored = self._finish_trees(trees)
            except BaseException:
                crew.abort()
                if trees.writer is not None:
                    trees.writer.abandon()
                raise
        self._catalog.learn(self.packs)
        assert trees.root is not None  # noqa: S101  the top folder is settled last
        return IngestReport(
            from_raw(trees.root),
            self._files,
            self._bytes,
            sum(one.new_files for one in done),
            sum(one.new_bytes for one in done),
            sum(one.stored_bytes for one in done) + stored,
            time.monotonic() - started,
        )

    def _run(self, folders: Iterator[Folder], crew: Crew, trees: TreeBuilder) -> list[Done]:
        desk = _Desk(crew, trees, self._advance)
        for folder in folders:
            self._files += len(folder.names)
            desk.add(folder)
        desk.flush()
        done = crew.finish()
        for one in done:
            self.packs += one.packs
        return done

    def _advance(self, files: int, size: int, new: int) -> None:
        self._bytes += size
        self._progress.advance(files, size, new)

    def _finish_trees(self, trees: TreeBuilder) -> int:
        if trees.writer is None:
            return 0
        with wrapped(trees.writer.path):
            sealed = trees.writer.finish()
        stored = self._packs.adopt(sealed)
        self.packs.append(sealed.name)
        return stored

    def _new_writer(self) -> PackWriter:
        path = self._packs.new_path()
        with wrapped(path):
            return PackWriter(path, level=self._level, nonce=os.urandom(16))


class _Desk:
    """Hands files out to the crew and digests back to their folders."""

    def __init__(self, crew: Crew, trees: TreeBuilder, advance: Callable[[int, int, int], None]) -> None:
        self._crew = crew
        self._trees = trees
        self._advance = advance
        self._open: list[list[tuple[Folder, list[int]]]] = [[] for _ in range(crew.size)]
        self._load = [[0, 0] for _ in range(crew.size)]
        self._total = [0] * crew.size
        self._sent: list[deque[list[tuple[Folder, list[int]]]]] = [deque() for _ in range(crew.size)]
        self._by_size: dict[int, int] = {}

    def add(self, folder: Folder) -> None:
        """A folder from the walk: its files go to the workers of their sizes."""
        folder.pending += len(folder.names)
        if not folder.pending:
            self._trees.settle(folder)
            return
        parts: list[list[int]] = [[] for _ in range(self._crew.size)]
        for at, sign in enumerate(folder.signs):
            parts[self._worker_of(size_of(sign))].append(at)
        for number, part in enumerate(parts):
            if part:
                self._open[number].append((folder, part))
                load = self._load[number]
                load[0] += len(part)
                load[1] += sum(size_of(folder.signs[at]) for at in part)
                if load[0] >= _BATCH_FILES or load[1] >= _BATCH_BYTES:
                    self._send(number)

    def flush(self) -> None:
        """Send what is left and wait for every answer."""
        for number in range(self._crew.size):
            self._send(number)
        while any(self._sent):
            self._collect(wait=True)

    def _worker_of(self, size: int) -> int:
        number = self._by_size.get(size)
        if number is None:
            number = self._total.index(min(self._total))
            self._by_size[size] = number
        self._total[number] += size + 8192
        return number

    def _send(self, number: int) -> None:
        parts = self._open[number]
        if not parts:
            return
        batch = [
            [folder.path, [folder.names[at] for at in part], b"".join([folder.signs[at] for at in part])]
            for folder, part in parts
        ]
        self._sent[number].append(parts)
        self._open[number] = []
        self._load[number] = [0, 0]
        self._crew.send(number, batch)
        self._collect(wait=False)

    def _collect(self, *, wait: bool) -> None:
        for number, answer in self._crew.answers(wait=wait):
            self._enter(self._sent[number].popleft(), answer)

    def _enter(self, parts: list[tuple[Folder, list[int]]], answer: Answer) -> None:
        changed = {at: (sign, mode) for at, sign, mode in answer.changed}
        total = offset = 0
        for folder, part in parts:
            for at in part:
                if offset in changed:
                    folder.signs[at], mode = changed[offset]
                    folder.executable[at] = mode & 0o100 != 0
                folder.digests[at] = answer.digests[offset * 32 : offset * 32 + 32]
                total += size_of(folder.signs[at])
                offset += 1
            folder.pending -= len(part)
            if not folder.pending:
                self._trees.settle(folder)
        self._advance(offset, total, answer.new_bytes)
