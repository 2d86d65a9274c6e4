"""What left the store: publish."""

from __future__ import annotations

from attest.errors import VerificationError
from attest.statements.predicates import publication
from casstore.errors import Conflict
from casstore.ledger.entries import Entry
from casstore.ledger.rules.moves import check_not_revoked
from casstore.ledger.rules.reader import Reader, check_place
from casstore.ledger.states.state import LedgerState, changed
from casstore.ledger.states.views import Publication, publications_of


def publish(state: LedgerState, entry: Entry, reader: Reader) -> LedgerState:
    """The next publication to a destination: what the channel names now, or that it was withdrawn."""
    claim = publication.parse(reader.unverified(entry).predicate)
    found = reader.verified(state, entry, publication.TYPE, at=claim.time, role="publisher")
    check_place(state, store=claim.store, ledger=claim.ledger)
    channel = state.channels.get(claim.channel)
    digest = found.statement.subject("release")
    if channel is None or (channel.release, channel.version, channel.move) != (digest, claim.release, claim.move):
        raise VerificationError(f"channel {claim.channel} does not name this release by this move")
    if not claim.withdrawn:
        check_not_revoked(state, state.releases[digest])
    before = state.publications.get(claim.destination) or publications_of(claim.destination)
    if claim.number != len(before) + 1:
        raise Conflict(f"publication {claim.number} to {claim.destination} is not the next one ({len(before) + 1})")
    row = Publication(
        claim.destination,
        claim.number,
        claim.channel,
        digest,
        claim.release,
        entry.number,
        entry.statement,
        claim.time,
        claim.withdrawn,
    )
    return changed(state, publications={**state.publications, claim.destination: before.plus(row)})
