"""Remembers a workspace's folders by what stat says, so that what is unchanged is neither read nor encoded.

A file's entry counts while size, mtime, ctime and inode are the same **and** its ctime lies
well before the moment when the put that wrote it began: a file changed within the same tick
of the file system's clock could look unchanged (git's racy-clean rule). Such entries are kept
out. The cache belongs to one index (its epoch): where digests were forgotten it is void. It lies beside the
store, where others may write: every row is sealed with this user's secret and bound to its file's name.
Only the folder at hand is in memory (docs/formats/stat-cache.md).

    cache = StatCache.load(path, epoch, began_ns, secret)
    record = cache.find(b"src")
    cache.keep(b"src")                  # or cache.remember(b"src", record)
    cache.complete()
    cache.save()                        # when all that it says is durable
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import secrets
import struct
from collections.abc import Sequence
from typing import NamedTuple

import msgpack

from casstore.machine import user_secrets

_MAGIC = b"casstore-stat-cache/4\n"
_MAC = 16
_FOOTER = 8 + _MAC
_SIZE_BITS = 28
_SIZE_MASK = (1 << _SIZE_BITS) - 1
_SLACK_NS = 100_000_000
_COARSE_SLACK_NS = 2_100_000_000
"""For file systems that keep whole seconds only (FAT: two)."""
_SIGN = 32
_SIGNATURES = struct.Struct(">QqqQ")
_NONE = bytes(32)
_UNUSED_SECONDS = 30 * 86400
_BUFFER = 1 << 20
_FOLDER = "stat"
_UNREADABLE = (OSError, ValueError, TypeError, msgpack.UnpackException, RecursionError)


class Record(NamedTuple):
    """A folder as it was stored; see the page on the format."""

    names: bytes
    signs: bytes
    digests: bytes
    tree: bytes
    shape: bytes

    def all_known(self, names: Sequence[bytes], signs: Sequence[bytes]) -> bool:
        """Whether these are its files, unchanged."""
        return b"".join(signs) == self.signs and b"/".join(names) == self.names

    def split(self) -> list[bytes | None]:
        """The digests, file by file."""
        return [self.digests[at : at + 32] for at in range(0, len(self.digests), 32)]

    def known(self, names: Sequence[bytes], signs: Sequence[bytes]) -> list[bytes | None]:
        """For each of these files its digest, or None when it must be read."""
        old_signs = [self.signs[at : at + _SIGN] for at in range(0, len(self.signs), _SIGN)]
        if set(old_signs).isdisjoint(signs):  # a new checkout
            return [None] * len(names)
        before = dict(zip(self.names.split(b"/"), zip(old_signs, self.split(), strict=True), strict=True))
        return [
            old[1] if (old := before.get(name)) is not None and old[0] == sign else None
            for name, sign in zip(names, signs, strict=True)
        ]


class StatCache:
    """The cache of one workspace: the old one is read, a new one written where it differs."""

    def __init__(self, path: str, epoch: bytes, began_ns: int, secret: bytes) -> None:
        self._path = path
        self._seal = _Seal(secret, path)
        self._epoch = epoch
        self._began = began_ns
        self._fd = -1
        self._old: dict[bytes, int] = {}
        self._kept: list[bytes] = []
        self._new: _Writer | None = None
        self._failed = False

    @staticmethod
    def load(path: str, epoch: bytes, began_ns: int, secret: bytes) -> StatCache:
        """The cache in this file; an empty one when it is missing, damaged, another user's or of another index."""
        cache = StatCache(path, epoch, began_ns, secret)
        with contextlib.suppress(*_UNREADABLE):
            cache._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
            cache._old = _index(cache._fd, epoch, cache._seal)
        return cache

    def find(self, folder: bytes) -> Record | None:
        """The folder as it was, or None."""
        place = self._old.get(folder)
        if place is None:
            return None
        try:
            path, *fields = msgpack.unpackb(self._seal.opened(self._raw(place)), use_list=False)
            return Record._make(fields) if path == folder else None
        except _UNREADABLE:
            return None

    def keep(self, folder: bytes) -> None:
        """The folder is as `find` has told."""
        if self._new is None:
            self._kept.append(folder)
        else:
            self._write(folder, None)

    def remember(self, folder: bytes, record: Record) -> None:
        """The folder has just been stored so."""
        body: bytes = msgpack.packb([folder, *record._replace(signs=self._settled(record.signs))])
        self._write(folder, self._seal.sealed(body))

    def complete(self) -> None:
        """All folders were told; no file stays open."""
        if self._new is not None:
            try:
                self._new.finish(self._epoch)
            except OSError:
                self._new.abandon()
                self._new = None
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def save(self) -> None:
        """Make it count, when it says something new; a failure costs only time at the next put."""
        with contextlib.suppress(OSError):
            if self._new is not None:
                self._new.take_name(self._path)
            os.utime(self._path)
        self.close()

    def close(self) -> None:
        """Without `save`, the old one stays."""
        if self._new is not None:
            self._new.abandon()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _write(self, folder: bytes, raw: bytes | None) -> None:
        """The first folder that differs begins a new file, with those that were kept before it; None: as it was."""
        if self._failed:
            return
        try:
            if self._new is None:
                self._new = _Writer(self._path, self._seal)
                for kept in self._kept:
                    self._new.add(kept, self._raw(self._old[kept]))
                self._kept.clear()
            self._new.add(folder, self._raw(self._old[folder]) if raw is None else raw)
        except OSError:
            self._failed = True
            self.close()
            self._new = None

    def _raw(self, place: int) -> bytes:
        return os.pread(self._fd, place & _SIZE_MASK, place >> _SIZE_BITS)

    def _settled(self, signs: bytes) -> bytes:
        """These signatures, those of files as young as this put as zeros."""
        changed = [ctime for _, _, ctime, _ in _SIGNATURES.iter_unpack(signs)]
        if not changed or max(changed) + _COARSE_SLACK_NS < self._began:
            return signs
        return b"".join(
            [
                signs[at * _SIGN : at * _SIGN + _SIGN] if self._is_settled(ctime) else _NONE
                for at, ctime in enumerate(changed)
            ]
        )

    def _is_settled(self, changed: int) -> bool:
        slack = _SLACK_NS if changed % 1_000_000_000 else _COARSE_SLACK_NS
        return changed + slack < self._began


