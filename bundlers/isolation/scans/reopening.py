"""The bytes of units once more, to be compared: held while neighbours ask for them.

A blob or member lies in memory or, when it is large, in an unnamed temporary file: reading here and
there in a store's large blob would verify whole frames each time.

    opener.open(digest, "inner.tar!path").read()
"""

from __future__ import annotations

import shutil
import tempfile
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from typing import IO, cast

from attest.digests import Digest
from bundlers.inspection import door
from bundlers.isolation.scans.scanning import ContentStore
from bundlers.isolation.settings import Settings
from casstore.errors import OverBudget

_HELD = 96 << 20
_SPOOL = 16 << 20
"""Larger ones lie in a temporary file."""


class Opener:
    """Opens units of one comparison; the last ones stay open."""

    def __init__(self, store: ContentStore, settings: Settings, wanted: Iterable[tuple[Digest, str]]) -> None:
        self._store = store
        self._settings = settings
        self._wanted: dict[Digest, set[str]] = {}
        for digest, path in wanted:
            self._wanted.setdefault(digest, set()).add(path)
        self._held: OrderedDict[tuple[Digest, str], tuple[IO[bytes], int]] = OrderedDict()
        self._bytes = 0

    def open(self, digest: Digest, path: str) -> IO[bytes]:
        """A seekable stream of a blob or of a member of it; good until the one after the next is opened."""
        if (digest, path) not in self._held:
            self._make_room()
            self._load(digest, path)
        self._held.move_to_end((digest, path))
        return self._held[digest, path][0]

    def objects(self, digest: Digest) -> Iterator[tuple[bytes, bytes]]:
        """What a linker takes from a blob that is an object file. Raises OverBudget."""
        with self._store.open_blob(digest) as blob:
            size = blob.seek(0, 2)
            blob.seek(0)
            yield from door.objects(blob, size, self._settings.budget)

    def tables(self, program: IO[bytes]) -> Iterator[tuple[int, int, list[int]]]:
        """What Go's linker made of its own in a program, and where the names stand that it names. Raises OverBudget."""
        size = program.seek(0, 2)
        program.seek(0)
        return door.tables(program, size, self._settings.budget)

    def _load(self, digest: Digest, path: str) -> None:
        """Unpacks a blob once for all members that may be asked for next."""
        with self._store.open_blob(digest) as blob:
            if not path:
                self._hold(digest, path, blob)
                return

            others = sorted(self._wanted.get(digest, set()) - {path})
            size, limits = blob.seek(0, 2), self._settings.limits
            blob.seek(0)
            told = door.members(blob, size, limits, path, others, max(0, _HELD - self._bytes), self._settings.budget)
            try:
                self._take(digest, told)
            except OverBudget as exc:
                raise OverBudget(f"{digest}: {exc.message}", hint=exc.hint) from exc

    def _take(self, digest: Digest, told: Iterable[tuple[str, bytes | None]]) -> None:
        place, data = "", _spool()
        for name, piece in told:
            if piece is not None:
                data.write(piece)
                continue
            if place:
                self._keep(digest, place, data)
            place, data = name, _spool()
        if place:
            self._keep(digest, place, data)

    def _make_room(self) -> None:
        """Lets go of the oldest, but never of the last one: it is being compared."""
        while self._bytes > _HELD // 2 and len(self._held) > 1:
            self._bytes -= self._held.popitem(last=False)[1][1]

    def _hold(self, digest: Digest, path: str, data: IO[bytes]) -> None:
        out = _spool()
        shutil.copyfileobj(data, out, 1 << 20)
        self._keep(digest, path, out)

    def _keep(self, digest: Digest, path: str, out: IO[bytes]) -> None:
        """What was copied whole."""
        size = out.tell() if out.tell() <= _SPOOL else _SPOOL // 8
        before = self._held.pop((digest, path), None)
        self._held[digest, path] = (out, size)
        self._bytes += size - (before[1] if before else 0)


def _spool() -> IO[bytes]:
    return cast("IO[bytes]", tempfile.SpooledTemporaryFile(_SPOOL))
