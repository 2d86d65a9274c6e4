"""What this machine keeps and later believes is sealed with a secret that only this user can read.

A store's folder, and the index beside it, may be written by others; the secret lies in the user's own cache
folder. So nobody else can put a folded state, a file's digest or the result of a scan before us. A user
without such a place keeps nothing: OSError says so, and the work is done again.

    secret = user_secrets.own()
    user_secrets.unseal(secret, user_secrets.seal(secret, b"body"))      # b"body"; None for what others made
"""

from __future__ import annotations

import contextlib
import hashlib
import os

from casstore.machine.naming import take_name

_HASH = 32
_KEY_FILE = "state.key"


def own() -> bytes:
    """32 bytes that only this user can read, made at first use. Raises OSError where there can be none."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    if not os.path.isabs(base) or not hasattr(os, "geteuid"):
        raise FileNotFoundError(f"{base}: is no folder of this user")
    folder = os.path.join(base, "casstore")
    path = os.path.join(folder, _KEY_FILE)
    try:
        return _read_secret(path)
    except FileNotFoundError:
        os.makedirs(folder, exist_ok=True)
        temporary = f"{path}.{os.urandom(8).hex()}"
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            os.write(fd, os.urandom(_HASH))
        finally:
            os.close(fd)
        try:
            take_name(temporary, path)
        except FileExistsError:
            pass  # another process was first
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
        return _read_secret(path)


def _read_secret(path: str) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        found = os.fstat(fd)
        secret = os.read(fd, _HASH + 1)
    finally:
        os.close(fd)
    if found.st_uid != os.geteuid() or found.st_mode & 0o077 or len(secret) != _HASH:
        raise PermissionError(f"{path}: is not this user's alone")
    return secret


def seal(secret: bytes, body: bytes) -> bytes:
    """The body after its keyed hash."""
    return hashlib.blake2b(body, key=secret, digest_size=_HASH).digest() + body


def unseal(secret: bytes, data: bytes) -> bytes | None:
    """The body, if this secret sealed it."""
    body = data[_HASH:]
    return body if hashlib.blake2b(body, key=secret, digest_size=_HASH).digest() == data[:_HASH] else None


def own_or_none() -> bytes | None:
    """This user's secret, or None where there can be none."""
    try:
        return own()
    except OSError:
        return None


def mac(secret: bytes, *parts: bytes | memoryview) -> bytes:
    """16 bytes that only this user can make for these parts, whose borders count."""
    hasher = hashlib.blake2b(key=secret, digest_size=16, person=b"casstore-cache")
    for part in parts:
        hasher.update(len(part).to_bytes(8, "big"))
        hasher.update(part)
    return hasher.digest()
