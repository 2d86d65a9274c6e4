"""What a ledger adds up to, signed by the role `ledger`: seal (docs/formats/predicates/seal.md)."""

from __future__ import annotations

from datetime import datetime

from attest.digests import Digest
from attest.errors import CasstoreError, VerificationError
from attest.log import state_trie
from attest.statements.predicates import seal as seals
from attest.statements.predicates.seal import Seal
from attest.trust.trust_roots import RULES
from casstore.errors import SealDisputed
from casstore.ledger.entries import Entry
from casstore.ledger.rules.reader import Reader, check_place
from casstore.ledger.states.rows import kept, tries_of
from casstore.ledger.states.state import LedgerState, changed
from casstore.ledger.states.state_tries import StateTries
from casstore.ledger.states.views import Sealed

_MAX_BLOB = 16 * 1024 * 1024


def seal(state: LedgerState, entry: Entry, reader: Reader) -> LedgerState:
    """The fold of every reader is what was signed. Raises SealDisputed when it is not."""
    claim, identity = signed(state, entry, reader)
    root = state.require_trust_root()
    if (claim.trust_root, claim.trust_root_version) != (root.digest, root.version):
        raise VerificationError(f"the seal names another trust root than version {root.version}")
    if claim.before != (state.sealed.number if state.sealed else None):
        raise VerificationError("the seal names another seal before it")
    sealed = sealed_by(state, entry.number, claim.time)
    if claim.floor != sealed.time:
        raise VerificationError("the seal names another floor of time than the seals up to it have")
    if claim.long != state.is_long(claim.floor):
        raise VerificationError("the seal says otherwise whether its epoch is too long")
    own = tries_of(state)
    if (claim.state, claim.full) != (own.state_root, own.full_root):
        rows = _differing(claim, own, reader)
        raise SealDisputed(entry.number, identity, claim.state, claim.full, own.state_root, own.full_root, rows)
    return changed(state, sealed=sealed, seals=state.seals.plus(entry.number), tries=kept(own))


def _differing(claim: Seal, own: StateTries, reader: Reader) -> tuple[str, ...]:
    """The rows in which a seal and this fold differ; () where its leaves are not in the store, or say the same."""
    blobs = own.blobs()

    def read(digest: Digest) -> bytes:
        return blobs[digest] if digest in blobs else reader.objects.read(digest, max_bytes=_MAX_BLOB)

    try:
        return tuple(state_trie.differing(claim.state, own.state_root, read))
    except CasstoreError:  # its leaves are gone, or are none
        return ()


def sealed_by(state: LedgerState, number: int, clock: datetime) -> Sealed:
    """What a seal of this clock leaves behind it."""
    before = state.sealed
    return Sealed(number, clock, ((number, clock),)) if before is None else before.followed(number, clock)


def signed(state: LedgerState, entry: Entry, reader: Reader) -> tuple[Seal, str]:
    """A seal that fits its place, and who signed it; the roots are not judged here."""
    claim = seals.parse(reader.unverified(entry).predicate)
    found = reader.verified(state, entry, seals.TYPE, at=claim.time, role="ledger")
    check_place(state, store=claim.store, ledger=claim.ledger)
    if (claim.size, claim.tip, claim.rules) != (entry.number, entry.prev, RULES):
        raise VerificationError("the seal was made for another place of the ledger, or by other rules")
    if any(found.statement.subject(name) != digest for name, digest in claim.subjects.items()):
        raise VerificationError("the seal's subjects are not its roots")
    return claim, found.identity
