"""What a web server, a proxy or a network answers, as one line each; and whether it may go better in a moment.

check_status(url, response)         # NoSuchObject, StorageUnavailable, TryAgain
raise failed(url, exc) from exc     # there was no answer at all
"""

from __future__ import annotations

import contextlib
import re
import urllib.request
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import urllib3
from urllib3.exceptions import (
    LocationParseError,
    MaxRetryError,
    NameResolutionError,
    NewConnectionError,
    ProtocolError,
    ProxyError,
    SSLError,
    TimeoutError,  # noqa: A004 - urllib3's own
)

from casstore.errors import NoSuchObject, StorageUnavailable
from casstore.machine import clock

_ABSENT = frozenset({403, 404, 410})
_LATER = frozenset({408, 425, 429, 500, 502, 503, 504})
MOVED = frozenset({301, 302, 303, 307, 308})
ASK = "ask whoever runs the server to serve these files as they are"


class TryAgain(StorageUnavailable):
    """It may go better in a moment; `wait` is what the server asks for."""

    def __init__(self, message: str, *, hint: str = "try again later", wait: float | None = None) -> None:
        super().__init__(message, hint=hint)
        self.wait = wait


def proxy_of(url: str) -> str:
    parts = urlsplit(url)
    if urllib.request.proxy_bypass(parts.netloc):
        return ""
    proxies = urllib.request.getproxies()
    found = proxies.get(parts.scheme) or proxies.get("all") or ""
    return found if "://" in found or not found else f"http://{found}"


def check_status(url: str, response: urllib3.BaseHTTPResponse) -> None:
    status = response.status
    if status in _ABSENT:
        raise NoSuchObject(f"{url}: the server answers {status}")
    if status == 511:
        raise StorageUnavailable(
            f"{url}: the network wants a login first (511)", hint="open a web page in a browser, log in, run it again"
        )
    if status == 407:
        raise StorageUnavailable(
            f"{url}: the proxy wants a login (407)", hint="write it into https_proxy: http://NAME:PASSWORD@HOST:PORT"
        )
    if status in _LATER:
        raise TryAgain(f"{url}: the server answers {status}", wait=_asked_wait(response.headers.get("Retry-After", "")))
    if status not in (200, 206, *MOVED) and (status >= 400 or status < 200):
        raise StorageUnavailable(f"{url}: the server answers {status}", hint="try again later")


def _asked_wait(text: str) -> float | None:
    """`Retry-After`: seconds, or a date."""
    text = text.strip()
    if text.isascii() and text.isdecimal():
        return float(text[:9])
    with contextlib.suppress(ValueError, TypeError, OverflowError):
        return max(0.0, (parsedate_to_datetime(text) - clock.now()).total_seconds())
    return None


def failed(url: str, exc: Exception) -> StorageUnavailable:
    """What went wrong before there was an answer."""
    cause: BaseException = exc.reason if isinstance(exc, MaxRetryError) and exc.reason is not None else exc
    if isinstance(cause, ProxyError):
        return TryAgain(
            f"{url}: the proxy {urlsplit(proxy_of(url)).hostname} does not serve: {words(cause.original_error)}",
            hint="mend http_proxy or https_proxy, or name the host in no_proxy",
        )
    if isinstance(cause, SSLError):
        return StorageUnavailable(
            f"{url}: its certificate does not hold: {words(cause)}",
            hint="an authority of your own: SSL_CERT_FILE=FILE; else a portal or a proxy may answer in its place",
        )
    if isinstance(cause, NewConnectionError):  # which is a timeout to urllib3
        return TryAgain(f"{url}: {words(cause)}", hint="check the address and the network, or use --offline")
    if isinstance(cause, TimeoutError):
        return TryAgain(f"{url}: no answer in time", hint="check the network, or try again later")
    if isinstance(cause, LocationParseError | ValueError):
        return StorageUnavailable(f"{url}: {words(cause)}", hint="check the URL")
    if isinstance(cause, ProtocolError):
        return TryAgain(f"{url}: the server does not speak HTTP: {words(cause)}", hint="try again, or ask who runs it")
    return TryAgain(f"{url}: {words(cause)}", hint="check the network, or use --offline")


def words(exc: BaseException) -> str:
    """An error's own words, without the objects around them."""
    inner = next((arg for arg in reversed(exc.args) if isinstance(arg, BaseException)), None)
    if isinstance(exc, NameResolutionError):
        return "there is no host of that name"
    if isinstance(exc, NewConnectionError) and isinstance(exc.__cause__, OSError) and exc.__cause__.strerror:
        return exc.__cause__.strerror
    text = str(inner if inner is not None else exc) or type(inner or exc).__name__
    return " ".join(re.sub(r"<[^>]*>:?|\([^()]*object at 0x[^)]*\):?", "", text).split())[:200]
