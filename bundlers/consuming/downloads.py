"""Reads files of a web server: goes on where a download broke off, tries again, and says in one line what is wrong.

Promises: every request, and every redirect, passes the network policy before a socket opens; no redirect leaves
https; what is tried again is asked for from the byte on that is missing, and only where the server says that it is
the same file; all of it ends within the times that docs/formats/config.md states. Certificates are judged by the
system's authorities (or SSL_CERT_FILE), proxies are those of the environment. Leaves to others: what the bytes are
worth.

    reader = HttpReader("https://cdn.example/releases", guard)
    b"".join(reader.chunks("metadata/timestamp.json"))
"""

from __future__ import annotations

import re
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote, urljoin, urlsplit

import urllib3
from urllib3.exceptions import (
    HTTPError,
)

from attest.errors import BadInput
from bundlers.consuming.web_answers import ASK, MOVED, TryAgain, check_status, failed, proxy_of, words
from bundlers.errors import NoRanges
from bundlers.publishing.layout.published_paths import check_path
from casstore.errors import NoSuchObject, PolicyViolation, StorageUnavailable
from casstore.network import circuit
from casstore.network.network import NetworkGuard
from casstore.storage import locations

TRIES = circuit.FAILURES
"""So often in a row without a byte more; then the host's circuit is open."""
WAITS = (0.5, 2.0)
"""Seconds before the second and the third try, where the server does not say."""
LONGEST_WAIT = 60.0
"""Seconds that a server may ask us to wait."""
RESUMES = 50
"""How often one file may break off and go on."""
SLOWEST, SLOW_FOR = 1024, 60.0
"""Bytes a second, and for how many seconds fewer are borne."""
CONNECT = 10.0
REDIRECTS = 5

_PIECE = 256 * 1024
_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")


@dataclass
class _Progress:
    """How far one file has come, and by what it is known as the same one."""

    url: str
    done: int = 0
    total: int | None = None
    mark: str = ""
    """A strong ETag, or the time of its last change."""
    first: int = 0
    """Where it begins: not at 0 for a part of a file."""
    end: int | None = None
    """Where a part ends."""

    @property
    def last(self) -> int | None:
        """How far it goes; None where nobody knows."""
        return self.total if self.end is None else self.end


