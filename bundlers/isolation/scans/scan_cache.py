"""What was found in a blob, kept beside the index so that an unchanged blob is scanned once.

Disposable: a row that is damaged, another user's, of another version or of other caps is as good as none, and a cache
that cannot be opened is no cache. Rows are known by the blob's digest and by what was asked of it.

    cache = ScanCache("/store/index", asked="...")
    cache.get(digest); cache.put(digest, row); cache.close()
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import sqlite3
from collections.abc import Mapping
from typing import Any

import msgpack
import zstandard

from attest.digests import Digest, to_raw
from casstore.machine import user_secrets

_FILE = "isolation.sqlite"
_CHECK = 16
_BATCH = 64 * 1024 * 1024
_MAX_ROW = 1 << 30


class ScanCache:
    """Rows by digest; used by one thread."""

    def __init__(self, folder: str | None, asked: str) -> None:
        self._asked = asked.encode()
        self._open: sqlite3.Connection | None = None
        self._pending = 0
        self._secret = user_secrets.own_or_none() or b""
        if folder is not None and self._secret:
            with contextlib.suppress(OSError, sqlite3.Error):
                os.makedirs(folder, exist_ok=True)
                self._open = _connect(os.path.join(folder, _FILE))

    def get(self, digest: Digest) -> Mapping[str, Any] | None:
        """The row, or None where there is none that can be believed."""
        if self._open is None:
            return None
        try:
            row = self._open.execute("SELECT data FROM scans WHERE key = ?", (self._key(digest),)).fetchone()
            return None if row is None else self._unpack(self._key(digest), row[0])
        except (sqlite3.Error, ValueError, zstandard.ZstdError, msgpack.UnpackException):
            return None

    def put(self, digest: Digest, row: Mapping[str, Any]) -> None:
        """Keep a row; what cannot be kept is scanned again."""
        if self._open is None:
            return
        packed = zstandard.compress(msgpack.packb(row), 1)
        key = self._key(digest)
        with contextlib.suppress(sqlite3.Error):
            self._open.execute(
                "INSERT OR REPLACE INTO scans VALUES (?, ?)",
                (key, user_secrets.mac(self._secret, key, packed) + packed),
            )
            self._pending += len(packed)
            if self._pending > _BATCH:
                self._open.commit()
                self._pending = 0

    def close(self) -> None:
        """Write what is pending."""
        if self._open is not None:
            with contextlib.suppress(sqlite3.Error):
                self._open.commit()
            self._open.close()
            self._open = None

    def _key(self, digest: Digest) -> bytes:
        return hashlib.sha256(to_raw(digest) + self._asked).digest()

    def _unpack(self, key: bytes, data: bytes) -> Mapping[str, Any] | None:
        check, packed = data[:_CHECK], data[_CHECK:]
        if not hmac.compare_digest(check, user_secrets.mac(self._secret, key, packed)):
            return None
        value = msgpack.unpackb(zstandard.decompress(packed, max_output_size=_MAX_ROW))
        return value if isinstance(value, dict) else None


def _connect(path: str) -> sqlite3.Connection:
    try:
        return _prepared(path)
    except sqlite3.DatabaseError:
        os.unlink(path)
        return _prepared(path)


def _prepared(path: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=10, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("CREATE TABLE IF NOT EXISTS scans (key BLOB PRIMARY KEY, data BLOB NOT NULL) WITHOUT ROWID")
    except sqlite3.Error:
        connection.close()
        raise
    return connection
