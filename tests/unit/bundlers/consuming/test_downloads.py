"""Downloads from real servers on loopback: broken off, busy, slow, behind a proxy, with a certificate of one's own."""

from __future__ import annotations

import http.server
import ipaddress
import re
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from bundlers.consuming import downloads, web_answers
from bundlers.consuming.downloads import HttpReader
from casstore.errors import NoSuchObject, PolicyViolation, StorageUnavailable
from casstore.network import circuit
from casstore.network.network import NetworkGuard

BODY = bytes(range(256)) * 4000


class Server(http.server.ThreadingHTTPServer):
    """Answers by a function; what was asked is kept."""

    daemon_threads = True
    asked: list[tuple[str, str | None]]
    connections = 0


Act = Callable[[http.server.BaseHTTPRequestHandler, int], None]
"""Of a handler, and how many requests came before."""


@contextmanager
def serving(act: Act, context: ssl.SSLContext | None = None) -> Iterator[tuple[str, Server]]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            server.connections += 1

        def do_GET(self) -> None:
            server.asked.append((self.path, self.headers.get("Range")))
            act(self, len(server.asked) - 1)

        def log_message(self, *args: object) -> None:
            """Nothing."""

    server = Server(("127.0.0.1", 0), Handler)
    server.asked = []
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield f"{'https' if context else 'http'}://127.0.0.1:{server.server_address[1]}", server
    finally:
        server.shutdown()
        server.server_close()


def send(
    handler: http.server.BaseHTTPRequestHandler, status: int, body: bytes, cut: int | None = None, **more: str
) -> None:
    handler.send_response(status)
    handler.send_header("Content-Length", str(len(body)))
    for name, value in more.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(body[:cut])
    if cut is not None:
        handler.close_connection = True


def ranged(handler: http.server.BaseHTTPRequestHandler, cut: int | None = None, etag: str = '"1"') -> None:
    """The whole, or what is asked of it."""
    match = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range") or "")
    if match is None or handler.headers.get("If-Range") not in (None, etag):
        send(handler, 200, BODY, cut, ETag=etag)
        return
    start = int(match[1])
    send(handler, 206, BODY[start:], cut, ETag=etag, Content_Range=f"bytes {start}-{len(BODY) - 1}/{len(BODY)}")


def fetched(url: str) -> bytes:
    return b"".join(HttpReader(url, NetworkGuard(())).chunks("file"))


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "WAITS", (0.0,))
    monkeypatch.setattr(circuit, "OUTSIDE", circuit.Breaker())  # what others failed to reach is no matter of ours
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def test_it_goes_on_where_it_broke_off() -> None:
    with serving(lambda handler, n: ranged(handler, 300_000 if n < 3 else None)) as (url, server):
        assert fetched(url) == BODY
    starts = [int(asked[6:-1]) for _, asked in server.asked if asked]
    assert server.asked[0][1] is None and starts == sorted(starts) and starts[-1] >= 600_000


def test_a_server_without_ranges_sends_it_again_and_nothing_comes_twice() -> None:
    with serving(lambda handler, n: send(handler, 200, BODY, 500_000 if n == 0 else None)) as (url, server):
        assert fetched(url) == BODY
    assert len(server.asked) == 2


def test_another_file_in_its_place_is_told() -> None:
    with (
        serving(lambda handler, n: ranged(handler, 500_000 if n == 0 else None, f'"{n}"')) as (url, _),
        pytest.raises(StorageUnavailable, match="changed while it was fetched"),
    ):
        fetched(url)


def test_a_wrong_part_is_told() -> None:
    def act(handler: http.server.BaseHTTPRequestHandler, n: int) -> None:
        if n == 0:
            ranged(handler, 1000)
        else:
            send(handler, 206, BODY[5:], Content_Range=f"bytes 5-{len(BODY) - 1}/{len(BODY)}")

    with serving(act) as (url, _), pytest.raises(StorageUnavailable, match="another part"):
        fetched(url)