class HttpReader:
    """A static web server; one connection is kept."""

    def __init__(self, url: str, network: NetworkGuard) -> None:
        locations.check_form(url)
        parts = urlsplit(url)
        if not parts.hostname or parts.username or parts.password or parts.query or parts.fragment:
            raise BadInput(
                f"{parts.scheme}://{parts.hostname or ''}: no plain http URL", hint="write https://host/path"
            )
        self._url = url.rstrip("/")
        self._network = network.named(url)
        self._pools: dict[str, urllib3.PoolManager] = {}

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

    def part(self, path: str, start: int, end: int) -> Iterator[bytes]:
        """The bytes from `start` to before `end`; what breaks off goes on. Raises NoRanges."""
        url = f"{self._url}/{quote(check_path(path))}"
        self._network.check(url)
        progress = _Progress(url, done=start, first=start, end=end)
        return self._pieces(progress, self._tried(progress))

    def document(self, *, max_bytes: int) -> bytes:
        """What lies under the URL itself. Raises StorageUnavailable when it is larger than `max_bytes`."""
        data = b""
        for piece in self._body(self._url):
            data += piece
            if len(data) > max_bytes:
                raise StorageUnavailable(f"{self._url}: larger than {max_bytes} bytes")
        return data

    def _body(self, url: str) -> Iterator[bytes]:
        """The answer is there before the first piece is asked for; what breaks off later goes on."""
        self._network.check(url)
        progress = _Progress(url)
        return self._pieces(progress, self._tried(progress))

    def _pieces(self, progress: _Progress, response: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
        stuck = 0
        for _ in range(RESUMES):
            before = progress.done
            try:
                yield from _read(progress, response)
                return
            except TryAgain as broke:
                stuck = stuck + 1 if progress.done == before else 0
                if stuck == TRIES:
                    raise StorageUnavailable(f"{broke.message} ({TRIES} tries)", hint=broke.hint) from broke
                response = self._tried(progress, broke)
        raise StorageUnavailable(f"{progress.url}: broke off {RESUMES} times", hint="try again from elsewhere")

    def _tried(self, progress: _Progress, last: TryAgain | None = None) -> urllib3.BaseHTTPResponse:
        """The answer to a request for what is missing, tried again as often as it may get better."""
        for number in range(TRIES):
            if last is not None:
                _pause(last, number)
            try:
                return self._asked(progress)
            except TryAgain as exc:
                last = exc
        assert last is not None  # noqa: S101 - TRIES is not 0
        raise StorageUnavailable(f"{last.message} ({TRIES} tries)", hint=last.hint) from last

    def _asked(self, progress: _Progress) -> urllib3.BaseHTTPResponse:
        url = progress.url
        for _ in range(REDIRECTS + 1):
            host = urlsplit(url).netloc
            response = circuit.OUTSIDE.call(host, lambda seconds, url=url: self._sent(progress, url, seconds))  # type: ignore[misc]
            if response.status not in MOVED:
                return _checked(progress, response)
            url = self._redirected(url, response)
        raise StorageUnavailable(f"{progress.url}: is redirected more than {REDIRECTS} times", hint=ASK)

    def _redirected(self, url: str, response: urllib3.BaseHTTPResponse) -> str:
        place = response.headers.get("Location", "")
        response.close()
        try:
            found = urljoin(url, place)
            parts = urlsplit(found)
            usable = bool(place and parts.hostname and not parts.username)
        except ValueError:
            usable, found, parts = False, place, urlsplit(url)
        if not usable:
            raise StorageUnavailable(f"{url}: redirects to {place[:200]!r}, which is no place", hint=ASK)
        if parts.scheme not in ("https", urlsplit(url).scheme):
            raise PolicyViolation(f"{url}: redirects to {found}; not followed")
        self._network.check(found)
        return found

    def _sent(self, progress: _Progress, url: str, seconds: float) -> urllib3.BaseHTTPResponse:
        """Raises TryAgain, StorageUnavailable, NoSuchObject."""
        headers = {"User-Agent": "casstore", "Accept-Encoding": "identity"}
        if progress.done or progress.end is not None:
            headers["Range"] = f"bytes={progress.done}-{'' if progress.end is None else progress.end - 1}"
            if progress.mark:
                headers["If-Range"] = progress.mark
        timeout = urllib3.Timeout(connect=min(CONNECT, seconds), read=seconds)
        try:
            response = self._pool(url).request(
                "GET", url, headers=headers, timeout=timeout, retries=False, redirect=False, preload_content=False
            )
        except (HTTPError, OSError, ValueError) as exc:
            raise failed(url, exc) from exc
        try:
            check_status(url, response)
        except BaseException:
            response.close()
            raise
        return response

    def _pool(self, url: str) -> urllib3.PoolManager:
        """By the proxy that the environment names for a URL; an empty text is none."""
        proxy = proxy_of(url)
        if proxy not in self._pools:
            self._pools[proxy] = open_pool(url)
        return self._pools[proxy]


def open_pool(url: str) -> urllib3.PoolManager:
    """Connections to a URL's host, by the proxy that the environment names for it. Raises BadInput."""
    proxy = proxy_of(url)
    options: dict[str, Any] = {"num_pools": 4, "maxsize": 1, "ssl_context": ssl.create_default_context()}
    return _through(proxy, options) if proxy else urllib3.PoolManager(**options)


def _through(proxy: str, options: dict[str, Any]) -> urllib3.PoolManager:
    parts = urlsplit(proxy)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise BadInput(
            f"the environment names the proxy {parts.scheme}://{parts.hostname or ''}, which is no http one",
            hint="mend http_proxy, https_proxy or all_proxy, or name the host in no_proxy",
        )
    login = f"{unquote(parts.username)}:{unquote(parts.password or '')}" if parts.username else None
    headers = urllib3.make_headers(proxy_basic_auth=login) if login else None
    bare = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    return urllib3.ProxyManager(bare, proxy_headers=headers, **options)


def _pause(last: TryAgain, number: int) -> None:
    wait = WAITS[min(number, len(WAITS) - 1)] if last.wait is None else last.wait
    if wait > LONGEST_WAIT:
        raise StorageUnavailable(
            f"{last.message}, and asks us to wait {wait:g} seconds", hint="run the command again after that"
        ) from last
    time.sleep(wait)


def _checked(progress: _Progress, response: urllib3.BaseHTTPResponse) -> urllib3.BaseHTTPResponse:
    """An answer whose body is the file's bytes from where they are missing; anything else is told as what it is."""
    try:
        _check_body(progress, response)
    except BaseException:
        response.close()
        raise
    return response


def _check_body(progress: _Progress, response: urllib3.BaseHTTPResponse) -> None:
    url, headers = progress.url, response.headers
    if headers.get("Content-Type", "").partition(";")[0].strip().lower() == "text/html":
        raise NoSuchObject(  # a portal, or a site that answers its start page for what is missing
            f"{url}: the server answers a web page in its place", hint="check the URL with whoever runs it"
        )
    if (coding := headers.get("Content-Encoding", "identity").lower()) != "identity":
        raise StorageUnavailable(f"{url}: is sent as {coding[:20]!r}, though it was asked for as it is", hint=ASK)
    length = headers.get("Content-Length", "").strip()
    chunked = "chunked" in headers.get("Transfer-Encoding", "").lower()
    if response.status == 206 and (progress.done or progress.end is not None):
        _check_range(progress, headers.get("Content-Range", ""))
        progress.mark = progress.mark or _mark(headers)
        return
    if progress.end is not None and response.status == 200:
        raise NoRanges(f"{url}: the server serves no parts of a file")
    if response.status != 200 or not (chunked or (length.isascii() and length.isdecimal())):
        told = "does not say how long it is" if response.status == 200 else f"answers {response.status}"
        raise StorageUnavailable(f"{url}: the server {told}, so it may not have come whole", hint=ASK)
    total = None if chunked else int(length)
    mark = _mark(headers)
    if progress.done:
        if (total, mark) != (progress.total, progress.mark):
            raise StorageUnavailable(f"{url}: changed while it was fetched", hint="run the command again")
        _skip(progress, response)
    progress.total, progress.mark = total, mark


def _check_range(progress: _Progress, said: str) -> None:
    match = _RANGE.fullmatch(said.strip())
    asked = match is not None and int(match[1]) == progress.done
    asked = asked and match is not None and progress.end in (None, int(match[2]) + 1)
    if match is None or not asked or progress.total not in (None, int(match[3])):
        raise StorageUnavailable(f"{progress.url}: the server sends another part than was asked for", hint=ASK)


def _mark(headers: Any) -> str:
    tag = str(headers.get("ETag", "")).strip()
    return tag if tag and not tag.startswith("W/") else str(headers.get("Last-Modified", "")).strip()


def _skip(progress: _Progress, response: urllib3.BaseHTTPResponse) -> None:
    """Of a server without ranges: what is there already."""
    left = progress.done
    try:
        while left and (piece := response.read(min(left, _PIECE))):
            left -= len(piece)
    except (HTTPError, OSError) as exc:
        raise TryAgain(f"{progress.url}: broke off again, before {progress.done} bytes") from exc
    if left:
        raise TryAgain(f"{progress.url}: broke off again, before {progress.done} bytes")


def _read(progress: _Progress, response: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
    """Pieces as they come. Raises TryAgain where the body breaks off, StorageUnavailable where it only drips."""
    slow = _Slowness(progress.url)
    try:
        while True:
            began = time.monotonic()
            piece = response.read1(_PIECE)
            if not piece:
                break
            slow.note(len(piece), time.monotonic() - began)
            progress.done += len(piece)
            yield piece
    except (HTTPError, OSError, ValueError) as exc:
        raise TryAgain(f"{_broken(progress)}: {words(exc)}", hint="try again") from exc
    finally:
        response.close() if progress.last != progress.done else response.release_conn()
    if progress.last is not None and progress.done < progress.last:
        raise TryAgain(_broken(progress), hint="try again")


def _broken(progress: _Progress) -> str:
    of = "" if progress.last is None else f" of {progress.last - progress.first}"
    return f"{progress.url}: broke off after {progress.done - progress.first}{of} bytes"


class _Slowness:
    """Whether a server sends too little for too long; only the time that we wait for it counts."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._bytes, self._seconds = 0, 0.0

    def note(self, size: int, seconds: float) -> None:
        """Raises StorageUnavailable."""
        self._bytes += size
        self._seconds += seconds
        if self._seconds < SLOW_FOR:
            return
        if self._bytes < SLOWEST * self._seconds:
            raise StorageUnavailable(
                f"{self._url}: {self._bytes} bytes came in {self._seconds:.0f} s, which would never end",
                hint="try again later, or from elsewhere",
            )
        self._bytes, self._seconds = 0, 0.0
