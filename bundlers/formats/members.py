"""What all formats share: content that is checked while it passes, and exact reading."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator

from attest import digests
from bundlers.errors import HostileArchive
from bundlers.products.product_manifests import ProductFile

PIECE = 1024 * 1024


class ExactReader:
    """Reads exact counts from a source of pieces; anything else is no archive of ours."""

    def __init__(self, more: Callable[[], bytes], what: str) -> None:
        self._more = more
        self._buffer = memoryview(b"")
        self._what = what

    def take(self, count: int) -> bytes:
        """Exactly so many bytes. Raises HostileArchive at an early end."""
        if count <= len(self._buffer):
            part, self._buffer = self._buffer[:count], self._buffer[count:]
            return bytes(part)
        parts, have = [bytes(self._buffer)], len(self._buffer)
        while have < count:
            if not (piece := self._more()):
                raise HostileArchive(f"{self._what}: it ends early", hint="fetch the archive again")
            parts.append(piece[: count - have])
            self._buffer = memoryview(piece)[count - have :]
            have += len(parts[-1])
        return b"".join(parts)

    def expect(self, data: bytes, what: str) -> None:
        """The very next bytes. Raises HostileArchive when they are others."""
        if self.take(len(data)) != data:
            raise HostileArchive(f"{self._what}: {what} is not what its ProductManifest gives")

    def expect_end(self) -> None:
        """Nothing more. Raises HostileArchive."""
        if self._buffer or self._more():
            raise HostileArchive(f"{self._what}: there are bytes after its end")


def content(file: ProductFile, take: Callable[[int], bytes], what: str) -> Iterator[bytes]:
    """A file's pieces; raises HostileArchive at the end when they have not its digest."""
    hashing, left = hashlib.sha256(), file.size
    while left:
        piece = take(min(left, PIECE))
        left -= len(piece)
        hashing.update(piece)
        yield piece
    if digests.from_raw(hashing.digest()) != file.content:
        raise HostileArchive(f"{what}: {file.path} has other bytes than its ProductManifest says")


def checked_size(file: ProductFile, pieces: Iterator[bytes]) -> Iterator[bytes]:
    """A stored file's pieces; raises HostileArchive when they are not as many bytes as listed."""
    count = 0
    for piece in pieces:
        count += len(piece)
        yield piece
    if count != file.size:
        raise HostileArchive(f"{file.path}: {count} bytes are stored, its ProductManifest lists {file.size}")
