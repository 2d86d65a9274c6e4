"""Messages between a put and its worker processes: four bytes of length, then msgpack.

send(fd, value)
value = receive(fd)      # None at the end of the pipe
"""

from __future__ import annotations

import os
from typing import Any

import msgpack


class Ended:
    """The other side has closed its end."""


ENDED = Ended()


def send(fd: int, value: Any) -> None:
    """Write one message. Raises BrokenPipeError when the other side is gone."""
    body = msgpack.packb(value)
    view = memoryview(len(body).to_bytes(4, "big") + body)
    while view:
        view = view[os.write(fd, view) :]


def receive(fd: int) -> Any:
    """Read one message; ENDED when there is none any more."""
    head = _exactly(fd, 4)
    if head is None:
        return ENDED
    body = _exactly(fd, int.from_bytes(head, "big"))
    return ENDED if body is None else msgpack.unpackb(body)


def _exactly(fd: int, size: int) -> bytes | None:
    parts = []
    while size:
        part = os.read(fd, size)
        if not part:
            return None
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
