"""One loopback server for all services, with the faults that networks and operators make.

A fault is set by service: `down` (the connection is cut), `slow` (no answer for a long time),
`error` (status 500), `garbage` (an answer that is no JSON and no DER).
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from .errors import Refused

FAULTS = ("down", "slow", "error", "garbage")
Route = Callable[[bytes, Mapping[str, str]], Any]


class Server:
    """Serves POST routes (path -> service name, function) and GET files."""

    def __init__(self) -> None:
        self.routes: dict[str, tuple[str, Route]] = {}
        self.files: dict[str, bytes] = {}
        self.faults: dict[str, str] = {}
        self.asked: list[str] = []
        self._lock, self._stopped = threading.Lock(), threading.Event()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._http.daemon_threads = True
        self.host = f"127.0.0.1:{self._http.server_port}"
        self.url = f"http://{self.host}"

    def start(self) -> None:
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def stop(self) -> None:
        self._stopped.set()
        self._http.shutdown()
        self._http.server_close()

    def answer(self, path: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes] | None:
        """Status and body; None cuts the connection."""
        if path not in self.routes:
            return 404, b"{}"
        service, route = self.routes[path]
        self.asked.append(service)
        fault = self.faults.get(service)
        if fault == "slow":
            self._stopped.wait(60)
        if fault in ("down", "slow"):
            return None
        if fault:
            return (500, b'{"message": "out of order"}') if fault == "error" else (201, b"\xff\x00 no answer")
        try:
            with self._lock:
                found = route(body, headers)
        except (Refused, ValueError, KeyError, TypeError) as exc:
            return 400, json.dumps({"code": 3, "message": f"{type(exc).__name__}: {exc}"}).encode()
        return 201, found if isinstance(found, bytes) else json.dumps(found).encode()


def _handler(server: Server) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # else each answer waits 40 ms for a delayed acknowledgement

        def log_message(self, *_: Any) -> None:
            """Quiet."""

        def do_GET(self) -> None:
            body = server.files.get(self.path)
            self._reply(404 if body is None else 200, body or b"")

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            found = server.answer(self.path, body, self.headers)
            if found is None:
                self.close_connection = True
                self.connection.close()
                return
            self._reply(*found)

        def _reply(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/timestamp-reply" if body[:1] == b"0" else "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    return Handler
