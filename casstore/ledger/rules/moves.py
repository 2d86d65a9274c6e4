"""Who is where: promote, rollback, pin, unpin.

A move is bound to {store, ledger, channel, last move of the channel, trust root}; promote and
rollback are decided anew from the closed evidence list of the signed statement, with its time
as "now", so that a promoter's signature alone moves nothing.
"""

from __future__ import annotations

from datetime import datetime

from attest.core.values import dataclass
from attest.digests import Digest
from attest.errors import FormatError, PolicyDenied, TrustError, VerificationError
from attest.judging import decisions
from attest.judging.decisions import Decision
from attest.statements.predicates import promotion
from attest.statements.predicates.promotion import Promotion
from attest.trust.trust_roots import SHARES
from attest.trust.verify import VerifiedStatement
from casstore.errors import Conflict
from casstore.ledger.entries import Entry
from casstore.ledger.requests import move_request
from casstore.ledger.rules.reader import Reader, check_place, ends_at, judged_at, with_records
from casstore.ledger.states.channel_states import ChannelState, Move
from casstore.ledger.states.state import LedgerState, changed
from casstore.ledger.states.views import ReleaseInfo


@dataclass(frozen=True, slots=True)
class _Bound:
    """A move's statement, verified and bound to its place."""

    claim: Promotion
    signed: VerifiedStatement
    channel: ChannelState
    release: ReleaseInfo


def promote(state: LedgerState, entry: Entry, reader: Reader) -> LedgerState:
    """The channel names another release, or a share of it gets one."""
    bound = _bound(state, entry, reader)
    check_promotable(bound.channel, bound.release, bound.claim.share)
    _decide(state, entry, reader, bound)
    return _moved(state, entry, bound, pinned=False)


def rollback(state: LedgerState, entry: Entry, reader: Reader) -> LedgerState:
    """The channel names a release again that it named before, or still does beside a canary, and is pinned there."""
    bound = _bound(state, entry, reader)
    check_rollback(bound.channel, bound.release)
    _decide(state, entry, reader, bound)
    return _moved(state, entry, bound, pinned=True)


def pin(state: LedgerState, entry: Entry, reader: Reader) -> LedgerState:
    """The channel refuses promotions."""
    return _switch(state, entry, reader, pinned=True)


def unpin(state: LedgerState, entry: Entry, reader: Reader) -> LedgerState:
    """The channel takes promotions again."""
    return _switch(state, entry, reader, pinned=False)


def check_promotable(channel: ChannelState, release: ReleaseInfo, share: int | None = None) -> None:
    """Raises PolicyDenied for a pinned channel, Conflict when the release is there already, or another one comes."""
    if channel.pinned:
        raise PolicyDenied(
            f"channel {channel.name} is pinned at {channel.version}",
            hint=f"when the reason is gone: casstore unpin {channel.name} --reason TEXT",
        )
    if channel.release == release.digest:
        raise Conflict(f"channel {channel.name} names {release.version} already")
    canary = channel.canary
    if canary is not None and canary.release != release.digest:
        raise Conflict(
            f"{canary.version} reaches {canary.share}% of channel {channel.name}: one release comes at a time",
            hint=f"take it back: casstore rollback {channel.name} --reason TEXT",
        )
    if canary is not None and canary.share == share:
        raise Conflict(f"{canary.version} reaches {canary.share}% of channel {channel.name} already")


def check_rollback(channel: ChannelState, release: ReleaseInfo) -> None:
    """Raises PolicyDenied unless the release is an earlier one of this channel."""
    if channel.release == release.digest and channel.canary is None:
        raise Conflict(f"channel {channel.name} names {release.version} already")
    if release.digest not in channel.been:
        raise PolicyDenied(
            f"{release.version} never was in channel {channel.name}: a rollback only goes back",
            hint=f"promote it: casstore promote {release.version} --to {channel.name}",
        )


def check_not_revoked(state: LedgerState, release: ReleaseInfo, at: datetime | None = None) -> None:
    """Raises PolicyDenied when who released it counts no more, or the release or one of its archives was revoked."""
    if state.is_withdrawn(release):
        raise PolicyDenied(f"release {release.version}, or something in it, was revoked", hint="make a new release")
    limit = state.limited.get(release.builder)
    suspended = at is not None and release.builder in state.suspended(at)
    if state.is_revoked(release.builder) or suspended or (limit is not None and release.number >= limit):
        raise PolicyDenied(
            f"who signed release {release.version} was revoked, or is suspended", hint="make a new release"
        )


