"""A public witness as c2sp.org/tlog-witness wants it, written from that page alone: none of our code reads or checks.

with serving(C2spWitness(private, "witness.example/w1", {origin: [public]})) as url:
    ...                                   # POST url/add-checkpoint
"""

from __future__ import annotations

import base64
import hashlib
import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

Answer = tuple[int, str, bytes]
"""Status, Content-Type, body."""
EMPTY = hashlib.sha256(b"").digest()


class Refuse(Exception):
    """An answer that is no line."""

    def __init__(self, status: int, kind: str = "text/plain", body: bytes = b"") -> None:
        super().__init__(status)
        self.answer = status, kind, body


@dataclass
class C2spWitness:
    """Its key, the logs that it knows, and what it signed of each."""

    key: Ed25519PrivateKey
    name: str
    logs: Mapping[str, list[bytes]]
    """Origin -> raw Ed25519 keys."""
    signed: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    shown: dict[str, bytes] = field(default_factory=dict)
    asked: list[bytes] = field(default_factory=list)
    clock: float | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, body: bytes) -> Answer:
        """To `add-checkpoint`."""
        self.asked.append(body)
        try:
            with self.lock:
                return 200, "text/plain", self._sign(body)
        except Refuse as no:
            return no.answer

    def _sign(self, body: bytes) -> bytes:
        old, proof, note = _request(body)
        text, separator, lines = note.rpartition(b"\n\n")
        if not separator:
            raise Refuse(400)
        text += b"\n"
        origin, size, root = _checkpoint(text)
        self._check_signed(origin, text, lines)
        if old > size:
            raise Refuse(400)
        known, before = self.signed.get(origin, (0, EMPTY))
        if old != known:
            raise Refuse(409, "text/x.tlog.size", b"%d\n" % known)
        if size == 0 and root != EMPTY:
            raise Refuse(422)
        if not continues(old, size, proof, before, root):
            raise Refuse(422)
        self.signed[origin] = size, root
        line = self.line(text)
        self.shown[hashlib.sha256(origin.encode()).hexdigest()] = note + line
        return line

    def _check_signed(self, origin: str, text: bytes, lines: bytes) -> None:
        if origin not in self.logs:
            raise Refuse(404)
        valid = 0
        for line in lines.decode().splitlines():
            match = re.fullmatch("\u2014 ([^ +]+) ([A-Za-z0-9+/=]+)", line)
            if match is None:
                raise Refuse(400)
            raw = base64.b64decode(match[2], validate=True)
            for public in self.logs[origin]:
                if (match[1], raw[:4]) == (origin, key_id(origin, 1, public)):
                    try:
                        Ed25519PublicKey.from_public_bytes(public).verify(raw[4:], text)
                    except InvalidSignature:
                        raise Refuse(403) from None
                    valid += 1
        if not valid:
            raise Refuse(403)

    def line(self, text: bytes) -> bytes:
        """Its own line below a checkpoint."""
        seconds = int(time.time() if self.clock is None else self.clock)
        signature = self.key.sign(b"cosignature/v1\ntime %d\n" % seconds + text)
        raw = key_id(self.name, 4, self.public) + seconds.to_bytes(8, "big") + signature
        return f"\u2014 {self.name} {base64.b64encode(raw).decode()}\n".encode()

    @property
    def public(self) -> bytes:
        """Its raw key."""
        return self.key.public_key().public_bytes_raw()

    @property
    def vkey(self) -> str:
        """As its operator tells it."""
        typed = b"\x04" + self.public
        return f"{self.name}+{key_id(self.name, 4, self.public).hex()}+{base64.b64encode(typed).decode()}"


def key_id(name: str, kind: int, public: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\n" + bytes([kind]) + public).digest()[:4]


def continues(old: int, new: int, proof: list[bytes], old_root: bytes, new_root: bytes) -> bool:
    """RFC 6962, 2.1.2: SUBPROOF read back from its end."""
    if old == 0:
        return not proof
    left = list(proof)

    def roots(m: int, n: int, whole: bool) -> tuple[bytes, bytes]:
        if m == n:
            one = old_root if whole else left.pop()
            return one, one
        k = 1
        while 2 * k < n:
            k *= 2
        other = left.pop()
        if m <= k:
            was, now = roots(m, k, whole)
            return was, _node(now, other)
        was, now = roots(m - k, n - k, False)
        return _node(other, was), _node(other, now)

    try:
        found = roots(old, new, True)
    except IndexError:
        return False
    return not left and found == (old_root, new_root)


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def _request(body: bytes) -> tuple[int, list[bytes], bytes]:
    head, separator, note = body.partition(b"\n\n")
    first, *rest = head.split(b"\n")
    match = re.fullmatch(rb"old (0|[1-9][0-9]*)", first)
    if not separator or match is None or len(rest) > 63:
        raise Refuse(400)
    try:
        proof = [base64.b64decode(line, validate=True) for line in rest]
    except ValueError:
        raise Refuse(400) from None
    if any(len(one) != 32 or base64.b64encode(one) != line for one, line in zip(proof, rest, strict=True)):
        raise Refuse(400)
    return int(match[1]), proof, note


def _checkpoint(text: bytes) -> tuple[str, int, bytes]:
    try:
        lines = text.decode().split("\n")
    except UnicodeDecodeError:
        raise Refuse(400) from None
    plain = not any(ord(char) < 0x20 for line in lines for char in line)
    if len(lines) != 4 or lines[-1] or not all(lines[:3]) or not plain:  # extension lines: not of ours
        raise Refuse(400)
    root = base64.b64decode(lines[2], validate=True)
    if not re.fullmatch(r"0|[1-9][0-9]*", lines[1]) or len(root) != 32 or re.search(r"[\s+]", lines[0]):
        raise Refuse(400)
    return lines[0], int(lines[1]), root


@contextmanager
def serving(witness: C2spWitness, *, prefix: str = "") -> Iterator[str]:
    """Its submission prefix, which is the one for monitors too."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            """No talk."""

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self._send(*(witness.answer(body) if self.path == f"{prefix}/add-checkpoint" else (404, "text/plain", b"")))

        def do_GET(self) -> None:
            note = witness.shown.get(self.path.removeprefix(f"{prefix}/").removesuffix("/checkpoint"))
            self._send(404 if note is None else 200, "text/plain", note or b"")

        def _send(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}{prefix}"
    finally:
        server.shutdown()
        server.server_close()
