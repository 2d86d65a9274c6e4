"""Epochs: the entries between two seals, and the times that they claim (docs/adr/0013).

An entry since the last seal is provisional: the next seal bounds what it claims. Where the bound
bites, the epoch is folded again under it; so what a clock that runs ahead claims is moved, and
nothing is void because of it.
"""

from __future__ import annotations

from datetime import datetime

from attest.core import times
from attest.errors import CasstoreError
from attest.trust import trust_roots
from casstore.ledger.entries import MOVES, Entry, EntryKind
from casstore.ledger.rules.reader import Reader
from casstore.ledger.states.state import LedgerState
from casstore.ledger.states.views import Epoch
from casstore.store.attestations import parse_unverified

_CLAIMING = MOVES | {EntryKind.PUBLISH, EntryKind.REVOKE, EntryKind.SUSPEND, EntryKind.CONDEMN, EntryKind.DELETE}
"""Kinds whose statement says when it was made; of others the entry's time counts."""


def grown(before: LedgerState, entry: Entry, reader: Reader) -> Epoch:
    """The epoch after one more entry."""
    epoch, claimed = before.epoch, latest_claim(entry, reader)
    if epoch is None:
        return Epoch(lambda: before, list, (entry, None), claimed)
    return Epoch(epoch.base, epoch.earlier, (entry, epoch.last), max(epoch.latest, claimed), epoch.count + 1)


def latest_claim(entry: Entry, reader: Reader) -> datetime:
    """The latest time that an entry, or what it names, claims."""
    try:
        if entry.kind in _CLAIMING:
            said = parse_unverified(reader.read(entry.statement, entry)).predicate.get("time")
            return max(entry.time, times.parse(said))
        if entry.kind is EntryKind.TRUST_ROOT:
            root = trust_roots.parse_payload(trust_roots.payload_of(reader.read(entry.statement, entry)))
            return max(entry.time, root.created)
    except CasstoreError:  # it is void, whatever it claims
        pass
    return entry.time
