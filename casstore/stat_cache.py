"""Remembers the digests of a workspace's files by what stat says, so that unchanged files are not read.

An entry counts while size, mtime, ctime and inode are the same **and** its ctime lies well
before the moment when the put that wrote it began: a file changed within the same tick of
the file system's clock could look unchanged (git's racy-clean rule). Such entries are kept
out. The cache belongs to one index (its epoch): where digests were forgotten it is void.

    cache = StatCache.load(path, epoch, began_ns)
    cache.known(b"src", names, signs)         # digests or None, file by file
    cache.save()
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import zlib
from typing import Any

import msgpack

_FORMAT = "casstore-stat-cache/2"
_SLACK_NS = 100_000_000
_COARSE_SLACK_NS = 2_100_000_000
"""For file systems that keep whole seconds only (FAT: two)."""
_SIGN = 32
_NONE = bytes(32)


class StatCache:
    """One workspace's cache: folder -> names, signatures, digests, tree, shape."""

    def __init__(self, path: str, epoch: bytes, began_ns: int, folders: dict[bytes, list[bytes]]) -> None:
        self._path = path
        self._epoch = epoch
        self._began = began_ns
        self._old = folders
        self._new: dict[bytes, list[bytes]] = {}
        self._same: set[bytes] = set()
        """Folders of which every file is as it was."""

    @staticmethod
    def load(path: str, epoch: bytes, began_ns: int) -> StatCache:
        """The cache in this file; an empty one when it is missing, damaged or of another index."""
        folders: dict[bytes, list[bytes]] = {}
        with contextlib.suppress(OSError, ValueError, msgpack.UnpackException, RecursionError):
            with open(path, "rb") as file:
                data = file.read()
            value: Any = msgpack.unpackb(data[:-4]) if zlib.crc32(data[:-4]) == int.from_bytes(data[-4:], "big") else []
            if value and value[0] == _FORMAT and value[1] == epoch:
                folders = value[2]
        return StatCache(path, epoch, began_ns, folders)

    def known(self, folder: bytes, names: list[bytes], signs: list[bytes]) -> list[bytes | None]:
        """For each file its digest, or None when it must be read."""
        old = self._old.get(folder)
        if old is None:
            return [None] * len(names)
        if b"/".join(names) == old[0] and b"".join(signs) == old[1]:
            digests = old[2]
            self._same.add(folder)
            return [digests[at : at + 32] for at in range(0, len(digests), 32)]
        by_name = {
            name: (old[1][at * _SIGN : at * _SIGN + _SIGN], old[2][at * 32 : at * 32 + 32])
            for at, name in enumerate(old[0].split(b"/"))
        }
        found: list[bytes | None] = []
        for name, sign in zip(names, signs, strict=True):
            before = by_name.get(name)
            found.append(before[1] if before is not None and before[0] == sign else None)
        return found

    def tree(self, folder: bytes, shape: bytes) -> bytes | None:
        """The tree of a folder whose files, links and folders are all as they were; it is remembered on."""
        old = self._old.get(folder)
        if old is None or folder not in self._same or old[4] != shape:
            return None
        self._new[folder] = old
        return old[3]

    def remember(
        self,
        folder: bytes,
        names: list[bytes],
        signs: list[bytes],
        digests: list[bytes | None],
        tree: bytes,
        shape: bytes,
    ) -> None:
        """A folder as it has just been stored; `shape` is what its tree holds beside these."""
        kept = [sign if self._is_settled(sign) else _NONE for sign in signs]
        joined = b"".join([digest or _NONE for digest in digests])
        self._new[folder] = [b"/".join(names), b"".join(kept), joined, tree, shape]

    def save(self) -> None:
        """Write it, when it says something new; a failure costs only time at the next put."""
        if self._new == self._old:
            return
        body: bytes = msgpack.packb([_FORMAT, self._epoch, self._new])
        temporary = f"{self._path}.{secrets.token_hex(6)}.tmp"
        with contextlib.suppress(OSError):
            os.makedirs(os.path.dirname(self._path), exist_ok=True)
            try:
                with open(temporary, "xb") as file:
                    file.write(body + zlib.crc32(body).to_bytes(4, "big"))
                os.replace(temporary, self._path)
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(temporary)
                raise

    def _is_settled(self, sign: bytes) -> bool:
        changed = int.from_bytes(sign[16:24], "big", signed=True)
        slack = _SLACK_NS if changed % 1_000_000_000 else _COARSE_SLACK_NS
        return changed + slack < self._began


def path_for(index_folder: str, root: bytes) -> str:
    """The cache file of a workspace, beside the index."""
    return os.path.join(index_folder, "stat", hashlib.sha256(root).hexdigest()[:32])


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
