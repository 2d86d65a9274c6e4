"""The network policy: which hosts this process may reach, and the refusal before a socket opens.

Every client of ours asks `NetworkGuard.check(url)` first. `installed()` is the second line: while
it is active, this process (libraries included) can connect and resolve only what is allowed.

    guard = NetworkGuard(("releases.example", "*.storage.example:443"))
    guard.check("https://releases.example/x")
    NetworkGuard((), offline=True).check("https://releases.example")     # PolicyViolation
"""

from __future__ import annotations

import ipaddress
import socket
import urllib.parse
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from casstore.errors import PolicyViolation

_PORTS = {"http": 80, "https": 443}


class NetworkGuard:
    """An allowlist of hosts: `host`, `host:port`, `*.suffix`, `*.suffix:port`; nothing else is allowed."""

    def __init__(self, allow: Sequence[str] = (), *, offline: bool = False) -> None:
        self.allow = tuple(entry.lower() for entry in allow)
        self.offline = offline

    def check(self, url_or_host: str) -> None:
        """Return when the host is allowed. Raises PolicyViolation; no socket was opened."""
        host, port = _split(url_or_host)
        if self.offline:
            raise PolicyViolation(f"{host}: --offline opens no socket", hint="leave out --offline, or use a local copy")
        if not any(_matches(entry, host, port) for entry in self.allow):
            raise PolicyViolation(
                f"{host}: not allowed by the network policy",
                hint=f'add "{host}" to [network] allow in casstore.toml',
            )

    @contextmanager
    def installed(self) -> Iterator[None]:
        """While active, every connection and name look-up of this process passes `check`."""
        originals = (socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo)
        known: set[str] = set()

        def resolve(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
            name = host.decode() if isinstance(host, bytes) else host
            if name:
                self.check(_join(name, port))
            found = originals[2](host, port, *args, **kwargs)
            known.update(str(row[4][0]) for row in found)
            return found

        socket.socket.connect = _guarded(originals[0], self, known)  # type: ignore[method-assign]
        socket.socket.connect_ex = _guarded(originals[1], self, known)  # type: ignore[method-assign]
        socket.getaddrinfo = resolve
        try:
            yield
        finally:
            socket.socket.connect, socket.socket.connect_ex = originals[0], originals[1]  # type: ignore[method-assign]
            socket.getaddrinfo = originals[2]


def _guarded(original: Callable[..., Any], guard: NetworkGuard, known: set[str]) -> Callable[..., Any]:
    def connect(self: socket.socket, address: Any) -> Any:
        if self.family in (socket.AF_INET, socket.AF_INET6) and str(address[0]) not in known:
            guard.check(_join(str(address[0]), address[1]))
        return original(self, address)

    return connect


def _join(host: str, port: object) -> str:
    name = f"[{host}]" if ":" in host else host
    return f"{name}:{port}" if port else name


def _split(url_or_host: str) -> tuple[str, int | None]:
    parts = urllib.parse.urlsplit(url_or_host if "://" in url_or_host else f"//{url_or_host}")
    try:
        port = parts.port or _PORTS.get(parts.scheme)
    except ValueError as exc:
        raise PolicyViolation(f"{url_or_host[:200]}: its port is no number") from exc
    if not parts.hostname:
        raise PolicyViolation(f"{url_or_host[:200]}: no host can be read from it")
    return parts.hostname.lower().rstrip("."), port


def _matches(entry: str, host: str, port: int | None) -> bool:
    name, wanted = _entry(entry)
    if wanted is not None and wanted != port:
        return False
    if name.startswith("*."):
        return host.endswith(name[1:]) and not _is_address(host)
    return host == name


def _entry(entry: str) -> tuple[str, int | None]:
    if entry.startswith("["):
        name, _, rest = entry[1:].partition("]")
        return name, int(rest[1:]) if rest.startswith(":") else None
    if entry.count(":") > 1:
        return entry, None
    name, _, port = entry.partition(":")
    return name.rstrip("."), int(port) if port.isdigit() else None


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
