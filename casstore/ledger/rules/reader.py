"""What rules read: the objects that entries name, and statements verified under the trust root in force."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import field
from datetime import datetime
from typing import TYPE_CHECKING

from attest.core import limits, times
from attest.core.values import dataclass
from attest.digests import Digest
from attest.errors import OutOfTime, TrustError, VerificationError
from attest.judging.decisions import Record, SigstoreRoots
from attest.statements.statements import Statement
from attest.trust import verify
from attest.trust.verify import VerifiedStatement
from casstore.errors import NoSuchObject, StoreDamaged
from casstore.ledger.entries import Entry
from casstore.ledger.rules.recent import Recent
from casstore.ledger.states.state import LedgerState, ObjectReader, changed
from casstore.store.attestations import parse_unverified

if TYPE_CHECKING:
    from attest.trust.trust_roots import TrustRoot


@dataclass(frozen=True, slots=True)
class Reader:
    """The stored bytes, and what keyless signatures are judged by."""

    objects: ObjectReader
    sigstore_root: bytes | None = None
    """For trust roots that pin none."""
    recent: Recent = field(init=False, compare=False, repr=False)
    """The same, with what was read last."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "recent", Recent(self.objects))

    def sigstore_roots(self, *roots: TrustRoot) -> SigstoreRoots:
        """What keyless signatures are judged by under these trust roots. Raises StoreDamaged."""
        return SigstoreRoots(
            self.sigstore_root,
            {root.sigstore_root: self.pinned(root.sigstore_root) for root in roots if root.sigstore_root},
        )

    def pinned(self, digest: Digest) -> bytes:
        """The bytes of a sigstore root that a trust root pins. Raises StoreDamaged."""
        try:
            return self.objects.read(digest, max_bytes=limits.ATTESTATION)
        except NoSuchObject as exc:
            raise StoreDamaged(
                f"the sigstore root {digest}, which the trust root pins, is gone",
                hint="mend it from another copy of the store: casstore fsck --repair --from STORE",
            ) from exc

    def read(self, digest: Digest, entry: Entry) -> bytes:
        """An object that an entry needs. Raises StoreDamaged when it is gone: nobody can judge the entry then."""
        try:
            return self.recent.read(digest, max_bytes=limits.ATTESTATION)
        except NoSuchObject as exc:
            raise StoreDamaged(
                f"ledger entry {entry.number} ({entry.kind}): the bytes of {digest}, which it needs, are gone",
                hint="mend them from another copy of the store: casstore fsck --repair --from STORE",
            ) from exc

    def unverified(self, entry: Entry) -> Statement:
        """What the entry's statement says, before anything is believed."""
        return parse_unverified(self.read(entry.statement, entry))

    def verified(
        self, state: LedgerState, entry: Entry, predicate_type: str, *, at: datetime, role: str | None
    ) -> VerifiedStatement:
        """The entry's statement, signed by somebody who counts. Raises FormatError, VerificationError."""
        return self.judged(state, entry, self.read(entry.statement, entry), predicate_type, at=at, role=role)

    def judged(
        self, state: LedgerState, entry: Entry, raw: bytes, predicate_type: str, *, at: datetime, role: str | None
    ) -> VerifiedStatement:
        """As `verified`, for one of several attestations that an entry's statement holds."""
        at = judged_at(state, at)
        root = root_in_force(state, ends_at(state, at))
        found = verify.verify(
            raw,
            trust_root=root,
            predicate_type=predicate_type,
            subjects=parse_unverified(raw).digests,
            at=at,
            role=role,
            sigstore_root=self.sigstore_roots(root).of(root),
        )
        found = verify.still(found, root, ends_at(state, at, found.signed_at), role)
        held = (state.may_sign(who, entry.number, at) for who in (found.identity, found.proven))
        if state.is_revoked(found.id) or not all(held):
            raise TrustError(
                f"the signer {found.identity} or the statement was revoked, or suspended, before this entry"
            )
        return found


def root_in_force(state: LedgerState, at: datetime) -> TrustRoot:
    """The trust root that judges a statement of this time. Raises TrustError."""
    root = state.trust_root
    if root is None:
        raise TrustError("there is no trust root before this entry", hint="make one: casstore keys ceremony --help")
    if at >= root.expires:
        raise OutOfTime(
            f"trust root version {root.version} expired at {times.format(root.expires)}, this is judged at"
            f" {times.format(at)}",
            hint="the owners sign the next version: casstore keys ceremony --help",
        )
    return root


def check_place(state: LedgerState, *, store: str, ledger: str) -> None:
    """A statement counts in the store and ledger that it names, nowhere else. Raises VerificationError."""
    if (store, ledger) != (state.store, state.ledger):
        raise VerificationError(
            f"the statement was made for the ledger {ledger!r} of store {store!r},"
            f" not for {state.ledger!r} of {state.store!r}"
        )


def judged_at(state: LedgerState, claimed: datetime) -> datetime:
    """The time that something signed is judged at: what it claims, moved between the last seal and the next.

    A signer chooses the claim, so a clock that is set back revives nothing that had ended by then, and one that runs
    ahead meets no soak time early; and what is wrong is moved and not refused (docs/adr/0011, 0013).
    """
    floor, bound = state.floor, state.bound
    raised = claimed if floor is None or claimed >= floor else floor
    return raised if bound is None or raised <= bound.time else bound.time


def ends_at(state: LedgerState, at: datetime, proven: datetime | None = None) -> datetime:
    """The time by which windows must not have ended, of what is judged at `at`.

    The same, but in an epoch that is too long for clocks to be believed: there it is the proven signing time, else
    the seal that ended it.
    """
    if state.bound is None or not state.bound.long:
        return at
    return state.bound.time if proven is None else min(max(proven, at), state.bound.time)


def with_records(state: LedgerState, number: int, at: datetime, attestations: Iterable[Digest]) -> LedgerState:
    """The state with what an entry took in; the first record of each attestation stays."""
    new = [digest for digest in attestations if digest not in state.recorded]
    if not new or state.trust_root is None:
        return state
    ends = ends_at(state, at)
    record = Record(number, at, state.trust_root, None if ends == at else ends)
    return changed(state, recorded=state.recorded.plus(dict.fromkeys(new, record)))
