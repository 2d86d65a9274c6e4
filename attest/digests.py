"""Digests: `sha256:<64 lowercase hex>`, the only identity of bytes (docs/formats/digest.md).

>>> sha256(b"")
'sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'
"""

from __future__ import annotations

import hashlib
import re
from typing import NewType

from attest.errors import BadInput

Digest = NewType("Digest", str)

PREFIX = "sha256:"
ZERO = Digest(PREFIX + "0" * 64)
"""Stands for "nothing came before" in a chain; no bytes are known to have it."""

_FORM = re.compile(r"sha256:[0-9a-f]{64}")


def sha256(data: bytes) -> Digest:
    """The digest of bytes."""
    return Digest(PREFIX + hashlib.sha256(data).hexdigest())


def parse(text: str) -> Digest:
    """Text to digest. Raises BadInput unless it is exactly `sha256:` and 64 lowercase hex digits."""
    if not isinstance(text, str) or not _FORM.fullmatch(text):
        raise BadInput(f"not a digest: {str(text)[:100]!r}", hint="write sha256: and 64 lowercase hex digits")
    return Digest(text)


def is_digest(text: object) -> bool:
    """Whether text has a digest's form."""
    return isinstance(text, str) and _FORM.fullmatch(text) is not None


def to_raw(digest: Digest) -> bytes:
    """The 32 bytes of a digest."""
    return bytes.fromhex(digest[len(PREFIX) :])


def from_raw(raw: bytes) -> Digest:
    """32 bytes to digest."""
    if len(raw) != 32:
        raise BadInput(f"a raw digest has 32 bytes, not {len(raw)}")
    return Digest(PREFIX + raw.hex())


def hex_of(digest: Digest) -> str:
    """The 64 hex digits, as in-toto's DigestSet writes them under `sha256`."""
    return digest[len(PREFIX) :]


def from_hex(hexdigits: str) -> Digest:
    """64 lowercase hex digits (in-toto's DigestSet) to digest. Raises BadInput."""
    return parse(PREFIX + hexdigits)


def short(digest: Digest) -> str:
    """For people only: the first 12 hex digits."""
    return digest[len(PREFIX) : len(PREFIX) + 12]
