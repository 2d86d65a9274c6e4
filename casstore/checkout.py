"""Writes a tree out: into a temporary folder beside the target, every byte verified, then one rename.

Nothing is ever written at the target itself, so a reader finds a whole tree there or none.
Names and links are judged again here: a tree may come from a stranger.

    report = Checkout(reader, load_tree).run(tree_digest, "/srv/out")
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from attest.digests import Digest, to_raw
from casstore.catalog import Located
from casstore.errors import Conflict, ObjectDamaged
from casstore.objects.tree import Tree, TreeEntry, check_link, show
from casstore.packs import wrapped
from casstore.reading import ObjectReader, damaged

if TYPE_CHECKING:
    from casstore.progress import Progress

_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW


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


def walk(load: Callable[[Digest], Tree], tree: Digest, prefix: bytes = b"") -> Iterator[tuple[bytes, TreeEntry]]:
    """Every file, link and folder below a tree with its path, sorted by name in each folder; folders first."""
    for entry in load(tree):
        path = prefix + entry.name
        yield path, entry
        if entry.kind == "dir":
            yield from walk(load, entry.content, path + b"/")


class Checkout:
    """One checkout; used once."""

    def __init__(self, reader: ObjectReader, load: Callable[[Digest], Tree], progress: Progress) -> None:
        self._reader = reader
        self._load = load
        self._progress = progress
        self._files = self._bytes = 0
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
            os.mkdir(temporary, 0o755)
            self._masked = stat.S_IMODE(os.stat(temporary).st_mode) != 0o755
        try:
            self._fill(tree, temporary, where)
            with wrapped(where):
                if self._masked:
                    os.chmod(temporary, 0o755)  # noqa: S103  what every tree says of folders
                _put_in_place(temporary, target)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        return CheckoutReport(tree, os.fsdecode(target), self._files, self._bytes, time.monotonic() - started)

    def _fill(self, tree: Digest, top: bytes, where: str) -> None:
        links: list[tuple[bytes, bytes]] = []
        files: list[tuple[Located, bytes, TreeEntry]] = []
        with wrapped(where):
            for path, entry in walk(self._load, tree):
                if entry.kind == "dir":
                    os.mkdir(top + b"/" + path, 0o755)
                    if self._masked:
                        os.chmod(top + b"/" + path, 0o755)  # noqa: S103
                elif entry.kind == "link":
                    check_link(path, entry.target)
                    links.append((path, entry.target))
                else:
                    files.append((self._reader.locate(entry.content), path, entry))
        self._progress.start("checkout", len(files), sum(entry.size for _, _, entry in files))
        files.sort(key=_order)
        for located, path, entry in files:
            self._file(top + b"/" + path, entry, located)
        with wrapped(where):
            for path, target in links:
                os.symlink(target, top + b"/" + path)
        self._progress.finish()

    def _file(self, path: bytes, entry: TreeEntry, located: Located) -> None:
        if located.place.length != entry.size:
            raise ObjectDamaged(
                f"{show(path)}: the tree says {entry.size} bytes, the object {entry.content} has {located.place.length}"
            )
        hasher = hashlib.sha256()
        with wrapped(show(path)):
            fd = os.open(path, _CREATE, entry.mode)
        try:
            for chunk in self._reader.chunks(entry.content):
                hasher.update(chunk)
                with wrapped(show(path)):
                    _write_all(fd, chunk)
            if self._masked:
                os.fchmod(fd, entry.mode)
        finally:
            os.close(fd)
        if hasher.digest() != to_raw(entry.content):
            raise damaged(entry.content, located)
        self._files += 1
        self._bytes += entry.size
        self._progress.advance(1, entry.size, 0)


def _order(item: tuple[Located, bytes, TreeEntry]) -> tuple[bytes, int, int]:
    place = item[0].place
    return item[0].pack, place.piece, place.inner


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


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
