"""Deflate in pieces: one valid stream whose bytes depend on the input and the level alone.

The input is cut every 128 KiB; each piece is compressed by itself with the 32 KiB before it as
dictionary and ends on a byte boundary (a sync flush), the last one ends the stream. So pieces can
be compressed in threads, as pigz does it (https://zlib.net/pigz/).
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from typing import TypeAlias

from bundlers.formats.parallel import in_order

LEVEL = 6
PIECE = 128 * 1024
"""Of an update that changes few files little more is fetched; an archive gets no larger by it."""
WINDOW = 32 * 1024

Job: TypeAlias = tuple[bytes, bytes, bool]
"""The bytes before a piece, the piece, and whether it is the last one."""


def compressed(pieces: Iterable[bytes], workers: int) -> Iterator[bytes]:
    """Raw deflate of exact pieces (`tar_stream.grouped`)."""
    return in_order(compress, jobs(pieces), workers)


def jobs(pieces: Iterable[bytes]) -> Iterator[Job]:
    """What `compress` is to be called with, one after the other or in threads; at least one job."""
    before, held = b"", None
    for piece in pieces:
        if held is not None:
            yield before, held, False
            before = held[-WINDOW:]
        held = piece
    yield before, held or b"", True


def compress(job: Job) -> bytes:
    """One piece of the stream."""
    dictionary, piece, last = job
    engine = zlib.compressobj(LEVEL, zlib.DEFLATED, -15, 8, zlib.Z_DEFAULT_STRATEGY, dictionary)
    return engine.compress(piece) + engine.flush(zlib.Z_FINISH if last else zlib.Z_SYNC_FLUSH)
