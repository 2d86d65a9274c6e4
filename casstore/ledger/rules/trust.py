"""Who counts: genesis, trust-root, revoke."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from attest.digests import Digest, sha256
from attest.errors import FormatError, PolicyDenied, TrustError, VerificationError
from attest.keys import identities
from attest.sigstore.signed_files import attestations_of
from attest.statements.predicates import revocation, suspension
from attest.statements.statements import Subject
from attest.trust import trust_chain
from attest.trust.trust_roots import TrustRoot
from attest.trust.verify import VerifiedStatement
from casstore.errors import Conflict, SettledOtherwise
from casstore.ledger.entries import Entry
from casstore.ledger.rules.reader import Reader, judged_at
from casstore.ledger.states.state import LedgerState, changed
from casstore.ledger.states.views import Dispute, Revocation, Suspension


def genesis(state: LedgerState, entry: Entry, reader: Reader) -> LedgerState:
    """The first trust root, by the thresholds of its own owners."""
    if state.trust_roots:
        raise Conflict("the ledger has its genesis already")
    root = trust_chain.verify_first(
        reader.read(entry.statement, entry), at=entry.time, read=reader.pinned, sigstore_root=reader.sigstore_root
    )
    return _with_root(state, root, entry, reader)


def next_trust_root(state: LedgerState, entry: Entry, reader: Reader) -> LedgerState:
    """The next trust root, by the thresholds of the owners of both."""
    if state.trust_root is None:
        raise TrustError("there is no trust root yet that this one could follow")
    raw = reader.read(entry.statement, entry)
    root = trust_chain.verify_next(
        raw,
        previous=state.trust_root,
        at=judged_at(state, entry.time),
        floor=state.floor,
        until=None if state.bound is None else state.bound.time,
        revoked=state.out(judged_at(state, entry.time)) | state.limited.keys(),
        read=reader.pinned,
        sigstore_root=reader.sigstore_root,
    )
    return _with_root(state, root, entry, reader)


def revoke(state: LedgerState, entry: Entry, reader: Reader) -> LedgerState:
    """An artifact, attestation or identity that counts no more."""
    row = revocation_of(entry, reader)
    signers = _signers(state, entry, reader, revocation.TYPE, row.time)
    if row.kind == "identity" and has_held_a_role(state, row.name):
        require_owners(state, signers)
    if row.from_entry is not None and row.from_entry > entry.number:
        raise VerificationError(f"the revocation counts from entry {row.from_entry} on, this is {entry.number}")
    return revoked(state, row)


def revocation_of(entry: Entry, reader: Reader) -> Revocation:
    """What an entry takes back, by its own words; nothing of it is verified."""
    said = reader.unverified(entry)
    claimed, subject = revocation.parse(said.predicate), _subject(said.subjects, "revocation")
    (name,) = revoked_names(claimed.kind, subject)
    about = claimed.kind, subject.digest, claimed.reason
    return Revocation(*about, entry.number, entry.statement, claimed.time, name, claimed.holders, claimed.from_entry)


def revoked(state: LedgerState, row: Revocation) -> LedgerState:
    """The state after it."""
    state = changed(state, revocations=(*state.revocations, row))
    if row.from_entry is not None:
        limit = min(row.from_entry, state.limited.get(row.name, row.from_entry))
        return changed(state, limited={**state.limited, row.name: limit})
    return changed(state, revoked=state.revoked | {row.name, *row.holders})


def suspend(state: LedgerState, entry: Entry, reader: Reader) -> LedgerState:
    """An identity that counts for nothing for 72 hours; once, and never so many owners that too few are left."""
    claimed, identity = suspension.parse(reader.unverified(entry).predicate), suspended_in(entry, reader)
    _signers(state, entry, reader, suspension.TYPE, claimed.time)
    at, root = judged_at(state, claimed.time), state.require_trust_root()
    check_suspendable(state, identity, at)
    row = Suspension(identity, entry.number, at + suspension.LASTS, root.version, claimed.reason)
    return changed(state, suspensions=(*state.suspensions, row))


def suspended_in(entry: Entry, reader: Reader) -> str:
    """The identity that an entry is about, by its own words."""
    (identity,) = revoked_names("identity", _subject(reader.unverified(entry).subjects, "suspension"))
    return identity


def check_suspendable(state: LedgerState, identity: str, at: datetime) -> None:
    """Raises Conflict for a second time, PolicyDenied where too few owners would be left."""
    root = state.require_trust_root()
    if any((row.identity, row.root) == (identity, root.version) for row in state.suspensions):
        raise Conflict(
            f"{identities.short(identity)} was suspended before, once is all",
            hint="the owners revoke it, or sign a trust root without it",
        )
    left = owners(state, at) - {identity}
    if identity in owners(state, at) and len(left) < root.threshold("owner"):
        raise PolicyDenied(f"{len(left)} owners would be left, {root.threshold('owner')} are needed")


def owners(state: LedgerState, at: datetime) -> set[str]:
    """The identities that count as owners at a time."""
    root = state.require_trust_root()
    held = {entry.identity for entry in root.identities if "owner" in root.roles_of(entry.identity, at)}
    return held - state.out(at) - state.limited.keys()


def has_held_a_role(state: LedgerState, identity: str) -> bool:
    """Whether an identity holds a role, or held one: then it takes the owners to revoke it."""
    for root in state.trust_roots:
        names = {entry.name for entry in root.identities if entry.identity == identity}
        if any(names & set(role.identities) for role in root.roles.values()):
            return True
    return False


def require_owners(state: LedgerState, signers: Collection[VerifiedStatement]) -> None:
    """Raises TrustError unless the threshold of owners signed."""
    root = state.require_trust_root()
    have, need = len({found.identity for found in signers if "owner" in found.roles}), root.threshold("owner")
    if have < need:
        raise TrustError(
            f"{have} of {need} owners signed: whom the trust root gave a role only they revoke",
            hint="one owner or auditor suspends it at once: casstore suspend --help",
        )


def _subject(subjects: Sequence[Subject], what: str) -> Subject:
    if len(subjects) != 1:
        raise FormatError(f"a {what} has one subject, not {len(subjects)}")
    return subjects[0]


def _signers(
    state: LedgerState, entry: Entry, reader: Reader, predicate_type: str, time: datetime
) -> list[VerifiedStatement]:
    """Those owners and auditors who signed an entry's statement. Raises TrustError for none."""
    found = []
    for raw in attestations_of(reader.read(entry.statement, entry)):
        one = reader.judged(state, entry, raw, predicate_type, at=time, role=None)
        if not one.roles & {"owner", "auditor"}:
            raise TrustError(f"{', '.join(sorted(one.names))} may not do this: the role owner or auditor is needed")
        found.append(one)
    return found