class _Seal:
    """Bytes after the keyed hash of this user, which holds in one file only."""

    def __init__(self, secret: bytes, path: str) -> None:
        self._secret = secret
        self._name = os.path.basename(path).encode()

    def sealed(self, body: bytes) -> bytes:
        return user_secrets.mac(self._secret, self._name, body) + body

    def opened(self, raw: bytes) -> bytes:
        """The body. Raises ValueError for what this user has not written there."""
        body = raw[_MAC:]
        if not hmac.compare_digest(user_secrets.mac(self._secret, self._name, body), raw[:_MAC]):
            raise ValueError("the seal does not hold")
        return body


class _Writer:
    """A cache file that grows under a temporary name. Raises OSError."""

    def __init__(self, path: str, seal: _Seal) -> None:
        self._seal = seal
        os.makedirs(os.path.dirname(path), exist_ok=True)
        self._temporary = f"{path}.{secrets.token_hex(6)}.tmp"
        self._file = open(self._temporary, "xb", buffering=_BUFFER)  # noqa: SIM115  open as long as this object
        self._file.write(_MAGIC)
        self._end = len(_MAGIC)
        self._places: dict[bytes, int] = {}

    def add(self, folder: bytes, raw: bytes) -> None:
        if len(raw) <= _SIZE_MASK:
            self._file.write(raw)
            self._places[folder] = self._end << _SIZE_BITS | len(raw)
            self._end += len(raw)

    def finish(self, epoch: bytes) -> None:
        index: bytes = msgpack.packb([epoch, self._places])
        sealed = self._seal.sealed(index)
        self._file.write(index + self._end.to_bytes(8, "big") + sealed[:_MAC])
        self._file.close()

    def take_name(self, path: str) -> None:
        os.replace(self._temporary, path)

    def abandon(self) -> None:
        with contextlib.suppress(OSError):
            self._file.close()
        with contextlib.suppress(OSError):
            os.unlink(self._temporary)  # once it has its name it is not there


def _index(fd: int, epoch: bytes, seal: _Seal) -> dict[bytes, int]:
    """path -> place. Raises ValueError and others for what is no cache of this index."""
    size = os.fstat(fd).st_size
    footer = os.pread(fd, _FOOTER, max(0, size - _FOOTER))
    start = int.from_bytes(footer[:8], "big")
    if os.pread(fd, len(_MAGIC), 0) != _MAGIC or not len(_MAGIC) <= start <= size - _FOOTER:
        return {}
    index = seal.opened(footer[8:] + os.pread(fd, size - _FOOTER - start, start))
    of, places = msgpack.unpackb(index)
    return dict(places) if of == epoch else {}


def drop_unused(index_folder: str, now: float) -> None:
    """Remove caches and unfinished files that nobody has used for a month; once a command is often enough."""
    with contextlib.suppress(OSError), os.scandir(os.path.join(index_folder, _FOLDER)) as listing:
        for entry in listing:
            if entry.stat(follow_symlinks=False).st_mtime < now - _UNUSED_SECONDS:
                os.unlink(entry.path)


def path_for(index_folder: str, root: bytes, selection: bytes) -> str:
    """The cache file of a selection of a workspace's files, beside the index."""
    name = hashlib.sha256(hashlib.sha256(root).digest() + selection).hexdigest()[:32]
    return os.path.join(index_folder, _FOLDER, name)


def file_system_now(folder: str) -> int:
    """The clock that gives files their ctime, in ns: that of a file made just now; 0 when none can be made."""
    path = os.path.join(folder, f".clock-{secrets.token_hex(6)}")
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError:
        return 0
    try:
        return os.fstat(fd).st_ctime_ns
    finally:
        os.close(fd)
        with contextlib.suppress(OSError):
            os.unlink(path)
