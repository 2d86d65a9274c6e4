"""When the ledger took an attestation in: by that it is judged."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from attest.core.values import dataclass

if TYPE_CHECKING:
    from attest.trust.trust_roots import TrustRoot


@dataclass(frozen=True, slots=True)
class Record:
    """The first ledger entry that took an attestation in."""

    number: int
    at: datetime
    trust_root: TrustRoot
    """The one in force at that entry."""
    ends: datetime | None = None
    """By when windows must not have ended, where that is later than `at`."""
