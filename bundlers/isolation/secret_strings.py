"""Secrets in a stream of bytes, by the forms that issuers give their own tokens (`secret_rules`).

for secret in scan(stream): secret.rule, secret.fingerprint, secret.offset
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO

from bundlers.isolation import secret_rules

_PIECE = 1024 * 1024
_OVERLAP = secret_rules.LONGEST


@dataclass(frozen=True, slots=True)
class Secret:
    """A finding; the secret itself is not kept."""

    rule: str
    fingerprint: str
    offset: int
    place: str = ""
    """`!member/path` when it is inside an archive."""


def scan(stream: IO[bytes]) -> Iterator[Secret]:
    """The secrets in a stream, each one once; UTF-16 texts (wide strings of programs) included."""
    found: set[tuple[str, str]] = set()
    offset, tail = 0, b""
    while piece := stream.read(_PIECE):
        window, begin = tail + piece, offset - len(tail)
        last = len(piece) < _PIECE
        for view in _readings(window):
            for start, end, rule in secret_rules.matches(view.data):
                if view.at(end) >= len(window) and not last:
                    continue  # it may go on: the next window, which begins before it, sees it whole
                fingerprint = hashlib.sha256(view.data[start:end]).hexdigest()[:16]
                if (rule, fingerprint) not in found:
                    found.add((rule, fingerprint))
                    yield Secret(rule, fingerprint, begin + view.at(start))
        offset += len(piece)
        tail = window[-2 * _OVERLAP :]


@dataclass(frozen=True, slots=True)
class _Reading:
    """The bytes of a window under one encoding, and where they are in the window."""

    data: bytes
    at: Callable[[int], int]


def _readings(window: bytes) -> Iterator[_Reading]:
    yield _Reading(window, lambda place: place)
    if window.count(0) * 8 < len(window):
        return  # nothing like a wide string can fill an eighth of it
    for first in (0, 1):  # UTF-16LE at even and odd places; UTF-16BE is the other one
        wide = window[first::2]
        yield _Reading(wide, lambda place, first=first: 2 * place + first)  # type: ignore[misc]
