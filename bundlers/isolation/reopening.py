"""The bytes of units once more, to be compared: held while neighbours ask for them.

A blob or member lies in memory or, when it is large, in an unnamed temporary file: reading here and
there in a store's large blob would verify whole frames each time.

    opener.open(digest, "inner.tar!path").read()
"""

from __future__ import annotations

import shutil
import tempfile
from collections import OrderedDict
from collections.abc import Iterable
from typing import IO, cast

from attest.digests import Digest
from bundlers.isolation import nested
from bundlers.isolation.nested import Limits
from bundlers.isolation.scanning import ContentStore
from bundlers.isolation.settings import Settings

_HELD = 96 << 20
_SPOOL = 16 << 20
"""Larger ones lie in a temporary file."""


class Opener:
    """Opens units of one comparison; the last ones stay open."""

    def __init__(self, store: ContentStore, settings: Settings, wanted: Iterable[tuple[Digest, str]]) -> None:
        self._store = store
        self._limits = Limits(settings.max_depth, settings.max_member, settings.max_total, settings.max_ratio)
        self._wanted = frozenset(wanted)
        self._held: OrderedDict[tuple[Digest, str], tuple[IO[bytes], int]] = OrderedDict()
        self._bytes = 0

    def open(self, digest: Digest, path: str) -> IO[bytes]:
        """A seekable stream of a blob or of a member of it; good until the one after the next is opened."""
        if (digest, path) not in self._held:
            self._make_room()
            self._load(digest, path)
        self._held.move_to_end((digest, path))
        return self._held[digest, path][0]

    def _load(self, digest: Digest, path: str) -> None:
        """Unpacks a blob once for all members that may be asked for next."""
        with self._store.open_blob(digest) as blob:
            if not path:
                self._hold(digest, path, blob)
                return

            def take(place: str, data: IO[bytes]) -> None:
                if place == path or ((digest, place) in self._wanted and self._bytes < _HELD):
                    self._hold(digest, place, data)

            size = blob.seek(0, 2)
            nested.look_inside(blob, size, self._limits, take)

    def _make_room(self) -> None:
        """Lets go of the oldest, but never of the last one: it is being compared."""
        while self._bytes > _HELD // 2 and len(self._held) > 1:
            self._bytes -= self._held.popitem(last=False)[1][1]

    def _hold(self, digest: Digest, path: str, data: IO[bytes]) -> None:
        out = cast("IO[bytes]", tempfile.SpooledTemporaryFile(_SPOOL))  # noqa: SIM115  closed when it is let go
        shutil.copyfileobj(data, out, 1 << 20)
        size = out.tell() if out.tell() <= _SPOOL else _SPOOL // 8
        before = self._held.pop((digest, path), None)
        self._held[digest, path] = (out, size)
        self._bytes += size - (before[1] if before else 0)