def test_what_never_ends_ends() -> None:
    with (
        serving(lambda handler, n: ranged(handler, 0 if n else 10)) as (url, server),
        pytest.raises(StorageUnavailable, match=rf"broke off after 10 of {len(BODY)} bytes"),
    ):
        fetched(url)
    assert len(server.asked) <= downloads.RESUMES + downloads.TRIES


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_busy_server_is_asked_again(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr(downloads.time, "sleep", waits.append)
    act: Act = lambda handler, n: send(handler, status, b"", Retry_After="7") if n < 2 else ranged(handler)  # noqa: E731
    with serving(act) as (url, server):
        assert fetched(url) == BODY
    assert len(server.asked) == 3 and waits == [7.0, 7.0]


def test_waits_grow_and_dates_count(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr(downloads, "WAITS", (0.5, 2.0))
    monkeypatch.setattr(downloads.time, "sleep", waits.append)
    with serving(lambda handler, _: send(handler, 503, b"")) as (url, server):
        with pytest.raises(StorageUnavailable, match=r"answers 503 \(3 tries\)"):
            fetched(url)
        assert (len(server.asked) == 3 and waits == [2.0, 2.0]) or waits == [0.5, 2.0]
    soon = f"{datetime.now(UTC) + timedelta(seconds=20):%a, %d %b %Y %H:%M:%S} GMT"
    assert 15 < (web_answers._asked_wait(soon) or 0) <= 20
    assert web_answers._asked_wait("soon") is None


def test_a_server_that_asks_for_an_hour_is_told() -> None:
    with (
        serving(lambda handler, _: send(handler, 503, b"", Retry_After="3600")) as (url, server),
        pytest.raises(StorageUnavailable, match="asks us to wait 3600 seconds"),
    ):
        fetched(url)
    assert len(server.asked) == 1


def test_what_is_not_there_is_asked_for_once() -> None:
    with serving(lambda handler, _: send(handler, 404, b"")) as (url, server), pytest.raises(NoSuchObject):
        fetched(url)
    assert len(server.asked) == 1


def test_one_connection_is_kept() -> None:
    with serving(lambda handler, _: ranged(handler)) as (url, server):
        reader = HttpReader(url, NetworkGuard(()))
        for _ in range(5):
            assert b"".join(reader.chunks("file")) == BODY
    assert server.connections == 1


def test_a_drip_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "SLOW_FOR", 1.0)

    def drip(handler: http.server.BaseHTTPRequestHandler, _: int) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "1000000")
        handler.end_headers()
        for _ in range(100):
            handler.wfile.write(b"x")
            handler.wfile.flush()
            time.sleep(0.1)

    began = time.monotonic()
    with serving(drip) as (url, _), pytest.raises(StorageUnavailable, match="would never end"):
        fetched(url)
    assert time.monotonic() - began < 8


def test_redirects_pass_the_policy_and_never_leave_https(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(lambda handler, _: ranged(handler)) as (target, _):
        other = target.replace("127.0.0.1", "localhost")
        with serving(lambda handler, _: send(handler, 302, b"", Location=f"{other}/x")) as (url, _):
            with pytest.raises(PolicyViolation, match="localhost"):
                fetched(url)
            allowed = HttpReader(url, NetworkGuard(("localhost",)))
            assert b"".join(allowed.chunks("file")) == BODY
        context = certified(tmp_path, monkeypatch)
        with (
            serving(lambda handler, _: send(handler, 302, b"", Location=f"{target}/x"), context) as (url, _),
            pytest.raises(PolicyViolation, match="not followed"),
        ):
            fetched(url)
    with (
        serving(lambda handler, _: send(handler, 302, b"", Location="/again")) as (url, server),
        pytest.raises(StorageUnavailable, match="more than 5 times"),
    ):
        fetched(url)
    assert len(server.asked) == 6


def certified(folder: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """A server's certificate, signed by itself, which SSL_CERT_FILE makes an authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(True, None), True)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "server.pem").write_bytes(private + pem)
    (folder / "authority.pem").write_bytes(pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(folder / "authority.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    return context


def test_certificates_are_judged_by_the_authorities_of_the_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = certified(tmp_path, monkeypatch)
    with serving(lambda handler, _: ranged(handler), context) as (url, server):
        assert fetched(url) == BODY
        monkeypatch.delenv("SSL_CERT_FILE")
        with pytest.raises(StorageUnavailable, match="certificate does not hold") as told:
            fetched(url)
        assert "SSL_CERT_FILE" in told.value.hint and len(server.asked) == 1


def test_the_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str | None] = []

    def proxy(handler: http.server.BaseHTTPRequestHandler, _: int) -> None:
        seen.append(handler.headers.get("Proxy-Authorization"))
        ranged(handler)

    with serving(proxy) as (url, server):
        monkeypatch.setenv("http_proxy", url.replace("//", "//ann:secret@"))
        assert fetched("http://releases.example/base") == BODY
        assert server.asked == [("http://releases.example/base/file", None)] and seen == ["Basic YW5uOnNlY3JldA=="]
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        assert fetched(url) == BODY and server.asked[-1][0] == "/file"
    with serving(lambda handler, _: send(handler, 407, b"")) as (url, _):
        monkeypatch.setenv("http_proxy", url)
        with pytest.raises(StorageUnavailable, match="the proxy wants a login"):
            fetched("http://releases.example")
    monkeypatch.setenv("http_proxy", "socks5://127.0.0.1:1")
    with pytest.raises(Exception, match="is no http one"):
        fetched("http://releases.example")


def test_a_proxy_or_server_that_is_not_there_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StorageUnavailable, match=r"^http://127\.0\.0\.1:9/file: Connection refused( \(\d tries\))?$"):
        fetched("http://127.0.0.1:9")
    with pytest.raises(StorageUnavailable, match=r"^http://x\.invalid/file: there is no host of that name"):
        fetched("http://x.invalid")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with pytest.raises(StorageUnavailable, match=r"the proxy 127\.0\.0\.1 does not serve"):
        fetched("http://releases.example")
