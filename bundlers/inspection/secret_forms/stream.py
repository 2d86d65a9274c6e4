"""Secrets in a stream of any length, each one once.

for secret in scan(stream): secret.rule, secret.fingerprint, secret.offset
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import IO

from attest.core.values import dataclass
from bundlers.inspection.secret_forms.finding import matches
from bundlers.inspection.secret_forms.readings import readings
from bundlers.inspection.secret_forms.rules import LONGEST

_PIECE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Secret:
    """A finding; the secret itself is not kept."""

    rule: str
    fingerprint: str
    offset: int
    place: str = ""
    """`!member/path` when it is inside an archive."""


def scan(stream: IO[bytes]) -> Iterator[Secret]:
    """The secrets in a stream; wide strings and base64 are read too."""
    known: set[str] = set()
    offset, tail = 0, b""
    while piece := stream.read(_PIECE):
        window, begin = tail + piece, offset - len(tail)
        last = len(piece) < _PIECE
        for reading in readings(window):
            for found in matches(reading.text):
                if reading.at(found.end) >= len(window) and not last:
                    continue  # it may go on: the next window, which begins before it, sees it whole
                fingerprint = hashlib.sha256(found.value).hexdigest()[:16]
                if fingerprint not in known:
                    known.add(fingerprint)
                    yield Secret(found.rule, fingerprint, begin + reading.at(found.start))
        offset += len(piece)
        tail = window[-2 * LONGEST :]
