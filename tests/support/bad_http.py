"""A web server that answers as broken servers, proxies and portals do; each answer is written byte by byte here.

with serving(folder, lambda path, body: HOWS["short"](body)) as url:
    ...
"""

from __future__ import annotations

import contextlib
import gzip
import socketserver
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import unquote

Answer = Callable[[bytes], bytes]


def _head(status: str, *lines: str) -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, "Connection: close", "", ""]).encode("latin-1")


def whole(body: bytes) -> bytes:
    """What a right server answers."""
    return _head("200 OK", f"Content-Length: {len(body)}") + body


def _half_chunk(body: bytes) -> bytes:
    half = body[: len(body) // 2]
    return _head("200 OK", "Transfer-Encoding: chunked") + b"%x\r\n%b\r\nff\r\nabc" % (len(half), half)


HOWS: dict[str, Answer] = {
    "nothing": lambda _: b"",
    "garbage": lambda _: b"SSH-2.0-hello\r\n",
    "binary": lambda _: bytes(range(256)) * 8,
    "status only": lambda _: b"HTTP/1.1 200 OK",
    "endless header": lambda _: b"HTTP/1.1 200 OK\r\nX: " + b"a" * 100_000,
    "many headers": lambda _: b"HTTP/1.1 200 OK\r\n" + b"X: a\r\n" * 500 + b"\r\n",
    "short": lambda body: _head("200 OK", f"Content-Length: {len(body)}") + body[: len(body) // 2],
    "no body": lambda body: _head("200 OK", f"Content-Length: {len(body)}"),
    "no length": lambda body: _head("200 OK") + body[: len(body) // 2],
    "length is a word": lambda body: _head("200 OK", "Content-Length: many") + body[: len(body) // 2],
    "length below zero": lambda body: _head("200 OK", "Content-Length: -1") + body[: len(body) // 2],
    "half a chunk": _half_chunk,
    "chunk without a size": lambda _: _head("200 OK", "Transfer-Encoding: chunked") + b"zz\r\nabc\r\n",
    "no content": lambda _: _head("204 No Content"),
    "partial": lambda body: _head("206 Partial Content", "Content-Length: 5") + body[:5],
    "not modified": lambda _: _head("304 Not Modified"),
    "redirect to nowhere": lambda _: _head("302 Found", "Location: http://[::1", "Content-Length: 0"),
    "redirect without a place": lambda _: _head("302 Found", "Content-Length: 0"),
    "proxy wants a login": lambda _: _head("407 Proxy Authentication Required", "Content-Length: 0"),
    "bad gateway": lambda _: _head("502 Bad Gateway", "Content-Length: 3") + b"no\n",
    "status 999": lambda _: _head("999 Whatever", "Content-Length: 0"),
    "gzip": lambda body: (
        _head("200 OK", "Content-Encoding: gzip", f"Content-Length: {len(gzip.compress(body))}") + gzip.compress(body)
    ),
}
"""Answers from which nobody can have the file whole."""


@contextlib.contextmanager
def serving(folder: Path, answer: Callable[[str, bytes], bytes]) -> Iterator[str]:
    """The URL of a server over a folder whose every file is answered by `answer(path, its bytes)`."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            line = self.rfile.readline(65536).split()
            while self.rfile.readline(65536).strip():
                pass
            path = unquote(line[1].decode("latin-1").lstrip("/")) if len(line) > 1 else ""
            file = folder / path
            self.wfile.write(
                answer(path, file.read_bytes()) if file.is_file() else _head("404 Not Found", "Content-Length: 0")
            )

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:  # else its thread turns over a closed socket for the rest of the run
            server.shutdown()
