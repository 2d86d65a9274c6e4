"""What the release line raises; the root is in `attest.errors`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from attest.errors import CasstoreError, OutOfTime, VerificationError
from casstore.errors import StorageUnavailable

if TYPE_CHECKING:
    from bundlers.blockers import Blocker


class Blocked(CasstoreError):
    """Something stands in the way of a release; nothing became visible. `blockers` are the records to show."""

    def __init__(self, message: str, *, hint: str = "", blockers: Sequence[Blocker] = ()) -> None:
        super().__init__(message, hint=hint)
        self.blockers = tuple(blockers)


class GateFailed(Blocked):
    """At least one gate failed."""

    exit_code = 10


class CrossProductLeak(Blocked):
    """One product's bytes are in another's archive; the message names both products and paths."""

    exit_code = 11


class BranchProtectionMissing(Blocked):
    """A consumer's protected branch lacks a required check."""

    exit_code = 5


class BaselineFailed(Blocked):
    """The baseline is missing, unsigned, stale or exceeded."""

    exit_code = 6


class RebuildDiffers(CasstoreError):
    """The same inputs and arguments gave other bytes."""

    exit_code = 10


class Unhealthy(CasstoreError):
    """A version failed the consumer's own health check."""

    exit_code = 10


class Unreadable(VerificationError):
    """What was written to a destination would be refused by consumers; its pointer was not moved."""


class NoRanges(CasstoreError):
    """A source serves whole files only."""

    exit_code = 12


class TooLarge(StorageUnavailable):
    """A file has more bytes than what belongs in its place may have."""


class HostileArchive(VerificationError):
    """An archive that did not come from us: it escapes, repeats names, bombs, or disagrees with its manifest."""


class Ended(OutOfTime):
    """What was good until a time: a trust root expired, the window of who signed is over. Offline it is stale."""

    def __init__(self, message: str, *, hint: str = "", until: datetime) -> None:
        super().__init__(message, hint=hint)
        self.until = until
