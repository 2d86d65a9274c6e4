"""Moving releases between channels: approve, promote, roll back, and tell why not.

Each service replays the ledger, asks the pure `attest.judging.decisions`, puts what is signed into
the store and appends one entry; whatever is interrupted is finished by doing it again. Terminal
output and reading keys are left to others.

    report = promote(store, ledger, "1.4.0", channel="staging", signer=signer, now=now)
"""

from __future__ import annotations

from casstore.ledger.release_diffs import ReleaseDiff, release_diff
from casstore.promotion.approvals import approve
from casstore.promotion.imports import Taken, import_attestation, take
from casstore.promotion.moves import explain, pin, promote, rollback, unpin
from casstore.promotion.reports import (
    ApprovalReport,
    ChannelsReport,
    MoveReport,
    RevocationReport,
    StandingReport,
    SuspensionReport,
)
from casstore.promotion.revocations import join, revoke, suspend
from casstore.promotion.services import find_release
from casstore.promotion.standings import channels, standing
from casstore.promotion.waiting import StatusReport, Wait, waiting

__all__ = [
    "ApprovalReport",
    "ChannelsReport",
    "MoveReport",
    "ReleaseDiff",
    "RevocationReport",
    "StandingReport",
    "StatusReport",
    "SuspensionReport",
    "Taken",
    "Wait",
    "approve",
    "channels",
    "explain",
    "find_release",
    "import_attestation",
    "join",
    "pin",
    "promote",
    "release_diff",
    "revoke",
    "rollback",
    "standing",
    "suspend",
    "take",
    "unpin",
    "waiting",
]
