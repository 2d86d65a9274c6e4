"""What rules read: the objects that entries name, and statements verified under the trust root in force."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from attest import times, verify
from attest.digests import Digest
from attest.errors import TrustError, VerificationError
from attest.statements import Statement
from attest.verify import VerifiedStatement
from casstore.attestations import MAX_BYTES, parse_unverified
from casstore.errors import NoSuchObject, StoreDamaged
from casstore.ledger.entries import Entry
from casstore.ledger.state import LedgerState, ObjectReader

if TYPE_CHECKING:
    from attest.trust_roots import TrustRoot


@dataclass(frozen=True, slots=True)
class Reader:
    """The stored bytes, and what keyless signatures are judged by."""

    objects: ObjectReader
    sigstore_root: bytes | None = None

    def read(self, digest: Digest, entry: Entry) -> bytes:
        """An object that an entry needs. Raises StoreDamaged when it is gone: nobody can judge the entry then."""
        try:
            return self.objects.read(digest, max_bytes=MAX_BYTES)
        except NoSuchObject as exc:
            raise StoreDamaged(
                f"ledger entry {entry.number} ({entry.kind}): the bytes of {digest}, which it needs, are gone",
                hint="get them back from another copy of the store: casstore sync",
            ) from exc

    def unverified(self, entry: Entry) -> Statement:
        """What the entry's statement says, before anything is believed."""
        return parse_unverified(self.read(entry.statement, entry))

    def verified(
        self, state: LedgerState, entry: Entry, predicate_type: str, *, at: datetime, role: str | None
    ) -> VerifiedStatement:
        """The entry's statement, signed by somebody who counts. Raises FormatError, VerificationError."""
        root = root_in_force(state, at)
        raw = self.read(entry.statement, entry)
        found = verify.verify(
            raw,
            trust_root=root,
            predicate_type=predicate_type,
            subjects=parse_unverified(raw).digests,
            at=at,
            role=role,
            sigstore_root=self.sigstore_root,
        )
        if state.is_revoked(found.identity, entry.statement):
            raise TrustError(f"the signer {found.identity} or the statement was revoked before this entry")
        return found


def root_in_force(state: LedgerState, at: datetime) -> TrustRoot:
    """The trust root that judges a statement of this time. Raises TrustError."""
    root = state.trust_root
    if root is None:
        raise TrustError("there is no trust root before this entry", hint="make one: casstore keys ceremony --help")
    if at >= root.expires:
        raise TrustError(
            f"trust root version {root.version} expired at {times.format(root.expires)}",
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
