"""The network policy refuses before a socket opens, in our clients and in any library of this process."""

from __future__ import annotations

import http.server
import socket
import threading
import urllib.request
from collections.abc import Iterator

import pytest

from casstore.errors import PolicyViolation
from casstore.network import NetworkGuard


@pytest.mark.parametrize(
    ("allow", "asked", "allowed"),
    [
        ("releases.example", "https://releases.example/x", True),
        ("releases.example", "releases.example", True),
        ("releases.example", "https://RELEASES.example./x", True),
        ("releases.example", "https://evil.releases.example/x", False),
        ("releases.example", "https://releases.example.evil/x", False),
        ("releases.example", "https://releases.example@evil/x", False),
        ("releases.example:443", "https://releases.example/x", True),
        ("releases.example:443", "http://releases.example/x", False),
        ("*.example", "https://a.b.example", True),
        ("*.example", "https://example", False),
        ("127.0.0.1:80", "http://127.0.0.1", True),
        ("[::1]:8080", "http://[::1]:8080/", True),
        ("::1", "http://[::1]:8080/", True),
        ("*.0.0.1", "http://127.0.0.1", False),
    ],
)
def test_hosts(allow: str, asked: str, allowed: bool) -> None:
    guard = NetworkGuard((allow,))
    if allowed:
        guard.check(asked)
    else:
        with pytest.raises(PolicyViolation) as caught:
            guard.check(asked)
        assert caught.value.exit_code == 12


@pytest.mark.parametrize("asked", ["", "https://", "https://host:port/"])
def test_what_names_no_host_is_refused(asked: str) -> None:
    with pytest.raises(PolicyViolation):
        NetworkGuard(("*",)).check(asked)


def test_nothing_is_allowed_by_silence_and_offline_beats_the_list() -> None:
    with pytest.raises(PolicyViolation, match="not allowed by the network policy"):
        NetworkGuard().check("https://host")
    with pytest.raises(PolicyViolation):
        NetworkGuard(("host",), offline=True).check("https://host")


@pytest.fixture
def server() -> Iterator[int]:
    found = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
    threading.Thread(target=found.serve_forever, daemon=True).start()
    yield found.server_port
    found.shutdown()
    found.server_close()


def test_while_installed_every_connection_is_checked(server: int) -> None:
    url = f"http://127.0.0.1:{server}/"
    with NetworkGuard(()).installed():
        with pytest.raises(PolicyViolation):
            urllib.request.urlopen(url)
        with pytest.raises(PolicyViolation):
            socket.create_connection(("127.0.0.1", server))
        with socket.socket() as plain, pytest.raises(PolicyViolation):
            plain.connect_ex(("127.0.0.1", server))
        with pytest.raises(PolicyViolation):
            socket.getaddrinfo("localhost", 80)
    with NetworkGuard((f"127.0.0.1:{server}",)).installed():
        assert urllib.request.urlopen(url).status == 200
    assert urllib.request.urlopen(url).status == 200
