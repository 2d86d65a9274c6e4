"""Posts a few bytes to a web server and gives back what it answered, whatever the status is.

Promises: as `downloads` where it can be the same (network policy before a socket opens, times, proxies,
certificates); no redirect is followed, an answer is small and comes within the time. Nothing is tried again: whoever
asks knows whether that is harmless. Leaves to others: what the answer means.

    answer = post("https://witness.example/add-checkpoint", body, network=guard)
    answer.status, answer.kind, answer.body
"""

from __future__ import annotations

import time
from urllib.parse import urlsplit

import urllib3
from urllib3.exceptions import HTTPError

from attest.core.values import dataclass
from bundlers.consuming.downloads import CONNECT, open_pool
from bundlers.consuming.web_answers import failed
from casstore.errors import StorageUnavailable
from casstore.network import circuit
from casstore.network.network import NetworkGuard

MOST = 64 * 1024
"""Bytes of an answer."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    kind: str
    """Its Content-Type, without parameters."""
    body: bytes


def post(url: str, body: bytes, *, network: NetworkGuard) -> Answer:
    """Raises StorageUnavailable where there is no whole answer in time, PolicyViolation."""
    network.check(url)
    return circuit.OUTSIDE.call(urlsplit(url).netloc, lambda seconds: _posted(url, body, seconds))


def _posted(url: str, body: bytes, seconds: float) -> Answer:
    until = time.monotonic() + seconds
    timeout = urllib3.Timeout(connect=min(CONNECT, seconds), read=seconds)
    headers = {"User-Agent": "casstore", "Accept-Encoding": "identity", "Content-Type": "text/plain; charset=utf-8"}
    try:
        response = open_pool(url).request(
            "POST",
            url,
            body=body,
            headers=headers,
            timeout=timeout,
            retries=False,
            redirect=False,
            preload_content=False,
        )
        try:
            return Answer(response.status, _kind(response), _read(url, response, until))
        finally:
            response.close()
    except (HTTPError, OSError, ValueError) as exc:
        raise failed(url, exc) from exc


def _kind(response: urllib3.BaseHTTPResponse) -> str:
    return response.headers.get("Content-Type", "").partition(";")[0].strip().lower()


def _read(url: str, response: urllib3.BaseHTTPResponse, until: float) -> bytes:
    data = b""
    while piece := response.read1(MOST):
        data += piece
        if len(data) > MOST:
            raise StorageUnavailable(f"{url}: answers more than {MOST} bytes")
        if time.monotonic() > until:
            raise StorageUnavailable(f"{url}: no whole answer in time", hint="try again later")
    return data
