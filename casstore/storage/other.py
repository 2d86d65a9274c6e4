"""Any other scheme that fsspec knows (https, ftp, sftp, ...): read-only, for lack of a proven exclusive create."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from attest.errors import BadInput
from casstore.storage import locations
from casstore.storage.remote import RemoteStorage

if TYPE_CHECKING:
    from casstore.network.network import NetworkGuard

_WEB = ("http", "https")
_LOCAL = frozenset({"local", "dir", "simplecache", "filecache", "blockcache", "cached", "reference"})
"""Schemes of fsspec that wrap others or lead around the network policy."""


def check(url: str) -> None:
    """Raises BadInput for an unknown scheme and for credentials in the URL."""
    import fsspec

    parts = urlsplit(url)
    if parts.scheme not in fsspec.available_protocols() or parts.scheme in _LOCAL or "::" in url:
        raise BadInput(f"{url}: unknown scheme {parts.scheme!r}", hint="use a folder, s3://, az:// or gs://")
    if parts.username or parts.password:
        raise BadInput(f"{parts.scheme}://{parts.hostname}: credentials are never taken from a URL")


def open_other(url: str, network: NetworkGuard | None) -> RemoteStorage:
    """A read-only storage. Raises BadInput for an unknown scheme, PolicyViolation."""
    from casstore.storage.fsspec_client import FsspecClient, filesystem

    check(url)
    parts = urlsplit(url)
    locations.name(network, url)
    root = url if parts.scheme in _WEB else parts.path
    options = {} if parts.scheme in _WEB else {"host": parts.hostname or ""}
    return RemoteStorage(url, FsspecClient(filesystem(parts.scheme, **options), root, url), read_only=True)
