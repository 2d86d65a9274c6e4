"""One put of a folder, from the walk to the tree; the order of its steps is the promise.

Large packs of files become durable at once; the others, and the pack of trees, are whole then and left to
`objects.staging`, which makes one durable pack of them. Only after that may the tree's digest be reported, and
`cache` be saved. A failure anywhere leaves nothing but packs that hold whole objects, and temporary files that
are removed here or by a later open.

    intake = Intake(root, catalog, packs, level=1, options=IngestOptions(), progress=NullProgress())
    report = intake.put(walk(root, selection), selection)
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from attest.digests import from_raw
from casstore.index.catalog import Catalog
from casstore.ingest import mounts
from casstore.ingest.crew import Crew, Inline, Processes, Setup, Threads
from casstore.ingest.desk import Desk
from casstore.ingest.globs import Selection
from casstore.ingest.reports import IngestOptions, IngestReport
from casstore.ingest.stat_cache import StatCache, file_system_now, path_for
from casstore.ingest.trees import TreeBuilder
from casstore.ingest.walk import Folder
from casstore.ingest.worker import Done, Worker
from casstore.machine import user_secrets
from casstore.machine.workers import processors
from casstore.objects.pack_writer import PackWriter, SealedPack
from casstore.objects.packs import LocalPacks, Packs, wrapped

if TYPE_CHECKING:
    from casstore.machine.progress import Progress

_MANY_FILES = 200
"""From here on worker processes pay for their start."""
_MUCH = 16 * 1024 * 1024
"""Bytes from which on threads pay."""


class Intake:
    """One put; used once."""

    def __init__(
        self, root: bytes, catalog: Catalog, packs: Packs, level: int, options: IngestOptions, progress: Progress
    ) -> None:
        self._root = root
        self._catalog = catalog
        self._packs = packs
        self._level = level
        self._options = options
        self._progress = progress
        self._files = self._bytes = 0
        self._waiting: list[tuple[Folder, list[int]]] = []
        self._waiting_files = self._waiting_bytes = 0
        self._crew: Crew | None = None
        self.packs: list[bytes] = []
        """Names of the large packs that this put has made durable."""
        self.sealed: list[SealedPack] = []
        """The other packs that it has made."""
        self.cache: StatCache | None = None
        """What it has learned of the workspace, to be saved when all is durable."""

    def put(self, folders: Iterator[Folder], selection: Selection) -> IngestReport:
        """Take in these folders. Raises UnsupportedInput, StorageUnavailable; then nothing is stored half."""
        started = time.monotonic()
        self._progress.start("put", None, None)
        self.cache = self._open_cache(selection.key)
        with self._catalog.index.reader() as known:
            trees = TreeBuilder(self._catalog.known(known.get), self._new_writer, selection.takes, self.cache)
            try:
                done = self._run(folders, trees)
                stored = self._finish_trees(trees)
            except BaseException:
                self._abort(trees)
                raise
        self._catalog.learn(self.packs)
        if self.cache is not None:
            self.cache.complete()
        self._progress.finish()
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

    def _run(self, folders: Iterator[Folder], trees: TreeBuilder) -> list[Done]:
        """Walk and work at the same time, once it is clear that there is work for several."""
        for folder, wanted in self._unknown(folders, trees):
            self._hold(folder, wanted)
            if self._waiting_files >= _MANY_FILES:
                break
        if not self._waiting:
            return []
        self._crew = self._hire()
        desk = Desk(self._crew, trees.settle, self._advance)
        for folder, wanted in self._waiting:
            desk.add(folder, wanted)
        self._waiting.clear()
        for folder, wanted in self._unknown(folders, trees):
            desk.add(folder, wanted)
        desk.flush()
        done = self._crew.finish()
        for one in done:
            self.packs += one.packs
            self.sealed += one.sealed
        return done

    def _unknown(self, folders: Iterator[Folder], trees: TreeBuilder) -> Iterator[tuple[Folder, list[int]]]:
        """The folders of which files must be read, and which files; the others are settled here."""
        for folder in folders:
            wanted = self._wanted(folder)
            folder.pending += len(wanted)
            if wanted:
                yield folder, wanted
            elif not folder.pending:
                trees.settle(folder)

    def _hold(self, folder: Folder, wanted: list[int]) -> None:
        self._waiting.append((folder, wanted))
        self._waiting_files += len(wanted)
        self._waiting_bytes += sum(folder.sizes[at] for at in wanted)

    def _wanted(self, folder: Folder) -> list[int]:
        """The files of a folder that must be read; what is known of the others is entered here."""
        count = len(folder.names)
        self._files += count
        record = self.cache.find(folder.path) if self.cache is not None and not folder.foreign else None
        if record is None:
            folder.digests = [None] * count
            return list(range(count))
        if record.all_known(folder.names, folder.signs):
            folder.record = record
            self._advance(count, sum(folder.sizes), 0)
            return []
        folder.digests = record.known(folder.names, folder.signs)
        wanted = [at for at, digest in enumerate(folder.digests) if digest is None]
        if len(wanted) < count:
            size = sum(folder.sizes) - sum(folder.sizes[at] for at in wanted)
            self._advance(count - len(wanted), size, 0)
        return wanted

    def _hire(self) -> Crew:
        size = self._options.workers or processors()
        index = self._catalog.index
        if size > 1 and self._waiting_files >= _MANY_FILES and isinstance(self._packs, LocalPacks):
            large = tuple(index.large_sizes())
            setup = Setup(
                self._root,
                self._packs.root,
                str(self._packs.durability),
                self._level,
                index.path if index.count() else None,
                large,
                tuple(self._catalog.staged.digests()),
            )
            try:
                return Processes(setup, size)
            except OSError:
                pass  # no interpreter to start: this one does it alone
        if size > 1 and len(self._waiting) and self._waiting_bytes >= _MUCH:
            return Threads([self._worker() for _ in range(size)])
        return Inline(self._worker())

    def _worker(self) -> Worker:
        index = self._catalog.index
        return Worker(self._root, self._level, self._packs, self._catalog.known(index.get), index.large_sizes())

    def _advance(self, files: int, size: int, new: int) -> None:
        self._bytes += size
        self._progress.advance(files, size, new)

    def _finish_trees(self, trees: TreeBuilder) -> int:
        if trees.writer is None:
            return 0
        with wrapped(trees.writer.path):
            sealed = trees.writer.finish()
        self.sealed.append(sealed)
        return sealed.size

    def _new_writer(self) -> PackWriter:
        path = self._packs.new_path()
        with wrapped(path):
            return PackWriter(path, level=self._level, nonce=os.urandom(16))

    def _open_cache(self, selection: bytes) -> StatCache | None:
        secret = user_secrets.own_or_none() if self._options.stat_cache else None
        system = mounts.identity(self._root)
        if secret is None or system is None:
            return None
        folder = self._catalog.folder
        epoch = self._catalog.ask(lambda index: index.epoch())
        return StatCache.load(path_for(folder, self._root, selection + system), epoch, file_system_now(folder), secret)

    def _abort(self, trees: TreeBuilder) -> None:
        if self._crew is not None:
            self._crew.abort()
        if self.cache is not None:
            self.cache.close()
        for sealed in self.sealed:
            with contextlib.suppress(OSError):
                os.unlink(sealed.path)
        if trees.writer is not None:
            trees.writer.abandon()
