"""The network policy: which hosts this process may reach, and the refusal before a socket opens.

Every client of ours asks `NetworkGuard.check(url)` first. `installed()` is the second line: while
it is active, this process can connect and resolve only what is allowed, libraries included if they
use Python's sockets (those written in Rust or C are held by `check` alone). Loopback is a host like
any other, it must be allowed too.

    guard = NetworkGuard(("releases.example", "*.storage.example:443"))
    guard.check("https://releases.example/x")
    NetworkGuard((), offline=True).check("https://releases.example")     # PolicyViolation
"""

from __future__ import annotations

import ipaddress
import re
import socket
import urllib.parse
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from casstore.errors import PolicyViolation

_PORTS = {"http": 80, "https": 443}
_NAME = re.compile(r"(\*\.)?[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*")
_DOUBTFUL = re.compile(r"[\x00-\x20\x7f\\]")
"""What two readers of a URL do not understand alike: the one that checks and the one that connects."""

Known = set[tuple[str, int | None]]


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
                f"{host}: not allowed by the network policy; nobody named it, something led there",
                hint=f'if it is right, add "{host}" to [network] allow in casstore.toml',
            )

    def named(self, *urls: str) -> NetworkGuard:
        """This policy, and the hosts and ports of URLs that a person named: what somebody types is allowed.

        A command line, the environment, store and destinations of one's own casstore.toml name; content,
        redirects, builds, hooks and gates lead, and are held by the allowlist.
        """
        places = [_split(url) for url in urls]
        places += [(host, 443) for host, port in places if port == 80]  # the same server, one step safer
        return NetworkGuard((*self.allow, *(_join(host, port) for host, port in places)), offline=self.offline)

    @contextmanager
    def installed(self) -> Iterator[None]:
        """While active, every connection, datagram and name look-up of this process passes `check`.

        For the whole process, threads included; several nest, and all of them must allow.
        """
        known: Known = set()
        with ExitStack() as undo:
            for name in ("connect", "connect_ex", "sendto", "sendmsg"):
                _replace(undo, socket.socket, name, _guarded(getattr(socket.socket, name), self, known))
            for name in ("gethostbyname", "gethostbyname_ex", "gethostbyaddr"):
                _replace(undo, socket, name, _checked(getattr(socket, name), self))
            _replace(undo, socket, "getaddrinfo", _resolver(socket.getaddrinfo, self, known))
            yield


def entry_problem(entry: str) -> str:
    """What is wrong with an entry of the allowlist; empty when it is well."""
    name, port = _entry(entry.lower())
    if port is not None and not 0 < port < 65536:
        return f"{port} is no port"
    if _is_address(name) or (len(name) <= 255 and _NAME.fullmatch(name)):
        return ""
    return "write host, host:port, *.suffix or *.suffix:port, without scheme and path"


def _replace(undo: ExitStack, owner: Any, name: str, function: Callable[..., Any]) -> None:
    own = vars(owner).get(name)  # socket.socket inherits these methods from C
    setattr(owner, name, function)
    undo.callback(setattr, owner, name, own) if own is not None else undo.callback(delattr, owner, name)


def _guarded(original: Callable[..., Any], guard: NetworkGuard, known: Known) -> Callable[..., Any]:
    """A socket's method; its address comes last. What a checked look-up answered is known."""

    def call(self: socket.socket, *args: Any) -> Any:
        address = args[-1] if args else None
        plain = original.__name__ == "sendmsg" and len(args) < 4  # buffers, and no address
        if self.family in (socket.AF_INET, socket.AF_INET6) and isinstance(address, tuple) and not plain:
            host = address[0].decode() if isinstance(address[0], bytes | bytearray) else str(address[0])
            port = int(address[1])
            if guard.offline or not {(host, port), (host, None)} & known:
                guard.check(_join(host, port))
        return original(self, *args)

    call.__name__ = original.__name__
    return call


def _checked(original: Callable[..., Any], guard: NetworkGuard) -> Callable[..., Any]:
    def call(host: str) -> Any:
        guard.check(_join(host, None))
        return original(host)

    return call


def _resolver(original: Callable[..., Any], guard: NetworkGuard, known: Known) -> Callable[..., Any]:
    def call(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if name:
            guard.check(_join(name, port))
        found = original(host, port, *args, **kwargs)
        if name:
            known.update((str(row[4][0]), int(row[4][1]) or None) for row in found)
        return found

    return call


def _join(host: str, port: object) -> str:
    name = f"[{host}]" if ":" in host else host
    number = _service(port) if isinstance(port, str | bytes) else port
    return f"{name}:{number}" if number else name


def _service(name: str | bytes) -> str:
    text = name.decode() if isinstance(name, bytes) else name
    return str(_PORTS.get(text, text))


def _split(url_or_host: str) -> tuple[str, int | None]:
    shown = url_or_host[:200]
    if _DOUBTFUL.search(url_or_host):
        raise PolicyViolation(f"{shown!r}: blanks, control characters and backslashes do not belong in a URL")
    try:
        parts = urllib.parse.urlsplit(url_or_host if "://" in url_or_host else f"//{url_or_host}")
        port = parts.port or _PORTS.get(parts.scheme)
    except ValueError as exc:
        raise PolicyViolation(f"{shown}: no host and port can be read from it") from exc
    if not parts.hostname:
        raise PolicyViolation(f"{shown}: no host can be read from it")
    return parts.hostname.lower().rstrip("."), port


def _matches(entry: str, host: str, port: int | None) -> bool:
    name, wanted = _entry(entry)
    if wanted is not None and wanted != port:
        return False
    if name.startswith("*."):
        return host.endswith(name[1:]) and not (_is_address(host) or host.rpartition(".")[2].isdigit())
    return host == name


def _entry(entry: str) -> tuple[str, int | None]:
    if entry.startswith("["):
        name, _, rest = entry[1:].partition("]")
        return name, int(rest[1:]) if rest[:1] == ":" and rest[1:].isdecimal() else None
    if entry.count(":") > 1:
        return entry, None
    name, _, port = entry.partition(":")
    return (name.rstrip("."), int(port)) if port.isdecimal() else (entry.rstrip("."), None)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
