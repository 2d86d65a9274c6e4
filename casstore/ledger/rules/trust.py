"""Who counts: genesis, trust-root, revoke."""

from __future__ import annotations

from dataclasses import replace

from attest.digests import Digest, sha256
from attest.errors import FormatError, TrustError, VerificationError
from attest.keys import identities
from attest.statements.predicates import revocation
from attest.statements.statements import Subject
from attest.trust import trust_chain
from attest.trust.trust_roots import TrustRoot
from casstore.errors import Conflict, SettledOtherwise
from casstore.ledger.entries import Entry
from casstore.ledger.rules.reader import Reader, judged_at
from casstore.ledger.state import LedgerState
from casstore.ledger.views import Dispute, Revocation


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
        revoked=state.revoked,
        read=reader.pinned,
        sigstore_root=reader.sigstore_root,
    )
    return _with_root(state, root, entry, reader)


def revoke(state: LedgerState, entry: Entry, reader: Reader) -> LedgerState:
    """An artifact, attestation or identity that counts no more."""
    claimed = revocation.parse(reader.unverified(entry).predicate)
    found = reader.verified(state, entry, revocation.TYPE, at=claimed.time, role=None)
    if not found.roles & {"owner", "auditor"}:
        raise TrustError(f"{', '.join(sorted(found.names))} may not revoke: the role owner or auditor is needed")
    subjects = found.statement.subjects
    if len(subjects) != 1:
        raise FormatError(f"a revocation has one subject, not {len(subjects)}")
    names = revoked_names(claimed.kind, subjects[0])
    about = claimed.kind, subjects[0].digest, claimed.reason
    (name,) = names
    row = Revocation(*about, entry.number, entry.statement, claimed.time, name, claimed.holders)
    return replace(state, revocations=(*state.revocations, row), revoked=state.revoked | names | set(claimed.holders))


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
    return replace(
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
    return replace(state, disputed=None, healed=(*state.healed, said.seal))


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
    return replace(state, sealed=sealed, healed=(*state.healed, said.seal))


def _unsettled(state: LedgerState, root: TrustRoot) -> Dispute | None:
    """A dispute ends too when its signer may seal no more."""
    found = state.disputed
    return found if found is not None and "ledger" in root.roles_of(found.identity, root.created) else None
