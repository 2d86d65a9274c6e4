"""Deflate in pieces: one valid stream whose bytes depend on the input and the level alone.

The input is cut every MiB; each piece is compressed by itself with the 32 KiB before it as
dictionary and ends on a byte boundary (a sync flush), the last one ends the stream. So pieces can
be compressed in threads, as pigz does it (https://zlib.net/pigz/).
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator

from bundlers.formats.parallel import in_order

LEVEL = 6
_WINDOW = 32 * 1024


def compressed(pieces: Iterable[bytes], workers: int) -> Iterator[bytes]:
    """Raw deflate of exact pieces (`tar_stream.grouped`)."""
    return in_order(_compress, _with_context(pieces), workers)


def _with_context(pieces: Iterable[bytes]) -> Iterator[tuple[bytes, bytes, bool]]:
    before, held = b"", None
    for piece in pieces:
        if held is not None:
            yield before, held, False
            before = held[-_WINDOW:]
        held = piece
    yield before, held or b"", True


def _compress(job: tuple[bytes, bytes, bool]) -> bytes:
    dictionary, piece, last = job
    engine = zlib.compressobj(LEVEL, zlib.DEFLATED, -15, 8, zlib.Z_DEFAULT_STRATEGY, dictionary)
    return engine.compress(piece) + engine.flush(zlib.Z_FINISH if last else zlib.Z_SYNC_FLUSH)
