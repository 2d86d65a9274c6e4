"""One checkout: into a temporary folder beside the target, every byte verified, then one rename.

Nothing is ever written at the target itself, so a reader finds a whole tree there or none.
Names and links are judged again here: a tree may come from a stranger.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from attest.digests import Digest, from_raw
from casstore.catalog import Catalog
from casstore.checkout.plan import Item, Job, Survey, make_jobs, survey
from casstore.checkout.team import Failed, share
from casstore.checkout.writing import write_chunks, write_job
from casstore.errors import Conflict
from casstore.objects.tree import Tree, show
from casstore.packs import LocalPacks, Packs, wrapped
from casstore.reading import ObjectReader
from casstore.workers import WorkerProcess, processors

if TYPE_CHECKING:
    from casstore.progress import Progress

_MANY_FILES = 1000
_MUCH = 64 * 1024 * 1024
"""From so many files or bytes on worker processes pay for their start."""


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
        load: Callable[[Digest], Tree],
        progress: Progress,
        workers: int = 0,
    ) -> None:
        self._reader = reader
        self._catalog = catalog
        self._packs = packs
        self._load = load
        self._progress = progress
        self._workers = workers or processors()
        self._masked = False
        """Whether the umask takes bits away, so that modes must be set again."""

    def run(self, tree: Digest, target: bytes) -> CheckoutReport:
        """Raises Conflict when the target is there and not an empty folder, ObjectDamaged, NoSuchObject."""
        started = time.monotonic()
        where = show(target)
        _check_free(target)
        found = survey(self._load, tree)
        parent, name = os.path.split(os.path.abspath(target))
        temporary = os.path.join(parent, b".%s.%s.tmp" % (name[:200], secrets.token_hex(6).encode()))
        with wrapped(where):
            os.makedirs(parent, exist_ok=True)
            os.mkdir(temporary, 0o755)
        try:
            self._fill(found, temporary, where)
            with wrapped(where):
                _put_in_place(temporary, target)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        return CheckoutReport(tree, os.fsdecode(target), len(found.files), found.bytes, time.monotonic() - started)

    def _fill(self, found: Survey, top: bytes, where: str) -> None:
        self._progress.start("checkout", len(found.files), found.bytes)
        with wrapped(where):
            self._masked = stat.S_IMODE(os.stat(top).st_mode) != 0o755
        processes = self._start(found, top)
        ended_well = False
        try:
            jobs = make_jobs(found.files, self._catalog.locate_many)
            with wrapped(where):
                for path in found.folders:
                    os.mkdir(top + b"/" + path, 0o755)
            self._write(processes, jobs, top)
            ended_well = True
        finally:
            for process in processes:
                process.end(kill=not ended_well)
        with wrapped(where):
            for path, target in found.links:
                os.symlink(target, top + b"/" + path)
            for path in (*found.folders, b"") if self._masked else ():
                os.chmod(top + b"/" + path, 0o755)  # noqa: S103  what every tree says of folders
        self._progress.finish()

    def _write(self, processes: Sequence[WorkerProcess], jobs: Sequence[Job], top: bytes) -> None:
        for done, failed in share(processes, jobs) if processes else self._alone(jobs, top):
            for number, at in failed:
                self._otherwise(top, done[number].items[at])
            items = [item for job in done for item in job.items]
            self._progress.advance(len(items), sum(item.length for item in items), 0)

    def _alone(self, jobs: Sequence[Job], top: bytes) -> Iterator[tuple[list[Job], Failed]]:
        for job in jobs:
            yield [job], [(0, at) for at in write_job(self._packs.read, top, job, masked=self._masked)]

    def _start(self, found: Survey, top: bytes) -> list[WorkerProcess]:
        """Worker processes, where they pay: they get ready while the jobs are made."""
        if self._workers < 2 or len(found.files) < 2 or not isinstance(self._packs, LocalPacks):
            return []
        if len(found.files) < _MANY_FILES and found.bytes < _MUCH:
            return []
        setup = {"store": self._packs.root, "top": top, "masked": self._masked}
        processes: list[WorkerProcess] = []
        with contextlib.suppress(OSError):  # then with those that could be started, or alone
            for _ in range(self._workers):
                processes.append(WorkerProcess("casstore.checkout.process", setup))
        return processes

    def _otherwise(self, top: bytes, item: Item) -> None:
        """By the reader, which looks for another copy, or says what is damaged."""
        write_chunks(top + b"/" + item.path, item.mode, self._reader.chunks(from_raw(item.raw)))


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
