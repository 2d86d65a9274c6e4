"""What one look at a blob finds, as plain values that pass through a pipe and lie in a cache.

Unit.of_row(unit.to_row()) == unit
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from attest.core.values import dataclass
from attest.digests import Digest, from_raw, to_raw

_CONTROLS = bytes(set(range(32)) - set(b"\t\n\r\f\v\x1b\x08"))


@dataclass(frozen=True, slots=True)
class Limits:
    """Caps of one file (docs/isolation.md)."""

    max_depth: int = 4
    max_member: int = 256 << 20
    max_total: int = 8 << 30
    max_ratio: int = 1000

    def to_row(self) -> list[int]:
        """Plain values."""
        return [self.max_depth, self.max_member, self.max_total, self.max_ratio]


@dataclass(frozen=True, slots=True)
class Member:
    """One file inside."""

    path: str
    digest: Digest
    size: int
    encoded: bool = False
    """Whether it stands there as base64 or hex."""

    def to_row(self) -> list[Any]:
        """Plain values."""
        return [raw_of(self.path), to_raw(self.digest), self.size, self.encoded]

    @staticmethod
    def of_row(row: Sequence[Any]) -> Member:
        """The inverse."""
        path, raw, *rest = row
        return Member(text_of(path), from_raw(raw), *rest)


@dataclass(frozen=True, slots=True)
class Unit:
    """Bytes that were looked at: the blob itself (no path) or a member of it."""

    path: str
    marks: tuple[str, ...]
    """Of a program, `build-id:..`; of each secret in it, `secret:RULE:..`."""
    hashes: bytes
    """64-bit fingerprints, little-endian."""
    steps: bytes
    """As many 64-bit steps from offset to offset."""
    size: int
    text: bool
    """Whether it reads as text."""

    def to_row(self) -> list[Any]:
        """Plain values."""
        return [raw_of(self.path), list(self.marks), self.hashes, self.steps, self.size, self.text]

    @staticmethod
    def of_row(row: Sequence[Any]) -> Unit:
        """The inverse."""
        path, marks, *rest = row
        return Unit(text_of(path), tuple(marks), *rest)


def is_text(head: bytes) -> bool:
    """Whether a file that begins so reads as text: no zero byte, and hardly any other control sign."""
    odd = len(head) - len(head.translate(None, _CONTROLS))
    return b"\0" not in head and odd * 50 <= len(head)


def raw_of(text: str) -> bytes:
    """A path as bytes, whatever stands in it."""
    return text.encode("utf-8", "surrogatepass")


def text_of(raw: bytes) -> str:
    """The inverse."""
    return sys.intern(raw.decode("utf-8", "surrogatepass"))
