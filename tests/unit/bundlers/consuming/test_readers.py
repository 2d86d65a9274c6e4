"""A web server that breaks off, refuses to speak or answers pages: each is told as what it is."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from bundlers.consuming.readers import open_reader, read_all
from casstore.errors import NoSuchObject, StorageUnavailable
from casstore.network.network import NetworkGuard

BODY = b"x" * 1000


@contextmanager
def serving(answer: bytes) -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.wfile.write(answer)
            self.close_connection = True

        def log_message(self, *args: object) -> None:
            """Nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(autouse=True)
def no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bundlers.consuming.downloads.WAITS", (0.0,))


def answered(head: str, body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\n" + head.encode() + b"\r\n\r\n" + body


@pytest.mark.parametrize(
    ("answer", "error", "told"),
    [
        (answered("Content-Length: 1000", BODY[:500]), StorageUnavailable, "broke off after 500 of 1000"),
        (answered("Transfer-Encoding: chunked", b"3e8\r\n" + BODY + b"\r\nff\r\nabc"), StorageUnavailable, "broke off"),
        (b"SSH-2.0-hello\r\n", StorageUnavailable, "does not speak HTTP"),
        (b"", StorageUnavailable, "does not speak HTTP"),
        (answered("Content-Type: text/html", b"<!doctype html>"), NoSuchObject, "web page"),
        (answered("Content-Encoding: gzip\r\nContent-Length: 3", b"abc"), StorageUnavailable, "gzip"),
    ],
)
def test_each_bad_answer_has_its_cause(answer: bytes, error: type[Exception], told: str) -> None:
    with serving(answer) as url:
        reader = open_reader(url, network=NetworkGuard(("127.0.0.1",)))
        with pytest.raises(error, match=told):
            read_all(reader, "metadata/timestamp.json", max_bytes=10_000)


def test_a_whole_answer_is_taken() -> None:
    with serving(answered("Content-Length: 1000", BODY)) as url:
        assert read_all(open_reader(url, network=NetworkGuard(("127.0.0.1",))), "a", max_bytes=10_000) == BODY
