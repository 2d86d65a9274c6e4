"""The moves: promote, rollback, pin, unpin; and `explain`, the same decision told.

Order of writing: the VSAs and the promotion statement (one pack), then the ledger entry. A
crash before the entry leaves attestations that nothing leans on; doing it again finishes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import chain, islice
from typing import TYPE_CHECKING

from attest.core import limits
from attest.digests import Digest
from attest.errors import PolicyDenied, VerificationError
from attest.judging.decisions import Decision
from attest.signers import Signer
from attest.statements import statements
from attest.statements.predicates import approval, promotion
from casstore.errors import Conflict, NoSuchObject
from casstore.ledger.book.log import Ledger
from casstore.ledger.commit import commit
from casstore.ledger.entries import Entry, EntryKind
from casstore.ledger.folding import replay
from casstore.ledger.states.channel_states import ChannelState
from casstore.ledger.states.state import LedgerState
from casstore.ledger.states.views import ReleaseInfo
from casstore.promotion import summaries
from casstore.promotion.reports import MoveReport
from casstore.promotion.services import PromotionStore, Situation, judge, keep, require, require_role, situation
from casstore.promotion.standings import evidence_row
from casstore.store.attestations import parse_unverified

if TYPE_CHECKING:
    from attest.trust.policies import ChannelPolicy

_PROMOTER = frozenset({"promoter"})


def promote(
    store: PromotionStore,
    ledger: Ledger,
    release: str,
    *,
    channel: str,
    signer: Signer,
    now: datetime,
    proposed: Mapping[str, ChannelPolicy] | None = None,
    share: int | None = None,
    sigstore_root: bytes | None = None,
) -> MoveReport:
    """Move a channel to a release if the signed policy allows it; there already is a no-op.

    `share`: only that percentage of its consumers gets it, the others keep what the channel names.

    Raises MoveDenied (with the decision), PolicyDenied, NoSuchObject.
    """
    state = replay(ledger, store, sigstore_root=sigstore_root)
    at = situation(state, release, channel, "promote", share)
    if at.there:
        return _report(at, at.channel, moved=False)
    require_role(state, signer, _PROMOTER, now)
    return _move(store, ledger, at, signer, now, "", proposed, sigstore_root)


def rollback(
    store: PromotionStore,
    ledger: Ledger,
    *,
    channel: str,
    signer: Signer,
    now: datetime,
    reason: str,
    release: str | None = None,
    steps: int = 1,
    confirm: bool = True,
    sigstore_root: bytes | None = None,
) -> MoveReport:
    """Move a channel back to an earlier release of its own (by default the one before, or `steps` before) and pin it.

    Without `confirm` only what would happen is reported. Raises as `promote`.
    """
    state = replay(ledger, store, sigstore_root=sigstore_root)
    target = release if release is not None else earlier_release(state, channel, steps)
    at = situation(state, target, channel, "rollback")
    if at.there:
        return _report(at, at.channel, moved=False)
    require_role(state, signer, _PROMOTER, now)
    if not confirm:
        decision = judge(store, at, now=now, promoter=signer.identity, sigstore_root=sigstore_root)
        require(decision, at)
        return _report(at, None, moved=False, decision=decision)
    return _move(store, ledger, at, signer, now, reason, None, sigstore_root)


def explain(
    store: PromotionStore,
    ledger: Ledger,
    release: str,
    *,
    channel: str,
    now: datetime,
    action: str = "promote",
    proposed: Mapping[str, ChannelPolicy] | None = None,
    promoter: str | None = None,
    share: int | None = None,
    sigstore_root: bytes | None = None,
) -> Decision:
    """What `promote` or `rollback` would be told now. Raises NoSuchObject."""
    state = replay(ledger, store, sigstore_root=sigstore_root)
    at = situation(state, release, channel, action, share)
    return judge(store, at, now=now, promoter=promoter, proposed=proposed, sigstore_root=sigstore_root)


def pin(
    store: PromotionStore, ledger: Ledger, *, channel: str, signer: Signer, now: datetime, reason: str
) -> MoveReport:
    """Let a channel refuse promotions where it stands."""
    return _switch(store, ledger, channel, "pin", signer, now, reason)


def unpin(
    store: PromotionStore,
    ledger: Ledger,
    *,
    channel: str,
    signer: Signer,
    now: datetime,
    reason: str,
    confirm: bool = True,
) -> MoveReport:
    """Let a channel take promotions again; approvals that were handed in for it as it stands count no more then.

    Without `confirm` nothing is done where there are such.
    """
    return _switch(store, ledger, channel, "unpin", signer, now, reason, confirm)


def earlier_release(state: LedgerState, name: str, steps: int = 1) -> Digest:
    """What the channel named so many releases before its head first came; what was withdrawn is no step.

    While a canary runs, what the channel names is the first one: it takes the canary back.

    Raises NoSuchObject.
    """
    channel = state.channel(name)
    first = channel.been[channel.release][0] if channel.release is not None else 0
    named = () if channel.canary is None or channel.release is None else (channel.release,)
    fit = (found for found in chain(named, channel.before(first)) if not state.is_withdrawn(state.releases[found]))
    good = list(islice(fit, steps))
    if len(good) < steps:
        told = f"only {len(good)} earlier releases" if good else "no earlier release"
        raise NoSuchObject(
            f"channel {name} has {told} to roll back to" + (" that was not withdrawn" if first else ""),
            hint="name one of its history with --to (casstore channel log), or promote a fixed release",
        )
    return good[steps - 1]


def _move(
    store: PromotionStore,
    ledger: Ledger,
    at: Situation,
    signer: Signer,
    now: datetime,
    reason: str,
    proposed: Mapping[str, ChannelPolicy] | None,
    sigstore_root: bytes | None,
) -> MoveReport:
    """Decide, sign, put, append; after a lost race that moved this channel, decide again."""
    while True:
        decision = judge(store, at, now=now, promoter=signer.identity, proposed=proposed, sigstore_root=sigstore_root)
        require(decision, at)
        summary = summaries.sign(store, at, signer, now, decision.evidence)
        with store.gathering():
            evidence = tuple(sorted({*decision.evidence, *keep(store, summary)})) if summary else decision.evidence
            (statement,) = keep(store, [signer.sign_statement(_statement(at, now, evidence, reason))])
        try:
            entry, state = _commit(store, ledger, at, statement, now, sigstore_root)
        except (Conflict, PolicyDenied, VerificationError):
            after = replay(ledger, store, at.state, sigstore_root=sigstore_root)
            if not _matters(at, after):
                raise
            at = situation(after, at.release.digest, at.channel.name, at.action, at.share)
            if at.there:
                return _report(at, at.channel, moved=False)
            continue
        return _report(
            at, state.channels[at.channel.name], moved=True, entry=entry, evidence=evidence, decision=decision
        )


def _commit(
    store: PromotionStore,
    ledger: Ledger,
    at: Situation,
    statement: Digest,
    now: datetime,
    sigstore_root: bytes | None,
) -> tuple[Entry, LedgerState]:
    return commit(
        ledger,
        store,
        at.state,
        EntryKind(at.action),
        statement,
        channel=at.channel.name,
        now=now,
        sigstore_root=sigstore_root,
    )


def _matters(at: Situation, after: LedgerState) -> bool:
    """Whether other writers changed what this move was decided on."""
    before = at.state
    return (
        after.channel(at.channel.name).move != at.channel.move
        or after.trust_roots != before.trust_roots
        or (after.revoked, after.limited, after.suspensions) != (before.revoked, before.limited, before.suspensions)
    )


def _switch(
    store: PromotionStore,
    ledger: Ledger,
    channel: str,
    action: str,
    signer: Signer,
    now: datetime,
    reason: str,
    confirm: bool = True,
) -> MoveReport:
    state = replay(ledger, store)
    found = state.channel(channel)
    if found.release is None:
        raise NoSuchObject(f"channel {channel} names no release yet")
    at = Situation(state, found, state.releases[found.release], action)
    if found.pinned == (action == "pin"):
        return _report(at, found, moved=False)
    require_role(state, signer, _PROMOTER, now)
    voids = tuple(_voided(store, ledger, state, found, now))
    if voids and not confirm:
        return replace(_report(at, None, moved=False), pinned=found.pinned, voids=voids)
    (statement,) = keep(store, [signer.sign_statement(_statement(at, now, (), reason))])
    entry, after = _commit(store, ledger, at, statement, now, None)
    return replace(_report(at, after.channels[channel], moved=True, entry=entry), voids=voids)


def _voided(
    store: PromotionStore, ledger: Ledger, state: LedgerState, channel: ChannelState, now: datetime
) -> Iterator[str]:
    """The approvals that name the channel's last move, as the ledger has them: another move ends them."""
    for entry in ledger.entries(channel.number + 1):
        if entry.kind is not EntryKind.EVIDENCE or entry.number in state.codes:
            continue
        said = parse_unverified(store.read(entry.statement, max_bytes=limits.ATTESTATION))
        if said.predicate_type != approval.TYPE:
            continue
        claim = approval.parse(said.predicate)
        if (claim.channel, claim.from_move) == (channel.name, channel.move) and now < claim.expires:
            versions = {state.releases[one].version for one in said.digests if one in state.releases}
            names = evidence_row(store, state, entry.statement).names
            yield f"{claim.action} of {', '.join(sorted(versions))} by {', '.join(names) or 'unknown'}"