def _bound(state: LedgerState, entry: Entry, reader: Reader) -> _Bound:
    unverified = reader.unverified(entry)
    claim = promotion.parse(unverified.predicate)
    if claim.share is not None and SHARES not in state.require_trust_root().asked:
        raise FormatError("the trust root does not ask for the feature shares")  # who knows none says the same
    signed = reader.verified(state, entry, promotion.TYPE, at=claim.time, role="promoter")
    check_place(state, store=claim.store, ledger=claim.ledger)
    if (claim.action, claim.channel) != (str(entry.kind), entry.channel):
        raise VerificationError(f"the statement is a {claim.action} of {claim.channel}, the entry is not")
    root = state.require_trust_root()
    if claim.trust_root != root.digest:
        raise TrustError(f"the statement was made under another trust root than version {root.version}")
    if claim.channel not in root.channels:
        raise PolicyDenied(f"the signed policy knows no channel {claim.channel}")
    channel = state.channel(claim.channel)
    _check_order(claim, channel)
    release = state.releases.get(signed.statement.subject("release"))
    if release is None or release.version != claim.release:
        raise VerificationError(f"the statement names {claim.release[:80]!r}, which is no such release of this ledger")
    return _Bound(claim, signed, channel, release)


def _check_order(claim: Promotion, channel: ChannelState) -> None:
    if claim.from_move != channel.move:
        raise VerificationError(
            f"it was made for another state of {channel.name}: from is {claim.from_move}, the last move {channel.move}"
        )


def _decide(state: LedgerState, entry: Entry, reader: Reader, bound: _Bound) -> None:
    now = judged_at(state, bound.claim.time)
    check_not_revoked(state, bound.release, now)
    request = move_request(
        state,
        reader.recent,
        channel=bound.channel,
        action=bound.claim.action,
        release=bound.release,
        now=now,
        promoter=bound.signed.identity,
        ends=ends_at(state, now, bound.signed.signed_at),
        share=bound.claim.share,
    )
    root = state.require_trust_root()
    closed = {*bound.claim.evidence, *fixed_evidence(state, bound.release), *limiting_evidence(state, bound)}
    decision = decisions.decide(
        request,
        root,
        [reader.read(digest, entry) for digest in sorted(closed)],
        revoked=state.out(now),
        limited=state.limited,
        recorded=state.recorded,
        sigstore=reader.sigstore_roots(*state.trust_roots),
    )
    if not decision.allowed:
        raise PolicyDenied(f"the policy of {bound.channel.name} does not allow it: {told(decision)}")


def fixed_evidence(state: LedgerState, release: ReleaseInfo) -> frozenset[Digest]:
    """What always belongs to the evidence, whatever a promoter lists: it tells who built the release.

    Without it a promoter could leave out the provenance, and count its signer as an approver.
    """
    trees = {state.component_statements.get((release.version, name)) for name in release.components}
    return frozenset({release.statement, *release.evidence, *(found for found in trees if found is not None)})


def limiting_evidence(state: LedgerState, bound: _Bound) -> frozenset[Digest]:
    """What was handed in and could speak against the release, where the policy has rules that can be failed by it.

    A promoter could leave out the scan that found something.
    """
    policy = state.require_trust_root().channels[bound.channel.name]
    if not policy.vulnerabilities and not policy.rules:
        return frozenset()
    return frozenset(found for subject in subjects_of(bound.release) for found in state.evidence.get(subject, ()))


def subjects_of(release: ReleaseInfo) -> tuple[Digest, ...]:
    """The release and what is in it."""
    return (release.digest, *release.archives.values(), *release.components.values())


def told(decision: Decision) -> str:
    """What a decision misses, in one line."""
    return "; ".join(rule.message for rule in decision.rules if rule.status != "satisfied") or "denied"


def _moved(state: LedgerState, entry: Entry, bound: _Bound, *, pinned: bool) -> LedgerState:
    at = judged_at(state, bound.claim.time)
    move = Move(
        entry.number,
        entry.digest,
        str(entry.kind),
        bound.release.digest,
        bound.release.version,
        entry.statement,
        at,
        bound.signed.identity,
        bound.claim.evidence,
        bound.claim.reason,
        bound.claim.share,
    )
    after = bound.channel.moved(move, pinned=pinned)
    state = with_records(state, entry.number, at, (entry.statement, *bound.claim.evidence))
    return changed(state, channels={**state.channels, after.name: after})


def _switch(state: LedgerState, entry: Entry, reader: Reader, *, pinned: bool) -> LedgerState:
    bound = _bound(state, entry, reader)
    if bound.channel.release != bound.release.digest:
        raise VerificationError(f"channel {bound.channel.name} does not name {bound.release.version}")
    if (canary := bound.channel.canary) is not None:
        raise Conflict(f"{canary.version} reaches {canary.share}% of channel {bound.channel.name}: it comes first")
    if bound.channel.pinned == pinned:
        raise Conflict(f"channel {bound.channel.name} is {'pinned' if pinned else 'not pinned'} already")
    return _moved(state, entry, bound, pinned=pinned)
