"""One checkout: into a temporary folder beside the target, every byte verified, then one rename.

Nothing is ever written at the target itself, so a reader finds a whole tree there or none.
Names and links are judged again here: a tree may come from a stranger.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import stat
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from attest.core.values import dataclass
from attest.digests import Digest, from_raw, to_raw
from casstore.checkout.plan import Region, Survey, regions, survey
from casstore.checkout.writing import Failed, RegionWriter, write_chunks
from casstore.errors import Conflict, ObjectDamaged
from casstore.index.catalog import Catalog
from casstore.index.reading import ObjectReader
from casstore.machine import clock, locks
from casstore.machine.modes import set_mode
from casstore.machine.team import share, started
from casstore.machine.workers import WorkerProcess, processors
from casstore.objects.packs import LocalPacks, Packs, wrapped
from casstore.objects.tree import MAX_TREE, show

if TYPE_CHECKING:
    from casstore.machine.progress import Progress

_MANY_FILES = 1000
_MUCH = 64 * 1024 * 1024
"""From so many files or bytes on worker processes pay for their start."""
_TEMPORARY = re.compile(rb"[0-9a-f]{12}\.tmp")
_OLD_SECONDS = 60


@dataclass(frozen=True, slots=True)
class CheckoutReport:
    """What was written where."""

    tree: Digest
    target: str
    files: int
    bytes: int
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Plain values, keys in camelCase."""
        return {
            "tree": self.tree,
            "target": self.target,
            "files": self.files,
            "bytes": self.bytes,
            "seconds": round(self.seconds, 3),
        }


