"""Tokens of products, kept in a folder that is disposable: one file a product, sealed with the user's secret.

What cannot be read, or believed, is made again; docs/formats/index.md has the bytes.

    cache = TokenCache("/store/index", asked="...")
    cache.get("core", files); cache.put("core", known)
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import stat
from collections.abc import Sequence

from attest.digests import Digest
from bundlers.isolation.scans.digest_tables import Digests
from bundlers.isolation.scans.tokens import Tokens
from casstore.machine import user_secrets

_FORMAT = "casstore-isolation-tokens/1"
_CHECK = 16


def _plain(path: str) -> bytes:
    """The bytes of a plain file; a link or a pipe that was put in its place is not followed. Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise FileNotFoundError(path)
        with open(fd, "rb", closefd=False) as file:
            return file.read()
    finally:
        os.close(fd)


class TokenCache:
    """One file a product in a folder that is disposable; what cannot be read, or believed, is made again.

    `asked` is what the looks were asked for; tokens of other files, or asked otherwise, are not taken.
    """

    def __init__(self, folder: str | None, asked: str) -> None:
        self._asked = asked
        self._secret = (user_secrets.own_or_none() if folder is not None else None) or b""
        self._folder = os.path.join(folder, "isolation") if folder is not None and self._secret else None

    def get(self, product: str, files: Sequence[Digest]) -> Tokens | None:
        """Those of these files, sorted, or None."""
        if self._folder is None:
            return None
        try:
            data = memoryview(_plain(self._path(self._folder, product)))
        except OSError:
            return None
        body = data[_CHECK:]
        if not hmac.compare_digest(data[:_CHECK], user_secrets.mac(self._secret, self._key(files), body)):
            return None
        return Tokens.from_bytes(files, body)

    def put(self, product: str, known: Tokens) -> None:
        """Keep them, in place of what the product had before."""
        if self._folder is None:
            return
        path, body = self._path(self._folder, product), known.to_bytes()
        temporary = f"{path}.{os.urandom(8).hex()}"
        with contextlib.suppress(OSError):
            os.makedirs(self._folder, exist_ok=True)
            try:
                with open(temporary, "xb") as file:
                    file.write(user_secrets.mac(self._secret, self._key(known.files), body))
                    file.write(body)
                os.replace(temporary, path)
            finally:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(temporary)

    def _path(self, folder: str, product: str) -> str:
        return os.path.join(folder, hashlib.sha256(product.encode()).hexdigest()[:32])

    def _key(self, files: Sequence[Digest]) -> bytes:
        told = repr([_FORMAT, self._asked, len(files)]).encode()
        return hashlib.sha256(told + Digests.of(files).raw).digest()
