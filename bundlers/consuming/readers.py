"""Reads published files by relative name: from a folder, over http(s), or from any storage URL.

Promises: every http request, and every redirect, passes the network policy before a socket opens;
no redirect leaves https; nothing is trusted here. Leaves to others: what the bytes are worth
(`tuf_client`, `verification`).

    reader = open_reader("https://cdn.example/releases", network=guard)
    b"".join(reader.chunks("metadata/timestamp.json"))
"""

from __future__ import annotations

import http.client
import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Any, Protocol
from urllib.parse import quote, urlsplit

from attest.errors import BadInput
from bundlers.publishing.published_paths import check_path
from casstore.errors import NoSuchObject, PolicyViolation, StorageUnavailable
from casstore.network import circuit
from casstore.storage import Storage, locations, open_storage
from casstore.storage.base import os_error

if TYPE_CHECKING:
    from casstore.network.network import NetworkGuard

_PIECE = 256 * 1024
_ABSENT = frozenset({403, 404, 410})
_ASK = "ask whoever runs the server to serve these files as they are"


class Reader(Protocol):
    """Files by relative name. Errors: NoSuchObject, StorageUnavailable, PolicyViolation."""

    @property
    def url(self) -> str:
        """For reports and for the state that belongs to this source."""

    @property
    def remote(self) -> bool:
        """Whether reading needs the network."""

    def chunks(self, path: str) -> Iterator[bytes]:
        """The file's bytes in pieces. Raises NoSuchObject before the first piece."""


def open_reader(url: str, *, network: NetworkGuard | None) -> Reader:
    """A reader for a folder, `file://`, `http(s)://` or a storage URL. Opens no socket yet for http."""
    if url.startswith(("http://", "https://")):
        if network is None:
            raise PolicyViolation(f"{url}: no network policy was given; no socket was opened")
        return HttpReader(url, network)
    storage = open_storage(url, network=network)
    return FolderReader(storage.local_path) if storage.local_path else StorageReader(storage)


def read_all(reader: Reader, path: str, *, max_bytes: int) -> bytes:
    """A whole small file. Raises StorageUnavailable when it is larger than `max_bytes`."""
    pieces, size = [], 0
    for piece in reader.chunks(path):
        size += len(piece)
        if size > max_bytes:
            raise StorageUnavailable(f"{reader.url}/{path}: larger than {max_bytes} bytes")
        pieces.append(piece)
    return b"".join(pieces)


class FolderReader:
    """A published folder."""

    def __init__(self, folder: str) -> None:
        self._folder = os.path.abspath(folder)

    @property
    def url(self) -> str:
        """The absolute folder."""
        return self._folder

    @property
    def remote(self) -> bool:
        """Never."""
        return False

    def chunks(self, path: str) -> Iterator[bytes]:
        """The file's bytes in pieces."""
        name = os.path.join(self._folder, *check_path(path).split("/"))
        try:
            file = open(name, "rb")  # noqa: SIM115 - closed by the generator below
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as exc:
            raise NoSuchObject(f"{name}: no such file") from exc
        except OSError as exc:
            raise os_error(exc, name, writing=False) from exc
        return _pieces(file, name)


class StorageReader:
    """A bucket, through the storage adapter of its scheme."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    @property
    def url(self) -> str:
        """The storage's URL."""
        return self._storage.url

    @property
    def remote(self) -> bool:
        """All but the memory scheme."""
        return not self.url.startswith("memory:")

    def chunks(self, path: str) -> Iterator[bytes]:
        """The object's bytes in pieces."""
        size = self._storage.size(check_path(path))
        if size is None:
            raise NoSuchObject(f"{self.url}/{path}: no such object")
        return (self._storage.read(path, offset, _PIECE) for offset in range(0, size, _PIECE))