class Checkout:
    """See the module; used once."""

    def __init__(
        self,
        reader: ObjectReader,
        catalog: Catalog,
        packs: Packs,
        progress: Progress,
        workers: int = 0,
        known: Mapping[bytes, bytes] | None = None,
    ) -> None:
        """`known`: trees that need not be in the store, raw digest -> bytes."""
        self._reader = reader
        self._own = known or {}
        self._catalog = catalog
        self._packs = packs
        self._progress = progress
        self._workers = workers or processors()
        self._processes: list[WorkerProcess] = []
        self._found = Survey()
        self._masked = False
        """Whether the umask takes bits away, so that modes must be set again."""

    def run(self, tree: Digest, target: bytes) -> CheckoutReport:
        """Raises Conflict when the target is there and not an empty folder, ObjectDamaged, NoSuchObject."""
        started = time.monotonic()
        where = show(target)
        _check_free(target)
        parent, name = os.path.split(os.path.abspath(target))
        temporary = os.path.join(parent, b".%s.%s.tmp" % (name[:200], secrets.token_hex(6).encode()))
        with wrapped(where):
            os.makedirs(parent, exist_ok=True)
            _sweep(parent, b".%s." % name[:200])
            os.mkdir(temporary, 0o755)
        try:
            with _held(temporary, where):
                self._fill(to_raw(tree), temporary, where)
                with wrapped(where):
                    _put_in_place(temporary, target)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        found = self._found
        return CheckoutReport(tree, os.fsdecode(target), found.files, found.bytes, time.monotonic() - started)

    def _fill(self, tree: bytes, temporary: bytes, where: str) -> None:
        with wrapped(where):
            top = os.open(temporary, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        ended_well = False
        try:
            with wrapped(where):
                self._masked = stat.S_IMODE(os.fstat(top).st_mode) != 0o755
            for _ in survey(self._read_trees, tree, self._found):
                self._start(temporary)
            self._make(top, where)
            ended_well = True
        finally:
            for process in self._processes:
                process.end(kill=not ended_well)
            os.close(top)

    def _read_trees(self, raws: Iterable[bytes]) -> dict[bytes, bytes]:
        asked = list(raws)
        stored = [raw for raw in asked if raw not in self._own]
        own = {raw: self._own[raw] for raw in asked if raw in self._own}
        return {**self._reader.read_many(stored, max_bytes=MAX_TREE), **own}

    def _make(self, top: int, where: str) -> None:
        """Everything that the survey has found; an absolute path would be longer than the system's limit sooner."""
        found = self._found
        self._progress.start("checkout", found.files, found.bytes)
        for region, failed in self._write(top, where):
            for folder, row in failed:
                self._otherwise(top, region[folder][0], *region[folder][1][row])
            files = [row for _, rows in region for row in rows]
            self._progress.advance(len(files), sum(row[2] for row in files), 0)
        with wrapped(where):
            for path, target in found.links:
                os.symlink(target, path, dir_fd=top)
            for path, _ in found.folders if self._masked else ():
                set_mode(path or b".", 0o755, dir_fd=top)
            for path, mode in found.private:
                set_mode(path, mode, dir_fd=top)
        self._progress.finish()

    def _write(self, top: int, where: str) -> Iterator[tuple[Region, Failed]]:
        work = self._regions(top, where)
        if self._processes:
            return share(self._processes, lambda _: next(work, None))
        writer = RegionWriter(self._packs.read, self._spot, top, masked=self._masked)
        return ((region, writer.write(region)) for region in work)

    def _regions(self, top: int, where: str) -> Iterator[Region]:
        """The work, each part when its folders are there."""
        folders = iter(self._found.folders)
        made: set[bytes] = set()
        for region in regions(self._found):
            last = region[-1][0]
            while last not in made:
                made.add(self._make_folder(top, next(folders)[0], where))
            yield region
        for path, _ in folders:
            self._make_folder(top, path, where)

    def _make_folder(self, top: int, path: bytes, where: str) -> bytes:
        if path:
            with wrapped(where):
                os.mkdir(path, 0o755, dir_fd=top)
        return path

    def _spot(self, raw: bytes) -> tuple[bytes, bytes, int, int, int] | None:
        found = self._catalog.locate(raw)
        if found is None:
            return None
        return found.pack, found.pieces, found.place.piece, found.place.inner, found.place.length

    def _start(self, top: bytes) -> None:
        """Worker processes, as soon as they pay: they get ready while the survey goes on."""
        found = self._found
        if self._processes or self._workers < 2 or found.files < 2 or not isinstance(self._packs, LocalPacks):
            return
        if found.files < _MANY_FILES and found.bytes < _MUCH:
            return
        setup = {"store": self._packs.root, "top": top, "masked": self._masked, "index": self._catalog.index.path}
        self._processes = started("casstore.checkout.process", setup, self._workers)

    def _otherwise(self, top: int, folder: bytes, name: bytes, mode: int, size: int, raw: bytes) -> None:
        """By the reader, which looks for another copy, or says what is damaged."""
        digest = from_raw(raw)
        path = folder + name
        there = self._reader.locate(digest).place.length
        if there != size:
            raise ObjectDamaged(f"{show(path)}: the tree says {size} bytes, its object has {there}")
        write_chunks(path, top, mode & 0o777, self._reader.chunks(digest))


@contextlib.contextmanager
def _held(folder: bytes, where: str) -> Iterator[None]:
    """While it is locked nobody sweeps it away."""
    with wrapped(where):
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with contextlib.suppress(OSError):
            locks.take(fd, wait=False)
        yield
    finally:
        os.close(fd)


def _sweep(parent: bytes, prefix: bytes) -> None:
    """What killed checkouts to the same place left: older than a minute, and locked by nobody."""
    for name in os.listdir(parent):
        if name.startswith(prefix) and _TEMPORARY.fullmatch(name[len(prefix) :]):
            path = os.path.join(parent, name)
            with contextlib.suppress(OSError):
                fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
                try:
                    if os.fstat(fd).st_mtime < clock.unix_ns() / 1e9 - _OLD_SECONDS:
                        locks.take(fd, wait=False)
                        shutil.rmtree(path, ignore_errors=True)
                finally:
                    os.close(fd)


def _check_free(target: bytes) -> None:
    try:
        taken = bool(os.listdir(target))
    except FileNotFoundError:
        taken = os.path.lexists(target)
    except NotADirectoryError:
        taken = True
    if taken:
        raise Conflict(f"{show(target)}: is there and not empty; nothing was written", hint="name a new folder")


def _put_in_place(temporary: bytes, target: bytes) -> None:
    """One rename; it replaces an empty folder and nothing else."""
    try:
        os.rename(temporary, target)
    except OSError as exc:
        with contextlib.suppress(OSError):
            if os.listdir(target):
                raise Conflict(f"{show(target)}: somebody else has put something there meanwhile") from exc
        raise
