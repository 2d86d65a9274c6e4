"""The one door to storage: a URL becomes an adapter with a proven exclusive create.

| URL | adapter |
|---|---|
| `./folder`, `/folder`, `file:///folder` | file |
| `s3://bucket/prefix`, `az://container/prefix`, `gs://bucket/prefix` | object stores |
| `memory://name` | this process, for tests |
| any other scheme of fsspec | read-only |

fsspec serves URLs, never exclusivity: its generic create lets several writers win.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from attest.errors import BadInput
from casstore.storage.base import MAX_CREATE, Storage, check_key

if TYPE_CHECKING:
    from casstore.network import NetworkGuard

__all__ = ["MAX_CREATE", "Storage", "check_key", "open_storage"]

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")


def _file(url: str, _network: NetworkGuard | None, create: bool) -> Storage:
    from casstore.storage.file import open_file

    parts = urlsplit(url)
    if parts.netloc not in ("", "localhost"):
        raise BadInput(f"{url}: a file URL names no host", hint="write file:///absolute/folder")
    return open_file(unquote(parts.path), create=create)


def _memory(url: str, _network: NetworkGuard | None, _create: bool) -> Storage:
    from casstore.storage.memory import open_memory

    return open_memory(url.partition("://")[2])


_ADAPTERS: dict[str, Callable[[str, NetworkGuard | None, bool], Storage]] = {
    "file": _file,
    "memory": _memory,
}


def open_storage(url: str, *, network: NetworkGuard | None = None, create: bool = False) -> Storage:
    """The storage at a URL. Raises BadInput, NoSuchStore (no such folder), PolicyViolation.

    A remote scheme needs a network guard, which is asked before a client is made. `create`
    makes a missing folder.
    """
    from casstore.storage.file import open_file

    if not url or "\0" in url or "\n" in url:
        raise BadInput(f"not a storage URL: {url!r}")
    scheme = _SCHEME.match(url)
    if scheme is None:
        return open_file(url, create=create)
    adapter = _ADAPTERS.get(scheme[1].lower())
    if adapter is None:
        raise BadInput(f"{url}: unknown scheme {scheme[1]!r}", hint="use a folder, s3://, az:// or gs://")
    return adapter(url, network, create)
