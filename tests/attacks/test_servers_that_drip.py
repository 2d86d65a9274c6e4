"""A server that sends something now and then, and never an answer: each byte comes within the time of one read."""

from __future__ import annotations

import contextlib
import socketserver
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from attest.errors import ServiceUnavailable
from attest.signers import services
from bundlers.consuming import web_posts
from bundlers.consuming.downloads import HttpReader
from casstore.errors import StorageUnavailable
from casstore.network import circuit
from casstore.network.network import NetworkGuard

Ask = Callable[[str], object]
DRIPS = {
    "status": (b"", b"H"),
    "header": (b"HTTP/1.1 200 OK\r\nX-Padding: ", b"a"),
    "early hints": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
}
ASKS: dict[str, Ask] = {
    "post": lambda url: web_posts.post(f"{url}/add", b"old 0\n\n", network=NetworkGuard(()).named(url)),
    "download": lambda url: b"".join(HttpReader(url, NetworkGuard(())).chunks("metadata/timestamp.json")),
}


@contextlib.contextmanager
def dripping(first: bytes, drop: bytes) -> Iterator[str]:
    class Drip(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with contextlib.suppress(OSError):
                self.request.recv(65536)
                self.request.sendall(first)
                for _ in range(200):
                    self.request.sendall(drop)
                    time.sleep(0.1)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads, block_on_close = True, False

    with Server(("127.0.0.1", 0), Drip) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()


@pytest.mark.parametrize("ask", ASKS)
@pytest.mark.parametrize("drip", DRIPS)
def test_it_is_given_up_in_time(drip: str, ask: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(circuit, "OUTSIDE", circuit.Breaker())
    monkeypatch.setattr(circuit, "LONGEST", 0.4)
    monkeypatch.setattr(circuit, "GRACE", 0.4)
    with dripping(*DRIPS[drip]) as url, pytest.raises(StorageUnavailable, match=r"no whole answer in 0\.8 s"):
        ASKS[ask](url)


@pytest.mark.parametrize("drip", [*DRIPS, "body"])
def test_a_log_or_stamp_authority_that_drips(drip: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What signing and `attest complete` ask, too."""
    monkeypatch.setattr(services, "LONGEST", 0.8)
    first, drop = DRIPS.get(drip, (b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n", b"{"))
    with dripping(first, drop) as url, pytest.raises(ServiceUnavailable, match=r"no whole answer in 0\.8 s"):
        services.post(f"{url}/api/v1/log/entries", b"{}", kind="application/json", network=NetworkGuard(()).named(url))
