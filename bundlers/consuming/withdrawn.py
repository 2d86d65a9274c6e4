"""A channel that holds nothing that may be installed: that is proven, told with its reasons, and pinned.

Promises: what takes away is taken from a checkpoint without its witnesses too, but nothing is remembered of that one.
Leaves to others: the proof of the ledger (`ledger_proof`), channels that hold something (`verification`).

    raise read(source, ledger, record, "prod", pins, check_keys, now)
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from attest.digests import Digest
from attest.errors import VerificationError
from bundlers.consuming import ledger_proof
from bundlers.consuming.ledger_proof import CheckKeys, Objects, ProvenLedger, Source
from bundlers.consuming.published_objects import tar
from bundlers.consuming.state import PinnedMove, Pins
from bundlers.publishing.layout import published_paths
from bundlers.publishing.layout.records import ChannelRecord
from bundlers.publishing.proofs import absence
from casstore.errors import NoSuchObject
from casstore.ledger.states.views import Revocation, Suspension


class Withdrawn(VerificationError):
    """A channel holds nothing that may be installed: what it names was taken back, and nothing better is there."""

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        release: Digest,
        pins: Pins | None,
        before: Pins | None,
        revocations: tuple[Revocation, ...],
        suspensions: tuple[Suspension, ...],
    ) -> None:
        super().__init__(message, hint=hint)
        self.release = release
        self.revocations = revocations
        self.suspensions = suspensions
        self.pins = pins
        """What to remember, so that nobody can show the time before again; None where witnesses are missing."""
        self.before = before


def read(
    source: Source,
    ledger: ProvenLedger,
    record: ChannelRecord,
    channel: str,
    pins: Pins | None,
    check_keys: CheckKeys | None,
    at: datetime,
) -> Withdrawn:
    """The publisher says that nothing of the channel may be installed; raises where that itself is not proven."""
    if (record.store, record.ledger, record.channel) != (ledger.store, ledger.ledger, channel):
        raise VerificationError(f"the channel record of {channel} says something else than the ledger")
    leaves = Objects(ledger.store, tar(source, published_paths.state_path(channel)))
    names = absence.names_of_withdrawal(channel, ledger.trust_roots)
    try:
        answers = absence.answer(ledger.seal.state, leaves.read, names)
    except NoSuchObject as exc:
        raise ledger_proof.as_verification(exc) from exc
    against = absence.check_withdrawal(answers, channel, record.move, ledger.trust_root, at)
    ledger_proof.check_seal(ledger, against)
    if check_keys is not None:
        check_keys(ledger, against.names)
    ledger_proof.check_seen(channel, record.move_number, record.move, pins)
    after = ledger_proof.pins_after(ledger, pins)
    move = PinnedMove(record.move_number, record.move)
    return Withdrawn(
        f"{channel} {record.version} was withdrawn: {reasons(ledger, record.withdrawn)}",
        hint=_until(ledger, record, at),
        release=record.release,
        pins=replace(after, channels={**after.channels, channel: move}) if ledger.cosigned.enough else None,
        before=pins,
        revocations=ledger.revocations,
        suspensions=ledger.suspensions,
    )


def reasons(ledger: ProvenLedger, entries: tuple[int, ...]) -> str:
    """What took something away, told. Raises VerificationError where an entry takes nothing away."""
    rows: dict[int, Revocation | Suspension] = {row.entry: row for row in ledger.revocations}
    rows |= {row.entry: row for row in ledger.suspensions}
    if missing := [number for number in entries if number not in rows]:
        raise VerificationError(f"ledger entry {missing[0]} is named as the reason, and revokes nothing")
    return "; ".join(absence.told(rows[number]) for number in entries)


def _until(ledger: ProvenLedger, record: ChannelRecord, at: datetime) -> str:
    """What can be done: what only a suspension took away may come back."""
    ends = {row.entry: row.until for row in ledger.suspensions}
    if not all(number in ends for number in record.withdrawn):
        return "do not use it; ask for a newer release"
    if max(ends[number] for number in record.withdrawn) <= at:
        return "the suspension has ended: ask the publisher to publish again"
    return "do not use it until the owners have settled that"
