"""The one door to storage: a URL becomes an adapter with a proven exclusive create.

In: a URL and the network policy. Out: a `Storage`, or why there is none. Called by store, ledger, fsck, and by
`bundlers` for destinations, sources and witnesses.

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

from attest.errors import BadInput
from casstore.machine import config_files
from casstore.storage.base import MAX_CREATE, Storage, check_key

if TYPE_CHECKING:
    from casstore.network.network import NetworkGuard

__all__ = ["MAX_CREATE", "Storage", "check_key", "check_url", "open_storage"]

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_MISTYPED = re.compile(r"(s3|az|gs|https?|file|memory):/?(?!/)", re.IGNORECASE)


def _file(url: str, _network: NetworkGuard | None, create: bool) -> Storage:
    from urllib.parse import unquote, urlsplit

    from casstore.storage.file import open_file

    parts = urlsplit(url)
    if parts.netloc not in ("", "localhost"):
        raise BadInput(f"{url}: a file URL names no host", hint="write file:///absolute/folder")
    return open_file(unquote(parts.path), create=create)


def _memory(url: str, _network: NetworkGuard | None, _create: bool) -> Storage:
    from casstore.storage.memory import open_memory

    return open_memory(url.partition("://")[2])


def _s3(url: str, network: NetworkGuard | None, _create: bool) -> Storage:
    from casstore.storage.s3 import open_s3

    return open_s3(url, network)


def _az(url: str, network: NetworkGuard | None, _create: bool) -> Storage:
    from casstore.storage.az import open_az

    return open_az(url, network)


def _gs(url: str, network: NetworkGuard | None, _create: bool) -> Storage:
    from casstore.storage.gs import open_gs

    return open_gs(url, network)


def _other(url: str, network: NetworkGuard | None, _create: bool) -> Storage:
    from casstore.storage.other import open_other

    return open_other(url, network)


_ADAPTERS: dict[str, Callable[[str, NetworkGuard | None, bool], Storage]] = {
    "file": _file,
    "memory": _memory,
    "s3": _s3,
    "az": _az,
    "gs": _gs,
}


def open_storage(url: str, *, network: NetworkGuard | None = None, create: bool = False) -> Storage:
    """The storage at a URL. Raises BadInput, NoSuchStore (no such folder), PolicyViolation.

    A remote scheme needs a network guard, which is asked before a client is made. `create`
    makes a missing folder.
    """
    from casstore.storage.file import open_file

    check_url(url)
    scheme = _SCHEME.match(url)
    if scheme is None:
        return open_file(url, create=create)
    return _ADAPTERS.get(scheme[1].lower(), _other)(url, network, create)


def check_url(url: str) -> None:
    """Raises BadInput for what can be no storage, whatever is there; nothing is opened."""
    if not url or "\0" in url or "\n" in url:
        raise BadInput(f"not a storage URL: {url!r}")
    if found := _MISTYPED.match(url):
        hint = f"write {found[1]}://..., or ./{url} for a folder of that name"
        raise BadInput(f"{url}: is neither a URL nor a plain folder", hint=hint)
    if "://" not in url:
        config_files.check_place(url)
        return
    from casstore.storage import locations, other

    locations.check_form(url)
    scheme = _SCHEME.match(url)
    if scheme is not None and scheme[1].lower() not in _ADAPTERS:
        other.check(url)
