"""The network policy refuses before a socket opens, in our clients and in any library of this process."""

from __future__ import annotations

import http.server
import socket
import threading
import urllib.request
from collections.abc import Iterator

import pytest

from casstore.errors import PolicyViolation
from casstore.network.network import NetworkGuard, entry_problem


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
        ("*.1", "http://127.1", False),
        ("releases.example:https", "https://releases.example", False),
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


@pytest.mark.parametrize(
    "asked",
    [
        "",
        "https://",
        "https://host:port/",
        "https://[::1/",
        "https://evil\\@host/",  # some read the host before the backslash, some after the @
        "https://host\n.evil/",
        " https://host",
        "https://host/\x00",
    ],
)
def test_what_two_readers_may_read_differently_is_refused(asked: str) -> None:
    with pytest.raises(PolicyViolation):
        NetworkGuard(("*", "host")).check(asked)


@pytest.mark.parametrize(
    ("entry", "well"),
    [
        ("host", True),
        ("Releases.Example:443", True),
        ("*.example", True),
        ("*.example:8443", True),
        ("10.0.0.1", True),
        ("::1", True),
        ("[::1]:80", True),
        ("*", False),
        ("*.", False),
        ("a.*.example", False),
        ("https://host", False),
        ("host/path", False),
        ("host:99999", False),
        ("host:https", False),
        ("", False),
        ("-host", False),
        ("a" * 300, False),
    ],
)
def test_entries_of_the_list(entry: str, well: bool) -> None:
    assert (entry_problem(entry) == "") == well


def test_nothing_is_allowed_by_silence_and_offline_beats_the_list() -> None:
    with pytest.raises(PolicyViolation, match="not allowed by the network policy"):
        NetworkGuard().check("https://host")
    with pytest.raises(PolicyViolation):
        NetworkGuard(("host",), offline=True).check("https://host")


@pytest.fixture
def server() -> Iterator[int]:
    found = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
    threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
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


def test_offline_opens_nothing_at_all(server: int) -> None:
    before = {name: getattr(socket.socket, name) for name in ("connect", "connect_ex", "sendto", "sendmsg")}
    looks_up = (socket.getaddrinfo, socket.gethostbyname, socket.gethostbyname_ex, socket.gethostbyaddr)
    with NetworkGuard((f"127.0.0.1:{server}", "127.0.0.1"), offline=True).installed():
        with socket.socket(type=socket.SOCK_DGRAM) as datagrams:
            for send in (
                lambda: datagrams.sendto(b"x", ("127.0.0.1", server)),
                lambda: datagrams.sendto(b"x", 0, ("127.0.0.1", server)),
                lambda: datagrams.sendmsg([b"x"], [], 0, ("127.0.0.1", server)),
                lambda: datagrams.connect((b"127.0.0.1", server)),
            ):
                with pytest.raises(PolicyViolation):
                    send()
        for look_up in (socket.gethostbyname, socket.gethostbyname_ex, socket.gethostbyaddr):
            with pytest.raises(PolicyViolation):
                look_up("localhost")
    assert before == {name: getattr(socket.socket, name) for name in before}
    assert looks_up == (socket.getaddrinfo, socket.gethostbyname, socket.gethostbyname_ex, socket.gethostbyaddr)


def test_a_name_that_was_looked_up_for_one_port_opens_no_other(server: int) -> None:
    with NetworkGuard(("localhost:1",)).installed():
        socket.getaddrinfo("localhost", 1, socket.AF_INET)
        with pytest.raises(PolicyViolation), socket.socket() as plain:
            plain.connect(("127.0.0.1", server))
    with NetworkGuard((f"localhost:{server}",)).installed():
        socket.create_connection(("localhost", server)).close()


def test_guards_nest_and_all_must_allow(server: int) -> None:
    wide, narrow = NetworkGuard(("127.0.0.1",)), NetworkGuard(("127.0.0.1:1",))
    with wide.installed(), narrow.installed(), pytest.raises(PolicyViolation):
        socket.create_connection(("127.0.0.1", server))
    with narrow.installed(), wide.installed(), pytest.raises(PolicyViolation):
        socket.create_connection(("127.0.0.1", server))


def test_a_pair_of_sockets_inside_the_process_still_works() -> None:
    with NetworkGuard((), offline=True).installed():
        one, other = socket.socketpair()
        with one, other:
            one.sendmsg((b"a", b"b"))
            assert other.recv(9) == b"ab"


def test_what_a_person_names_is_allowed_by_that_and_nothing_beside_it() -> None:
    guard = NetworkGuard(()).named("https://releases.example/x", "http://mirror.example:8080")
    guard.check("https://releases.example/y")
    guard.check("http://mirror.example:8080/z")
    for other in (
        "https://releases.example:8443/",
        "http://releases.example/",
        "https://example/",
        "http://mirror.example/",
    ):
        with pytest.raises(PolicyViolation, match="nobody named it"):
            guard.check(other)
    NetworkGuard(()).named("http://releases.example").check("https://releases.example/")
    with pytest.raises(PolicyViolation):
        NetworkGuard((), offline=True).named("https://releases.example").check("https://releases.example/")
