"""What a collection of garbage gives up: condemn, delete (docs/formats/gc.md).

Only who says so, and the order of the steps, is judged here; what is needed is the collector's work.
"""

from __future__ import annotations

from datetime import timedelta

from attest.digests import Digest
from attest.errors import TrustError, VerificationError
from attest.statements.predicates import collection
from attest.statements.predicates.collection import Collection
from casstore.errors import Conflict
from casstore.ledger.entries import Entry, parse_pack_list
from casstore.ledger.rules.reader import Reader, check_place, judged_at
from casstore.ledger.states.state import LedgerState, changed
from casstore.ledger.states.views import Condemned

ROLES = frozenset({"owner", "promoter"})


def condemn(state: LedgerState, entry: Entry, reader: Reader) -> LedgerState:
    """Nobody leans on these packs from now on, but nothing is gone."""
    claim, packs = _read(state, entry, reader)
    if again := packs & state.given_up:
        raise Conflict(f"pack {min(again)} was given up before")
    row = Condemned(entry.number, judged_at(state, claim.time) + timedelta(seconds=claim.grace))
    return changed(state, condemned={**state.condemned, **dict.fromkeys(packs, row)})


def delete(state: LedgerState, entry: Entry, reader: Reader) -> LedgerState:
    """These packs are given up; the others of the condemn entries that it settles are lifted."""
    claim, packs = _read(state, entry, reader)
    if claim.after != entry.prev:
        raise Conflict("the delete was decided on another state of the ledger")
    for pack in packs - state.given_up:
        _check_over(state, claim, pack)
    left = {pack: row for pack, row in state.condemned.items() if row.number not in claim.condemned}
    gone = state.given_up | packs
    return changed(state, condemned={p: row for p, row in left.items() if p not in gone}, given_up=gone)


def _read(state: LedgerState, entry: Entry, reader: Reader) -> tuple[Collection, frozenset[Digest]]:
    """The signed step and its packs."""
    claim = collection.parse(reader.unverified(entry).predicate)
    found = reader.verified(state, entry, collection.TYPE, at=claim.time, role=None)
    if not found.roles & ROLES:
        raise TrustError(f"{', '.join(sorted(found.names))} may not collect: the role owner or promoter is needed")
    check_place(state, store=claim.store, ledger=claim.ledger)
    if claim.action != str(entry.kind):
        raise VerificationError(f"the statement is a {claim.action}, the entry is not")
    listed = reader.read(found.statement.subject(collection.SUBJECT), entry)
    return claim, frozenset(parse_pack_list(listed, empty=claim.action == "delete"))


def _check_over(state: LedgerState, claim: Collection, pack: Digest) -> None:
    row = state.condemned.get(pack)
    if row is None or row.number not in claim.condemned:
        raise VerificationError(f"pack {pack} was not condemned by the entries that the delete settles")
    if judged_at(state, claim.time) < row.until:
        raise VerificationError(f"the grace of pack {pack} is not over")
