"""Moving releases between channels: approve, promote, roll back, and tell why not.

In: a store, its ledger, what is to move and why, a signer, the time. Out: a report of what was appended, or
MoveDenied with the decision. Called by the commands of channels, by gates at promotion, publishing and audit.

Each service replays the ledger, asks the pure `attest.judging.decisions`, puts what is signed into
the store and appends one entry; whatever is interrupted is finished by doing it again. Terminal
output and reading keys are left to others.

    report = promote(store, ledger, "1.4.0", channel="staging", signer=signer, now=now)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attest.core.public import public

if TYPE_CHECKING:
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
    from casstore.promotion.waits import StatusReport, Wait, waiting

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

__getattr__ = public(
    __name__,
    ApprovalReport="casstore.promotion.reports",
    ChannelsReport="casstore.promotion.reports",
    MoveReport="casstore.promotion.reports",
    ReleaseDiff="casstore.ledger.release_diffs",
    RevocationReport="casstore.promotion.reports",
    StandingReport="casstore.promotion.reports",
    StatusReport="casstore.promotion.waits",
    SuspensionReport="casstore.promotion.reports",
    Taken="casstore.promotion.imports",
    Wait="casstore.promotion.waits",
    approve="casstore.promotion.approvals",
    channels="casstore.promotion.standings",
    explain="casstore.promotion.moves",
    find_release="casstore.promotion.services",
    import_attestation="casstore.promotion.imports",
    join="casstore.promotion.revocations",
    pin="casstore.promotion.moves",
    promote="casstore.promotion.moves",
    release_diff="casstore.ledger.release_diffs",
    revoke="casstore.promotion.revocations",
    rollback="casstore.promotion.moves",
    standing="casstore.promotion.standings",
    suspend="casstore.promotion.revocations",
    take="casstore.promotion.imports",
    unpin="casstore.promotion.moves",
    waiting="casstore.promotion.waits",
)
