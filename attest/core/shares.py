"""Shares of a channel's consumers: what a share may be, and whom it reaches (docs/formats/consumer-state.md).

Promises: whom a share reaches follows from the install id and the move that began it alone, so that neither who
promotes, nor a mirror, nor a consumer chooses; a greater share reaches all whom a smaller one reached.

    reaches(5, install_id, began)
"""

from __future__ import annotations

import hashlib
import re

from attest.core.fields import Fields
from attest.digests import Digest, to_raw
from attest.errors import FormatError

_DOMAIN = b"casstore-share/1\0"
_PERCENT = re.compile(r"(\d{1,3})\s*%", re.ASCII)


def check(percent: int, what: str) -> int:
    """Raises FormatError for what is no share."""
    if not 1 <= percent <= 99:
        raise FormatError(
            f"{what}: a share is a whole percentage from 1 to 99", hint="for all consumers leave the share out"
        )
    return percent


def percentage(text: str, what: str) -> int:
    """`"5%"`, as people write it. Raises FormatError."""
    match = _PERCENT.fullmatch(text.strip())
    if match is None:
        raise FormatError(f"{what}: not a percentage: {text[:60]!r}", hint='write "5%"')
    return check(int(match[1]), what)


def of(f: Fields) -> int | None:
    """The field `share`, None where it is left out: all of them. Raises FormatError."""
    return check(f.integer("share"), f.what) if f.has("share") else None


def told(share: int | None) -> str:
    """For people."""
    return "all of it" if share is None else f"{share}%"


def reaches(share: int, install_id: bytes, began: Digest) -> bool:
    """Whether a share of this many percent, which the move `began` began, reaches an installation."""
    drawn = hashlib.sha256(_DOMAIN + install_id + b"\0" + to_raw(began)).digest()
    return int.from_bytes(drawn[:8], "big") * 100 < share << 64
