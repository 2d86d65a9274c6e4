"""The evidence of a decision: each attestation verified at the time and by the trust root that it is judged by.

- What a ledger entry recorded is judged by the trust root in force at that entry, at its time;
  what no entry recorded, and every approval, by the trust root in force now.
- What was revoked counts for nothing, whenever it was recorded; it still tells who built.
- One person is one identity, and one name: an old and a new key of the same name are one.

Source: docs/adr/0007-evidence-is-judged-when-it-was-recorded.md
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import field
from datetime import timedelta
from functools import cached_property

from attest.core.values import dataclass
from attest.digests import Digest, sha256
from attest.errors import CasstoreError, NotInstalled, TrustError
from attest.judging.records import Record
from attest.judging.values import MoveRequest
from attest.sigstore.sigstore_bundles import SigstoreBundle
from attest.statements.predicates import approval, release, slsa_provenance
from attest.statements.predicates.claimed import claimed_time
from attest.statements.statements import parse as parse_statement
from attest.trust.trust_roots import TrustRoot
from attest.trust.verify import VerifiedStatement, still, verify

_BUILT = (slsa_provenance.TYPE, slsa_provenance.TYPE_V02, release.TYPE)
_CLOCK_LEEWAY = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class SigstoreRoots:
    """The trusted_root.json files that keyless signatures are judged by."""

    given: bytes | None = None
    """For a trust root that pins none."""
    pinned: Mapping[Digest, bytes] = field(default_factory=dict)

    def of(self, root: TrustRoot) -> bytes | None:
        """The file for a trust root; None where there is none at hand."""
        return self.given if root.sigstore_root is None else self.pinned.get(root.sigstore_root)

    def read(self, digest: Digest) -> bytes:
        """A pinned one. Raises TrustError where it is not at hand."""
        if digest not in self.pinned:
            raise TrustError(
                f"the sigstore root {digest}, which the trust root pins, is not at hand",
                hint="give the trusted_root.json that the owners mean with --sigstore-root FILE",
            )
        return self.pinned[digest]


@dataclass
class Evidence:
    """Attestations that verified, and the others with the reason."""

    request: MoveRequest
    trust_root: TrustRoot
    revoked: Collection[str]
    recorded: Mapping[Digest, Record]
    sigstore: SigstoreRoots
    limited: Mapping[str, int] = field(default_factory=dict)
    """Identities of which only counts what was recorded before an entry."""
    verified: list[VerifiedStatement] = field(default_factory=list)
    withdrawn: list[VerifiedStatement] = field(default_factory=list)
    """Verified, but revoked."""
    ignored: dict[Digest, str] = field(default_factory=dict)

    @cached_property
    def made(self) -> frozenset[Digest]:
        """The release and what is in it; once, since every attestation is held against it."""
        return self.request.made

    def take(self, raw: bytes) -> None:
        """Verify one more attestation."""
        digest = sha256(raw)
        try:
            found = self._verified(raw, digest)
        except NotInstalled:
            raise
        except CasstoreError as exc:
            self.ignored[digest] = exc.message
            return
        if self._is_out(found):
            self.ignored[digest] = "it, or who signed it, was revoked"
            self.withdrawn.append(found)
            return
        self.verified.append(found)

    def _is_out(self, found: VerifiedStatement) -> bool:
        if {found.id, found.identity, found.proven} & set(self.revoked):
            return True
        record = self.recorded.get(found.bundle)
        limits = [self.limited.get(who) for who in (found.identity, found.proven)]
        return any(limit is not None and (record is None or record.number >= limit) for limit in limits)

    def _verified(self, raw: bytes, digest: Digest) -> VerifiedStatement:
        claimed = parse_statement(SigstoreBundle.parse(raw).statement_envelope.payload)
        record = None if claimed.predicate_type == approval.TYPE else self.recorded.get(digest)
        root = self.trust_root if record is None else record.trust_root
        found = verify(
            raw,
            trust_root=root,
            predicate_type=claimed.predicate_type,
            subjects=claimed.digests,
            at=self.request.now if record is None else record.at,
            sigstore_root=self.sigstore.of(root),
        )
        ends = self.request.ended if record is None else record.ends
        return found if ends is None else still(found, root, ends)

    def holders(self, *roles: str) -> tuple[str, ...]:
        """The names that hold one of the roles and whose signatures count now."""
        held = dict.fromkeys(name for role in roles for name in self.trust_root.holders(role))
        return tuple(name for name in held if self.counts(name))

    def counts(self, name: str) -> bool:
        """Whether what somebody signs now counts."""
        entry = self.trust_root.identity_of(name)
        out = {*self.revoked, *self.limited}
        return entry is not None and entry.valid_at(self.request.now) and entry.identity not in out

    def ignore(self, found: VerifiedStatement, reason: str) -> None:
        """Say why a verified attestation counts for nothing; the first reason stays."""
        self.ignored.setdefault(found.bundle, reason)

    def of_type(self, types: Collection[str]) -> list[VerifiedStatement]:
        """Those of some predicate types, in the order of their digests."""
        return [found for found in self.verified if found.statement.predicate_type in types]

    def of_builders(self) -> list[VerifiedStatement]:
        """What proves who built: without it, a later judge could count a builder as approver.

        Revoked ones too: to revoke a provenance must not turn its signer into an approver.
        """
        found = [item for item in (*self.verified, *self.withdrawn) if item.statement.predicate_type in _BUILT]
        return [item for item in found if "builder" in item.roles and item.statement.digests & self.made]

    def age(self, found: VerifiedStatement) -> int | None:
        """Seconds since the earliest time that is known of it: claimed, proven by its signature, or recorded.

        What claims to be from the future claims nothing: else it would never grow old.
        """
        record = self.recorded.get(found.bundle)
        times = [claimed_time(found.statement), found.signed_at, record.at if record else None]
        known = [time for time in times if time is not None and time <= self.request.now + _CLOCK_LEEWAY]
        return max(0, int((self.request.now - min(known)).total_seconds())) if known else None


def persons(found: Iterable[VerifiedStatement]) -> list[list[VerifiedStatement]]:
    """Grouped by person: a common identity or a common name makes one."""
    groups: list[tuple[set[str], list[VerifiedStatement]]] = []
    for item in found:
        marks, members = {item.identity, *item.names}, [item]
        apart = []
        for group in groups:
            if group[0] & marks:
                marks |= group[0]
                members = [*group[1], *members]
            else:
                apart.append(group)
        groups = [*apart, (marks, members)]
    return [members for _, members in groups]


def most_persons(found: Iterable[VerifiedStatement], needed: int) -> tuple[Digest, ...]:
    """The attestations that show `needed` distinct persons, or all there are; one each, the smallest digest first."""
    firsts = sorted(min(item.bundle for item in members) for members in persons(found))
    return tuple(firsts[:needed])
