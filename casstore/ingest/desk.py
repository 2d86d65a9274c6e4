"""Hands files out to the crew and digests back to their folders.

All files of one size go to one worker, so equal files meet there. A worker gets work in
batches; which one gets a new size is decided by who has least.

    desk = Desk(crew, settle, advance)
    desk.add(folder)
    desk.flush()
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from casstore.ingest.crew import Crew
from casstore.ingest.files import size_of
from casstore.ingest.walk import Folder
from casstore.ingest.worker import Answer

_BATCH_FILES = 256
_BATCH_BYTES = 8 * 1024 * 1024
_FILE_COST = 16 * 1024
"""Reading one file costs about as much as hashing this many bytes."""

Part = tuple[Folder, list[int]]


class Desk:
    """See the module; `settle(folder)` is called when a folder has all its digests."""

    def __init__(self, crew: Crew, settle: Callable[[Folder], None], advance: Callable[[int, int, int], None]) -> None:
        self._crew = crew
        self._settle = settle
        self._advance = advance
        self._open: list[list[Part]] = [[] for _ in range(crew.size)]
        self._files = [0] * crew.size
        self._bytes = [0] * crew.size
        self._total = [0] * crew.size
        self._sent: list[deque[list[Part]]] = [deque() for _ in range(crew.size)]
        self._by_size: dict[int, int] = {}

    def add(self, folder: Folder, wanted: list[int]) -> None:
        """The files at these places of a folder have no digest yet; they are among its `pending`."""
        current: list[list[int] | None] = [None] * self._crew.size
        sizes, by_size, total = folder.sizes, self._by_size, self._total
        for at in wanted:
            size = sizes[at]
            number = by_size.get(size)
            if number is None:
                number = by_size[size] = total.index(min(total))
            total[number] += size + _FILE_COST
            part = current[number]
            if part is None:
                part = current[number] = []
                self._open[number].append((folder, part))
            part.append(at)
            self._files[number] += 1
            self._bytes[number] += size
            if self._files[number] >= _BATCH_FILES or self._bytes[number] >= _BATCH_BYTES:
                current[number] = None
                self._send(number)

    def flush(self) -> None:
        """Send what is left and wait for every answer."""
        for number in range(self._crew.size):
            self._send(number)
        while any(self._sent):
            self._collect(wait=True)

    def _send(self, number: int) -> None:
        parts = self._open[number]
        if not parts:
            return
        batch = [
            [folder.path, [folder.names[at] for at in part], b"".join([folder.signs[at] for at in part])]
            for folder, part in parts
        ]
        self._sent[number].append(parts)
        self._open[number] = []
        self._files[number] = self._bytes[number] = 0
        self._crew.send(number, batch)
        self._collect(wait=False)

    def _collect(self, *, wait: bool) -> None:
        for number, answer in self._crew.answers(wait=wait):
            self._enter(self._sent[number].popleft(), answer)

    def _enter(self, parts: list[Part], answer: Answer) -> None:
        for offset, sign, mode in answer.changed:
            _correct(parts, offset, sign, mode)
        digests, total, offset = answer.digests, 0, 0
        for folder, part in parts:
            for at in part:
                folder.digests[at] = digests[offset : offset + 32]
                total += folder.sizes[at]
                offset += 32
            folder.pending -= len(part)
            if not folder.pending:
                self._settle(folder)
        self._advance(offset // 32, total, answer.new_bytes)


def _correct(parts: list[Part], offset: int, sign: bytes, mode: int) -> None:
    """A file was not what the walk had seen: what it was when it was read counts."""
    for folder, part in parts:
        if offset < len(part):
            folder.signs[part[offset]] = sign
            folder.sizes[part[offset]] = size_of(sign)
            folder.executable[part[offset]] = mode & 0o100 != 0
            return
        offset -= len(part)
