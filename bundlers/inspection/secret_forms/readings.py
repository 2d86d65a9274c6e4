"""The texts in some bytes: as they are, wide strings of programs (UTF-16), and what base64 holds, line breaks or not.

What is found is read again, for a key in base64 may stand in a wide string; three deep is enough.

    for reading in readings(window): reading.text, reading.at(place)
"""

from __future__ import annotations

import binascii
import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from attest.core.values import dataclass

_DEPTH = 3
_WIDE, _CODED = 8, 28
"""The shortest wide string and the shortest base64 that are looked into."""
_LONGEST = 1 << 20
_PRINTED = np.zeros(256, np.bool_)
_PRINTED[[9, 10, 13, *range(32, 127)]] = True
_ALPHABET = np.zeros(256, np.bool_)
_ALPHABET[list(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_")] = True
GAP = rb"(?:\\{1,8}[nr]|%0[AaDd]|&#(?:x0?[aAdD]|1[03]);|[\s\"',\\])"
"""What may stand between two lines of base64."""
_BREAK = rb"(?:\+|" + GAP + rb")"
LINES = re.compile(
    rb"[A-Za-z0-9+/_-]{16,}(?:"
    + _BREAK
    + rb"{1,40}[A-Za-z0-9+/_-]{16,})*(?:"
    + _BREAK
    + rb"{1,40}[A-Za-z0-9+/_-]{1,15})?"
)
_MAY_BREAK = frozenset(b"+\\%&\"', \t\n\r\v\f")
"""How a break may begin."""
_BREAKS = re.compile(GAP)
_PLUS = re.compile(rb"[\"'][\s\\]{0,40}\+[\s\\]{0,40}[\"']")
"""Between two parts of a text that a program puts together; elsewhere it is a letter of base64."""


_Piece = tuple[int, bytes, int]
"""Where it begins, the text, and how many bytes of the origin one byte of it takes; 0 = all of it is there."""
_BETWEEN = b"\xff\n"


@dataclass(frozen=True, slots=True)
class Reading:
    """A text, and where its places are in the bytes that it was read from."""

    text: bytes
    at: Callable[[int], int]


def readings(window: bytes) -> Iterator[Reading]:
    """The bytes themselves first, then all wide strings and all base64 of them, joined, and so on."""
    reading = Reading(window, lambda place: place)
    yield reading
    for _ in range(_DEPTH):
        pieces = [*_wide(reading.text), *_coded(reading.text)]
        if not pieces:
            return
        reading = _joined(pieces, reading.at)
        yield reading


def _joined(pieces: list[_Piece], outer: Callable[[int], int]) -> Reading:
    starts = list(accumulate((len(text) + len(_BETWEEN) for _, text, _ in pieces), initial=0))

    def at(place: int) -> int:
        number = min(bisect_right(starts, place) - 1, len(pieces) - 1)
        start, _, step = pieces[number]
        return outer(start + step * (place - starts[number]))

    return Reading(_BETWEEN.join(text for _, text, _ in pieces), at)


def _runs(mask: NDArray[np.bool_], shortest: int) -> Iterator[tuple[int, int]]:
    """(start, end) of what is true for so long."""
    edges = np.flatnonzero(mask[1:] != mask[:-1]) + 1
    edges = np.concatenate(([0] if mask[:1].any() else [], edges, [len(mask)] if mask[-1:].any() else [])).astype(int)
    starts, ends = edges[::2], edges[1::2]
    kept = ends - starts >= shortest
    yield from zip(starts[kept].tolist(), ends[kept].tolist(), strict=True)


def _wide(window: bytes) -> Iterator[_Piece]:
    """Wide strings of both byte orders: letters with zeros between them."""
    if window.count(0) < _WIDE:
        return
    raw = np.frombuffer(window, np.uint8)
    between = _PRINTED.take(raw[:-1], mode="wrap") & (raw[1:] == 0)
    for first in (0, 1):
        for start, end in _runs(between[first::2], _WIDE):
            low, high = first + 2 * start, first + 2 * end + 1
            last = window[high - 1 : high]  # the last letter of the other byte order has no zero after it
            keep = high if last and _PRINTED[last[0]] else high - 1
            yield low, window[low:keep:2], 2


def _coded(window: bytes) -> Iterator[_Piece]:
    """What base64 holds; its place is where the base64 begins."""
    raw = np.frombuffer(window, np.uint8)
    done = 0
    for start, end in _runs(_ALPHABET.take(raw, mode="wrap"), _CODED):
        if start < done:
            continue
        if end - start <= _LONGEST and (end == len(window) or window[end] not in _MAY_BREAK):  # most are one line
            done = end
            yield start, decoded(window[start:end]), 0
            continue
        found = LINES.match(window, start, min(len(window), start + _LONGEST))
        done = found.end() if found else end
        if found and done > end:
            yield start, decoded(unbroken(found[0])), 0
        yield start, decoded(window[start : min(done, end)]), 0


def unbroken(text: bytes) -> bytes:
    """Lines of base64 as one, without what stands between them in a program or a document."""
    return _BREAKS.sub(b"", _PLUS.sub(b"", text))


def decoded(text: bytes) -> bytes:
    """What base64 of either alphabet stands for, padded or not."""
    plain = text.translate(_COMMON)
    left = len(plain) % 4
    if left:
        plain = plain[:-1] if left == 1 else plain + b"=" * (4 - left)
    return binascii.a2b_base64(plain)


_COMMON = bytes.maketrans(b"-_", b"+/")