def revoked_names(kind: str, subject: Subject) -> frozenset[str]:
    """What to compare with: a digest, or an identity, which the subject's name spells out."""
    if kind != "identity":
        return frozenset({subject.digest})
    if identity_digest(subject.name) != subject.digest:
        raise VerificationError(f"the revocation's subject is not the digest of the identity {subject.name[:80]!r}")
    return frozenset({subject.name})


def identity_digest(identity: str) -> Digest:
    """The subject digest that stands for an identity: a key's own, else that of its text."""
    text = identities.parse(identity)
    return Digest(text.removeprefix("key:")) if identities.is_key(text) else sha256(text.encode())


def _with_root(state: LedgerState, root: TrustRoot, entry: Entry, reader: Reader) -> LedgerState:
    if root.store != state.store:
        raise VerificationError(f"the trust root is for store {root.store!r}, not for {state.store!r}")
    reader.sigstore_roots(root)  # what it pins must be there
    state = _with_clock(_with_settlement(state, root), root)
    return changed(
        state,
        trust_roots=(*state.trust_roots, root),
        trust_root_files=(*state.trust_root_files, entry.statement),
        trust_root_entries=(*state.trust_root_entries, entry.number),
        disputed=_unsettled(state, root),
    )


def _with_settlement(state: LedgerState, root: TrustRoot) -> LedgerState:
    """Owners say which state was true at a disputed seal. Raises VerificationError where this reader's is not that."""
    found, said = state.disputed, root.settle
    if said is None or said.seal in state.healed:  # the next version may say it again
        return state
    if found is None or said.seal != found.number:
        raise VerificationError(f"the trust root settles the seal of entry {said.seal}, which is not disputed")
    if said.state != found.own_state:
        raise SettledOtherwise(said.seal, said.state, found.own_state)
    return changed(state, disputed=None, healed=(*state.healed, said.seal))


def _with_clock(state: LedgerState, root: TrustRoot) -> LedgerState:
    """Owners set the floor of time in place of a seal whose clock was wrong, no lower than another seal's."""
    said = root.clock
    if said is None or said.seal is None or said.shown is None or said.seal in state.healed:
        return state
    sealed = state.sealed.corrected(said.seal, said.shown) if state.sealed is not None else None
    if sealed is None:
        raise VerificationError(
            f"the trust root sets the clock of entry {said.seal}: it is none of the last seals, or another one is later"
        )
    return changed(state, sealed=sealed, healed=(*state.healed, said.seal))


def _unsettled(state: LedgerState, root: TrustRoot) -> Dispute | None:
    """A dispute ends too when its signer may seal no more."""
    found = state.disputed
    return found if found is not None and "ledger" in root.roles_of(found.identity, root.created) else None