class HttpReader:
    """A static web server."""

    def __init__(self, url: str, network: NetworkGuard) -> None:
        locations.check_form(url)
        parts = urlsplit(url)
        if not parts.hostname or parts.username or parts.password or parts.query or parts.fragment:
            raise BadInput(
                f"{parts.scheme}://{parts.hostname or ''}: no plain http URL", hint="write https://host/path"
            )
        self._url = url.rstrip("/")
        self._network = network.named(url)
        self._opener = urllib.request.build_opener(_Redirects(self._network))

    @property
    def url(self) -> str:
        """The base URL."""
        return self._url

    @property
    def remote(self) -> bool:
        """Always."""
        return True

    def chunks(self, path: str) -> Iterator[bytes]:
        """The body in pieces."""
        return self._body(f"{self._url}/{quote(check_path(path))}")

    def document(self, *, max_bytes: int) -> bytes:
        """What lies under the URL itself. Raises StorageUnavailable when it is larger than `max_bytes`."""
        data = b""
        for piece in self._body(self._url):
            data += piece
            if len(data) > max_bytes:
                raise StorageUnavailable(f"{self._url}: larger than {max_bytes} bytes")
        return data

    def _body(self, url: str) -> Iterator[bytes]:
        self._network.check(url)
        request = urllib.request.Request(url, headers={"User-Agent": "casstore", "Accept-Encoding": "identity"})  # noqa: S310 - http(s) only, see __init__
        host = urlsplit(url).netloc
        return _body(circuit.OUTSIDE.call(host, lambda seconds: self._open(request, url, seconds)), url)

    def _open(self, request: urllib.request.Request, url: str, seconds: float) -> Any:
        try:
            return self._opener.open(request, timeout=seconds)
        except urllib.error.HTTPError as exc:
            exc.close()
            if exc.code in _ABSENT:
                raise NoSuchObject(f"{url}: the server answers {exc.code}") from exc
            raise StorageUnavailable(f"{url}: the server answers {exc.code}", hint="try again later") from exc
        except http.client.HTTPException as exc:
            raise StorageUnavailable(
                f"{url}: the server does not speak HTTP: {type(exc).__name__}", hint="try again, or ask who runs it"
            ) from exc
        except (OSError, ValueError) as exc:
            raise StorageUnavailable(f"{url}: {exc}", hint="check the network, or use --offline") from exc


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Asks the network policy before each redirect; https never becomes http."""

    def __init__(self, network: NetworkGuard) -> None:
        self._network = network

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        if urlsplit(newurl).scheme not in ("https", urlsplit(req.full_url).scheme):
            raise PolicyViolation(f"{req.full_url}: redirects to {newurl}; not followed")
        self._network.check(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _body(response: Any, url: str) -> Iterator[bytes]:
    """The body as the file's bytes; a page in its place, another coding or a cut are told as what they are."""
    headers = response.headers
    if headers.get_content_type() == "text/html":  # a portal, or a site that answers its start page for what is missing
        response.close()
        raise NoSuchObject(
            f"{url}: the server answers a web page in its place", hint="check the URL with whoever runs it"
        )
    if (coding := headers.get("Content-Encoding", "identity").lower()) != "identity":
        response.close()
        raise StorageUnavailable(f"{url}: is sent as {coding[:20]!r}, though it was asked for as it is", hint=_ASK)
    length = headers.get("Content-Length", "").strip()
    chunked = "chunked" in headers.get("Transfer-Encoding", "").lower()
    if response.status != 200 or not (chunked or length.isdecimal()):
        response.close()
        told = "does not say how long it is" if response.status == 200 else f"answers {response.status}"
        raise StorageUnavailable(f"{url}: the server {told}, so it may not have come whole", hint=_ASK)
    return _counted(_pieces(response, url), "" if chunked else length, url)


def _counted(pieces: Iterator[bytes], announced: str, url: str) -> Iterator[bytes]:
    size = 0
    for piece in pieces:
        size += len(piece)
        yield piece
    if announced and size < int(announced):
        raise StorageUnavailable(f"{url}: broke off after {size} of {announced} bytes", hint="try again")


def _pieces(file: Any, name: str) -> Iterator[bytes]:
    with file:
        while True:
            try:
                piece: bytes = file.read(_PIECE)
            except (OSError, ValueError, http.client.HTTPException) as exc:
                raise StorageUnavailable(
                    f"{name}: reading broke off: {exc or type(exc).__name__}", hint="try again"
                ) from exc
            if not piece:
                return
            yield piece
