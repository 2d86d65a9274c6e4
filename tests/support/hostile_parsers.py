"""Parsers that a test puts into a cell: good ones, and what code would do that foreign bytes have taken over."""

from __future__ import annotations

import ctypes
import os
import re
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from attest.errors import FormatError


def _read(blob: IO[bytes], asked: Any, scratch: Any, tell: Callable[[Any], None]) -> int:
    tell(asked)
    return len(blob.read())


def _spool(blob: IO[bytes], asked: Any, scratch: Any, tell: Callable[[Any], None]) -> list[bytes]:
    """Parts in parts, each of so many MiB; what the outer one holds at last."""
    with scratch.part() as outer:
        for _ in range(asked):
            outer.write(b"o" * (1 << 20))
        for fill in (b"1", b"2"):
            with scratch.part() as inner:
                for _ in range(asked):
                    inner.write(fill * (1 << 20))
                tell(inner.reader().read()[-1:])
        data = outer.reader()
        data.seek(-3, 2)
        return [data.read(), data.read()]


def _hang(blob: IO[bytes], asked: Any, scratch: Any, tell: Callable[[Any], None]) -> None:
    """Inside C code, that holds the interpreter's lock."""
    re.match(r"(a+)+$", "a" * 64 + "b")


def _eat(blob: IO[bytes], asked: Any, scratch: Any, tell: Callable[[Any], None]) -> int:
    return len(bytearray(asked))


def _crash(blob: IO[bytes], asked: Any, scratch: Any, tell: Callable[[Any], None]) -> None:
    ctypes.string_at(1)


def _refuse(blob: IO[bytes], asked: Any, scratch: Any, tell: Callable[[Any], None]) -> None:
    raise FormatError("no such form", hint="another one")


def _fail(blob: IO[bytes], asked: Any, scratch: Any, tell: Callable[[Any], None]) -> None:
    raise KeyError("a bug")


def _flood(blob: IO[bytes], asked: Any, scratch: Any, tell: Callable[[Any], None]) -> None:
    os.write(1, b"\xff\xff\xff\xff")


def _lie(blob: IO[bytes], asked: Any, scratch: Any, tell: Callable[[Any], None]) -> None:
    os.write(1, b"\0\0\0\5\xc1\xc1\xc1\xc1\xc1")


def _listen() -> None:
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))


_TRIES: dict[str, Callable[[], Any]] = {
    "read a file": lambda: Path("/etc/hostname").read_text(),
    "read a key": lambda: os.open(os.path.expanduser("~/.ssh/id_ed25519"), os.O_RDONLY),
    "list a folder": lambda: os.listdir("/"),
    "make a file": lambda: os.open("/tmp/made-in-a-cell", os.O_WRONLY | os.O_CREAT),
    "make a folder": lambda: os.mkdir("/tmp/made-in-a-cell"),
    "take a file away": lambda: os.unlink("/tmp/made-in-a-cell"),
    "make a link": lambda: os.symlink("/etc", "/tmp/made-in-a-cell"),
    "write the foreign bytes": lambda: os.write(3, b"x"),
    "a socket": socket.socket,
    "listen": _listen,
    "a local socket": lambda: socket.socketpair(),
    "fork": os.fork,
    "another program": lambda: os.execv("/bin/true", ["true"]),
    "signal its parent": lambda: os.kill(os.getppid(), signal.SIGTERM),
    "its parent's memory": lambda: Path(f"/proc/{os.getppid()}/environ").read_bytes(),
    "more of itself": lambda: os.setpriority(os.PRIO_PROCESS, os.getppid(), 19),
}


def _attack(blob: IO[bytes], asked: Any, scratch: Any, tell: Callable[[Any], None]) -> dict[str, str]:
    """Everything that is tried, and what came of it."""
    told = {}
    for name, attempt in _TRIES.items():
        try:
            attempt()
        except OSError as exc:
            told[name] = type(exc).__name__
        else:
            told[name] = "done"
    return told


def _know(blob: IO[bytes], asked: Any, scratch: Any, tell: Callable[[Any], None]) -> list[Any]:
    return [dict(os.environ), os.getpid()]


PARSERS = {
    "read": _read,
    "spool": _spool,
    "hang": _hang,
    "eat": _eat,
    "crash": _crash,
    "refuse": _refuse,
    "fail": _fail,
    "flood": _flood,
    "lie": _lie,
    "attack": _attack,
    "know": _know,
    "tries": lambda *_: [0, ["open files", "start processes"]],
}
