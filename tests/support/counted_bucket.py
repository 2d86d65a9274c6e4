"""A way to a bucket on which every request is counted and takes its time.

    with Proxy("http://127.0.0.1:9000", delay=0.025) as proxy:
        ...                                   # a client that talks to proxy.url
        proxy.take()                          # [("GET", "/bucket/packs/..."), ...] since the last call

A request is held for `delay` seconds before it goes on, as a distant server would hold it; those that come
side by side wait side by side. What is passed is not looked into.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Coroutine, Mapping
from typing import Any, Self
from urllib.parse import urlsplit

_CHUNK = 1 << 16


class Proxy:
    """Listens on loopback, in a thread of its own."""

    def __init__(self, backend: str, *, delay: float, reworded: Mapping[bytes, bytes] | None = None) -> None:
        """`reworded`: lines of a request's head that another server words otherwise, in lower case."""
        self._reworded = dict(reworded or {})
        self._host, self._port = urlsplit(backend).hostname, urlsplit(backend).port
        self.delay = delay
        self._seen: list[tuple[str, str]] = []
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self.url = ""

    def take(self) -> list[tuple[str, str]]:
        """Method and path of each request since the last call."""
        seen, self._seen = self._seen, []
        return seen

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._connected, "127.0.0.1", 0, limit=1 << 20))
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        self._ready.set()
        self._loop.run_forever()
        open_ends = asyncio.all_tasks(self._loop)
        for task in open_ends:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*open_ends, return_exceptions=True))
        self._loop.close()

    def _said(self, head: bytes) -> bytes:
        lines = head.split(b"\r\n")
        return b"\r\n".join(self._reworded.get(line.lower(), line) for line in lines)

    async def _connected(self, client_in: asyncio.StreamReader, client_out: asyncio.StreamWriter) -> None:
        server_out: asyncio.StreamWriter | None = None
        try:
            server_in, server_out = await asyncio.open_connection(self._host, self._port)
            while head := await _head(client_in):
                method, path, _ = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ", 2)
                self._seen.append((method, path))
                await asyncio.sleep(self.delay)
                server_out.write(self._said(head))
                sending = asyncio.ensure_future(_pass_body(client_in, server_out, head))
                answer = b"HTTP/1.1 100 "
                while answer.startswith(b"HTTP/1.1 100 "):
                    answer = await _head(server_in)
                    client_out.write(answer)
                await sending
                if method != "HEAD" and answer.split(b" ", 2)[1] not in (b"204", b"304"):
                    await _pass_body(server_in, client_out, answer, to_the_end=True)
                await client_out.drain()
                if b"connection: close" in answer.lower():
                    return
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError, ValueError, IndexError):
            pass  # either side has gone, or we end
        finally:
            for writer in (client_out, server_out):
                if writer is not None:
                    with contextlib.suppress(OSError):
                        writer.close()


async def _head(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as exc:
        if exc.partial:
            raise
        return b""


def _pass_body(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes, *, to_the_end: bool = False
) -> Coroutine[Any, Any, None]:
    fields = {}
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        fields[name.strip().lower()] = value.strip()
    if b"chunked" in fields.get(b"transfer-encoding", b""):
        return _chunks(reader, writer)
    if b"content-length" in fields:
        return _bytes(reader, writer, int(fields[b"content-length"]))
    return _bytes(reader, writer, 1 << 62 if to_the_end else 0)


async def _bytes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, left: int) -> None:
    while left and (data := await reader.read(min(left, _CHUNK))):
        writer.write(data)
        await writer.drain()
        left -= len(data)


async def _chunks(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    size = -1
    while size:
        line = await reader.readuntil(b"\r\n")
        size = int(line.partition(b";")[0], 16)
        writer.write(line)
        await _bytes(reader, writer, size + 2)
