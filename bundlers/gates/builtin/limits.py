"""A deadline for checks that run in threads: past it, the next read from the store ends the check.

A thread cannot be killed; a gate that is late has failed at once, and its thread stops here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO, Self, TypeVar, cast

from attest.digests import Digest
from bundlers.gates.base import ViewStore
from casstore.objects.tree import TreeEntry

_T = TypeVar("_T")


class TimeIsUp(Exception):
    """Raised inside a late check; nobody hears it."""


class LimitedStore:
    """A view's store until a deadline."""

    def __init__(self, store: ViewStore, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._deadline = clock() + seconds

    def check(self) -> None:
        """Raises TimeIsUp past the deadline."""
        if self._clock() > self._deadline:
            raise TimeIsUp

    def walk(self, digest: Digest) -> Iterator[tuple[bytes, TreeEntry]]:
        """As the store's."""
        return self._watched(self._store.walk(digest))

    def chunks(self, digest: Digest) -> Iterator[bytes]:
        """As the store's."""
        return self._watched(self._store.chunks(digest))

    def chunks_of(self, wanted: Iterable[Digest]) -> Iterator[Iterator[bytes]]:
        """As the store's."""
        return (self._watched(chunks) for chunks in self._store.chunks_of(wanted))

    def read(self, digest: Digest, *, max_bytes: int | None = None) -> bytes:
        """As the store's."""
        self.check()
        return self._store.read(digest, max_bytes=max_bytes)

    def open_blob(self, digest: Digest) -> BinaryIO:
        """As the store's; its reads are watched too."""
        self.check()
        return cast("BinaryIO", _WatchedStream(self._store.open_blob(digest), self.check))

    def _watched(self, items: Iterator[_T]) -> Iterator[_T]:
        for item in items:
            self.check()
            yield item


class _WatchedStream:
    """A stream that stops at the deadline."""

    def __init__(self, stream: BinaryIO, check: Callable[[], None]) -> None:
        self._stream = stream
        self._check = check

    def read(self, size: int = -1) -> bytes:
        self._check()
        return self._stream.read(size)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)
