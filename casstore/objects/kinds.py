"""What kind of bytes an object is, and one object on its way in.

NewObject(b"...", Kind.ATTESTATION, (subject_digest,))
"""

from __future__ import annotations

from enum import IntEnum

from attest.core.values import dataclass
from attest.digests import Digest


class Kind(IntEnum):
    """Stored with each object; it helps to find things and is never needed to verify them."""

    BLOB = 0
    TREE = 1
    ATTESTATION = 2


@dataclass(frozen=True, slots=True)
class NewObject:
    """Bytes to store; `subjects` are the digests that an attestation speaks of."""

    data: bytes
    kind: Kind = Kind.BLOB
    subjects: tuple[Digest, ...] = ()
