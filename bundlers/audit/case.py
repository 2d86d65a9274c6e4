"""The case of an audit: one release on one ledger that was replayed from its first entry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from attest.core import limits
from attest.core.values import dataclass
from attest.digests import Digest
from attest.errors import CasstoreError
from attest.statements.predicates import promotion
from attest.statements.statements import Statement
from attest.trust.policies import ChannelPolicy
from attest.trust.trust_roots import TrustRoot
from attest.trust.verify import verify
from bundlers.audit.values import EvidenceRow
from casstore.errors import NoSuchObject
from casstore.ledger import release_objects
from casstore.ledger.book.log import Ledger
from casstore.ledger.release_objects import Release
from casstore.ledger.rules.reader import Reader
from casstore.ledger.states.channel_states import ChannelState, Move
from casstore.ledger.states.state import LedgerState
from casstore.ledger.states.views import ReleaseInfo
from casstore.store.attestations import parse_unverified
from casstore.store.store import Store

CHANNEL, RELEASE = "channel", "release"


LookAt = Callable[[str, str], tuple[str, bool] | None]


@dataclass(frozen=True, slots=True)
class Attested:
    """An attestation that was looked at: its row, and what it says where that is verified."""

    row: EvidenceRow
    statement: Statement | None

    @property
    def digest(self) -> Digest:
        """Of the attestation."""
        return self.row.attestation


@dataclass(frozen=True, slots=True)
class Case:
    """What all checks look at."""

    kind: str
    store: Store
    ledger: Ledger
    state: LedgerState
    info: ReleaseInfo
    made: Release
    channel: ChannelState | None
    """The channel that is audited, or the one that the release may go to next."""
    now: datetime
    sigstore_root: bytes | None
    look: LookAt | None = None
    """What a consumer is told at a destination now, and whether that is as it should be; None where it is not known."""

    @property
    def policy(self) -> ChannelPolicy | None:
        """The signed policy of the channel."""
        if self.channel is None:
            return None
        return self.state.require_trust_root().channels.get(self.channel.name)

    @property
    def move(self) -> Move | None:
        """The move by which an audited channel stands where it does, or gives a share of it this release."""
        if self.kind != CHANNEL or self.channel is None:
            return None
        if self.info.digest != self.channel.release:
            return self.channel.canary
        return next((move for move in reversed(self.channel.history) if move.brings), None)

    @property
    def canary(self) -> Case | None:
        """The case of what a share of an audited channel has instead."""
        move = self.channel.canary if self.kind == CHANNEL and self.channel is not None else None
        if move is None:
            return None
        info = self.state.releases[move.release]
        return replace(self, info=info, made=release_objects.parse(self.store.read(info.digest)))

    @property
    def subjects(self) -> tuple[Digest, ...]:
        """The release and what is in it."""
        return (self.info.digest, *self.info.archives.values(), *self.info.components.values())

    def closed(self) -> tuple[Digest, ...]:
        """The closed evidence: the release's, its statement, its components', and the move's."""
        versions = {name: self.made.taken.get(name, self.info.version) for name in self.info.components}
        components = [self.state.component_statements.get((version, name)) for name, version in versions.items()]
        move = [*self.move.evidence, self.move.statement] if self.move else []
        return tuple(dict.fromkeys([*self.info.evidence, self.info.statement, *filter(None, components), *move]))

    def handed_in(self) -> tuple[Digest, ...]:
        """What the ledger recorded about it besides."""
        found = [digest for subject in self.subjects for digest in self.state.evidence.get(subject, ())]
        return tuple(dict.fromkeys(digest for digest in found if digest not in self.closed()))

    def _judged_with_the_move(self, digest: Digest) -> tuple[TrustRoot, datetime]:
        """The trust root and time of what came with the move itself; for anything else, those of now."""
        newest = self.state.require_trust_root()
        if self.move is None or digest not in (*self.move.evidence, self.move.statement):
            return newest, self.now
        said = promotion.parse(dict(parse_unverified(self.store.read(self.move.statement)).predicate))
        return next((r for r in self.state.trust_roots if r.digest == said.trust_root), newest), self.move.time

    def attested(self, digest: Digest) -> Attested:
        """One attestation, verified by the trust root in force when the ledger recorded it."""
        record = self.state.recorded.get(digest)
        root, at = (record.trust_root, record.at) if record else self._judged_with_the_move(digest)
        kind, names, roles = "", frozenset[str](), frozenset[str]()
        statement = None
        try:
            raw = self.store.read(digest, max_bytes=limits.ATTESTATION)
            said = parse_unverified(raw)
            kind = said.predicate_type
            sigstore = Reader(self.store, self.sigstore_root).sigstore_roots(root).of(root)
            found = verify(
                raw, trust_root=root, predicate_type=kind, subjects=said.digests, at=at, sigstore_root=sigstore
            )
            names, roles = found.names, found.roles
            status = "revoked" if self.state.is_revoked(found.id, found.identity, found.proven) else "verified"
            statement = found.statement if status == "verified" else None
        except CasstoreError as exc:
            status = exc.message
        row = EvidenceRow(
            digest,
            kind,
            tuple(sorted(names)),
            tuple(sorted(roles)),
            record.number if record else None,
            record.at if record else None,
            root.version,
            status,
        )
        return Attested(row, statement)


def open_case(
    store: Store,
    ledger: Ledger,
    state: LedgerState,
    ref: str,
    *,
    to: str | None,
    now: datetime,
    sigstore_root: bytes | None,
    look: LookAt | None = None,
) -> Case:
    """A channel's name is a channel's case, anything else a release's. Raises NoSuchObject."""
    is_channel = ref in state.channels or ref in state.require_trust_root().channels
    if is_channel:
        channel: ChannelState | None = state.channel(ref)
        if channel is None or channel.release is None:
            raise NoSuchObject(f"channel {ref} names no release yet", hint="casstore channel")
        info = state.releases[channel.release]
    else:
        info = state.find_release(ref)
        channel = state.channel(to) if to else _next(state, info)
    made = release_objects.parse(store.read(info.digest))
    kind = CHANNEL if is_channel else RELEASE
    return Case(kind, store, ledger, state, info, made, channel, now, sigstore_root, look)


def _next(state: LedgerState, info: ReleaseInfo) -> ChannelState | None:
    """The first channel of the policy that the release was never in and may come to from where it was."""
    been = state.in_channels(info.digest)
    for name, policy in state.require_trust_root().channels.items():
        if name not in been and (policy.from_channel is None or policy.from_channel in been):
            return state.channel(name)
    return None
