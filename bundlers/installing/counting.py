"""Whether a version that lies there may still be used: by what was revoked or suspended of all that it leans on.

Promises: a receipt names the release, its archives and trees, each attestation and who signed it, so that no bytes of
that release are needed to ask; what was heard once is noted beside the receipt, so that nobody forgets it offline.
Stricter than a decision made anew: one approver more than were needed, revoked, counts against it, too. Leaves to
others: that nothing was left out of the proof (`verification`).

    note(folder, found.revocations, found.suspensions, good={found.release_digest})
    why_not(folder, name, now)           # "leaked (identity key:... revoked, ledger entry 44)"; "" while it may
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Iterator
from datetime import datetime

from attest.core import times
from attest.core.values import dataclass
from attest.digests import Digest
from attest.errors import CasstoreError
from bundlers.installing.installed import WITHDRAWN, InstalledFolder
from bundlers.installing.receipts import Receipt
from bundlers.publishing.proofs import absence
from casstore.ledger.states.views import Revocation, Suspension

_FOR_GOOD = "-"


@dataclass(frozen=True, slots=True)
class Against:
    """What speaks against a version, and until when."""

    told: str
    until: datetime | None = None
    """None: for good."""


def against(receipt: Receipt, revocations: Iterable[Revocation], suspensions: Iterable[Suspension]) -> Against | None:
    """What speaks against it, the longest; a suspension is told after its end, too."""
    found = [Against(absence.told(row)) for row in revocations if _meets(receipt, row)]
    signers = {signer.identity for signer in receipt.signers}
    found += [Against(absence.told(row), row.until) for row in suspensions if row.identity in signers]
    return min(found, key=_longest, default=None)


def _longest(found: Against) -> float:
    return float("-inf") if found.until is None else -found.until.timestamp()


def _meets(receipt: Receipt, row: Revocation) -> bool:
    if row.kind == "identity":
        mine = [signer.entry for signer in receipt.signers if signer.identity == row.name]
        return any(row.from_entry is None or entry >= row.from_entry for entry in mine)
    return not {row.name, *row.holders}.isdisjoint({*receipt.made, *receipt.attestations})


def note(
    folder: InstalledFolder,
    revocations: Iterable[Revocation],
    suspensions: Iterable[Suspension],
    *,
    good: Collection[Digest],
) -> None:
    """Keep what speaks against any version that lies there. Who may not write there keeps nothing.

    `good` are the releases that were decided anew and hold, whoever moved or approved them before.
    """
    rows, pauses = tuple(revocations), tuple(suspensions)
    for name, receipt in _receipts(folder):
        if receipt.release in good:
            with contextlib.suppress(OSError):
                folder.unmark(name, WITHDRAWN)
            continue
        found = against(receipt, rows, pauses)
        before = _noted(folder, name)
        if found is None or found == before or (before is not None and before.until is None):
            continue
        until = _FOR_GOOD if found.until is None else times.format(found.until)
        with contextlib.suppress(CasstoreError):
            folder.mark(name, WITHDRAWN, f"{until} {found.told}")


def why_not(folder: InstalledFolder, name: str, at: datetime) -> str:
    """What was noted against a version that lies there; empty while it may be used."""
    found = _noted(folder, name)
    return "" if found is None or (found.until is not None and found.until <= at) else found.told


def _receipts(folder: InstalledFolder) -> Iterator[tuple[str, Receipt]]:
    for name in folder.names():
        with contextlib.suppress(CasstoreError):
            yield name, folder.receipt(name)


def _noted(folder: InstalledFolder, name: str) -> Against | None:
    """A note that cannot be read speaks against it for good."""
    text = folder.marked(name, WITHDRAWN)
    if text is None:
        return None
    until, _, told = text.partition(" ")
    try:
        return Against(told, None if until == _FOR_GOOD else times.parse(until))
    except CasstoreError:
        return Against(f"its note cannot be read: {text[:80]}")