def _statement(at: Situation, now: datetime, evidence: Sequence[Digest], reason: str) -> bytes:
    predicate = promotion.Promotion(
        store=at.state.store,
        ledger=at.state.ledger,
        action=at.action,
        channel=at.channel.name,
        from_move=at.channel.move,
        release=at.release.version,
        time=now,
        trust_root=at.state.require_trust_root().digest,
        evidence=tuple(evidence),
        reason=reason,
        share=at.share,
    )
    return statements.of_digests({"release": at.release.digest}, promotion.TYPE, predicate.to_json()).to_bytes()


def _report(
    at: Situation,
    after: ChannelState | None,
    *,
    moved: bool,
    entry: Entry | None = None,
    evidence: tuple[Digest, ...] = (),
    decision: Decision | None = None,
) -> MoveReport:
    last = after.history[-1] if after is not None and after.history else None
    before: ReleaseInfo | None = at.state.releases.get(at.channel.release) if at.channel.release else None
    return MoveReport(
        action=at.action,
        channel=at.channel.name,
        release=at.release.digest,
        version=at.release.version,
        from_release=at.channel.release,
        from_version=before.version if before else "",
        share=at.share if at.release.digest != at.channel.release else None,
        taken_back=canary.version if at.action == "rollback" and (canary := at.channel.canary) is not None else "",
        pinned=after.pinned if after is not None else at.action == "rollback",
        moved=moved,
        number=last.number if last else None,
        entry=entry.digest if entry else (last.entry if last else None),
        statement=last.statement if last else None,
        evidence=evidence or (last.evidence if last else ()),
        dry_run=after is None,
        decision=decision,
    )
