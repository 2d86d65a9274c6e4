"""What every storage adapter promises, and the rules for keys.

A storage holds immutable objects under `/`-joined ASCII names. One operation decides
races: `create`, put-if-absent of one small object. Everything else may be repeated freely,
because the same key only ever gets the same bytes. Which objects there are, and what they
mean, is left to the store and the ledger.

    storage = open_storage("./store", create=True)
    won = storage.create("ledgers/main/00000000000000000000", entry)
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterable, Iterator
from typing import Protocol, runtime_checkable

from attest.digests import Digest
from attest.errors import BadInput, CasstoreError
from casstore.errors import NotWritable, StorageUnavailable

MAX_CREATE = 1024 * 1024
"""Exclusive objects stay small: above some size clients turn to multipart, where the condition is lost."""

_SEGMENT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+~-]*")
_MAX_KEY = 1024


class Storage(Protocol):
    """One adapter per scheme. Errors: NoSuchObject, NotWritable, StorageUnavailable."""

    @property
    def url(self) -> str:
        """`open_storage(url)` opens the same storage again, from any working folder."""

    @property
    def read_only(self) -> bool:
        """Whether this scheme, or this handle, refuses to write."""

    @property
    def local_path(self) -> str | None:
        """The absolute folder of a `file` storage, else None."""

    def create(self, key: str, data: bytes) -> bool:
        """Put if absent, complete and durable on return: True = ours is there, False = other bytes are.

        An answer that is lost or ambiguous is resolved inside by reading back and comparing, so
        the bytes must be unique to this attempt (they carry a random token or id).
        """

    def put_file(self, key: str, path: str, digest: Digest, *, new: bool = False) -> None:
        """Put the file at `path`, whose sha256 is `digest`; skip when it is there; durable on return.

        `new`: nobody else can have this key, so nothing is looked for.
        """

    def mend(self, key: str, path: str, digest: Digest) -> None:
        """As `put_file`, over damaged bytes: only for the very bytes that the key names."""

    def read(self, key: str, offset: int = 0, length: int | None = None) -> bytes:
        """Bytes of an object; fewer than `length` only at its end. Raises NoSuchObject."""

    def read_tail(self, key: str, length: int) -> tuple[bytes, int]:
        """The last `length` bytes (all of a shorter object), and the size of the whole. Raises NoSuchObject."""

    def size(self, key: str) -> int | None:
        """Length in bytes, or None when there is no such object."""

    def list(self, prefix: str) -> Iterator[str]:
        """All keys that start with `prefix`, in no promised order. For maintenance, never in a journey."""

    def replace(self, key: str, data: bytes) -> None:
        """Write whole, over what is there. For a published pointer; no key of a store is ever replaced."""

    def delete(self, keys: Iterable[str]) -> None:
        """Remove objects; one that is not there is no error. For gc only."""


@runtime_checkable
class CopyingStorage(Protocol):
    """A storage whose server copies objects itself."""

    def copy(self, source: str, key: str) -> None:
        """Put under `key`, which is free, what lies under `source`. Raises NoSuchObject, StorageUnavailable."""


def check_key(key: str) -> str:
    """The key itself. Raises BadInput for anything but plain relative ASCII names without leading dots."""
    if len(key) > _MAX_KEY or not all(_SEGMENT.fullmatch(part) for part in key.split("/")):
        raise BadInput(f"not a storage key: {key[:100]!r}")
    return key


def check_create(key: str, data: bytes) -> None:
    """Raises BadInput when an object is too large to be created exclusively."""
    check_key(key)
    if len(data) > MAX_CREATE:
        raise BadInput(f"{key}: {len(data)} bytes cannot be created exclusively, the limit is {MAX_CREATE}")


_HINTS = {
    errno.ENOSPC: "make room on the disk and run the command again",
    errno.EDQUOT: "your disk quota is used up: make room and run the command again",
    errno.EIO: "the disk reported an error: check it before you go on",
    errno.EMFILE: "too many open files: raise the limit (ulimit -n)",
}
_REFUSED = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})


def os_error(exc: OSError, what: str, *, writing: bool) -> CasstoreError:
    """An operating system's error as ours; `what` names the key and the place."""
    reason = exc.strerror or str(exc) or type(exc).__name__
    if writing and exc.errno in _REFUSED:
        return NotWritable(f"{what}: cannot be written: {reason}", hint="check the owner and mode of the folder")
    act = "written" if writing else "read"
    return StorageUnavailable(f"{what}: cannot be {act}: {reason}", hint=_HINTS.get(exc.errno or 0, ""))
