"""How far two open files are equal around two places.

equal_from(a, b, 100, 7)        # bytes from there on
equal_before(a, b, 100, 7)      # bytes just before
"""

from __future__ import annotations

from typing import IO

import numpy as np

_FIRST, _PIECE = 4096, 256 * 1024


def equal_from(a: IO[bytes], b: IO[bytes], at_a: int, at_b: int) -> int:
    """How many bytes are equal from here on."""
    length, size = 0, _FIRST
    while True:
        one, two = _at(a, at_a + length, size), _at(b, at_b + length, size)
        count = min(len(one), len(two))
        if not count or one != two:
            return length + _first_difference(one[:count], two[:count])
        length += count
        size = _PIECE


def equal_before(a: IO[bytes], b: IO[bytes], at_a: int, at_b: int) -> int:
    """How many bytes are equal just before here."""
    length, size = 0, _FIRST
    while count := min(size, at_a - length, at_b - length):
        one, two = _at(a, at_a - length - count, count), _at(b, at_b - length - count, count)
        if one != two:
            return length + _first_difference(one[::-1], two[::-1])
        length += count
        size = _PIECE
    return length


def _at(file: IO[bytes], place: int, size: int) -> bytes:
    """Both may be one file, so each is sought before it is read."""
    file.seek(place)
    return file.read(size)


def _first_difference(one: bytes, two: bytes) -> int:
    unequal = np.frombuffer(one, np.uint8) != np.frombuffer(two, np.uint8)
    return int(unequal.argmax()) if unequal.any() else len(one)
