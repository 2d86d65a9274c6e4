"""Approvals: signed for one release, channel, action, last move and diff; handed in at once or later."""

from __future__ import annotations

import secrets
from datetime import datetime

from attest.core import times
from attest.digests import Digest, sha256
from attest.errors import BadInput
from attest.signers import Signer
from attest.statements import statements
from attest.statements.predicates import approval
from casstore.errors import Conflict
from casstore.ledger.book.log import Ledger
from casstore.ledger.commit import commit
from casstore.ledger.entries import EntryKind
from casstore.ledger.folding import replay
from casstore.ledger.release_diffs import ReleaseDiff, release_diff
from casstore.ledger.states.state import LedgerState
from casstore.promotion.reports import ApprovalReport
from casstore.promotion.services import PromotionStore, Situation, next_step, require_role, situation
from casstore.store.attestations import put_attestation


def approve(
    store: PromotionStore,
    ledger: Ledger,
    release: str,
    *,
    channel: str,
    signer: Signer,
    now: datetime,
    expires: datetime,
    action: str = "promote",
    comment: str = "",
    hand_in: bool = True,
    seen: Digest | None = None,
    sigstore_root: bytes | None = None,
) -> ApprovalReport:
    """Sign an approval of a release for a channel as it stands, and append it as evidence.

    It is for the share with which the signed policy lets the release come next.
    With `hand_in=False` nothing is written; `import_attestation` takes the bytes later. `seen` is the diff that the
    approver was shown: Conflict where another one would be signed.
    Raises NoSuchObject, PolicyDenied (the signer is no approver), BadInput.
    """
    if expires <= now:
        raise BadInput(f"the approval would expire at {times.format(expires)}, before it is made")
    state = replay(ledger, store, sigstore_root=sigstore_root)
    if state.floor is not None and state.floor > now:  # somebody sealed ahead of this clock: as long, from there on
        expires += state.floor - now
    require_role(state, signer, frozenset({"approver"}), now)
    at = situation(state, release, channel, action, next_step(state, state.channel(channel), action))
    if at.there:
        raise BadInput(f"channel {channel} names {at.release.version} already, there is nothing to approve")
    diff = release_diff(store, at.channel.release, at.release.digest)
    if seen is not None and seen != diff.digest:
        raise Conflict(f"channel {channel} moved while it was shown, nothing was signed", hint="run it again")
    raw = signer.sign_statement(_statement(at, diff, expires, comment))
    number = _hand_in(store, ledger, state, raw, diff, now, sigstore_root) if hand_in else None
    return ApprovalReport(
        at.release.digest,
        at.release.version,
        channel,
        action,
        signer.identity,
        sha256(raw),
        expires,
        diff,
        raw,
        number,
        at.share,
    )


def _statement(at: Situation, diff: ReleaseDiff, expires: datetime, comment: str) -> bytes:
    predicate = approval.Approval(
        store=at.state.store,
        ledger=at.state.ledger,
        action=at.action,
        channel=at.channel.name,
        from_move=at.channel.move,
        diff=diff.digest,
        expires=expires,
        id=secrets.token_hex(16),
        comment=comment,
        share=at.share,
    )
    return statements.of_digests({"release": at.release.digest}, approval.TYPE, predicate.to_json()).to_bytes()


def _hand_in(
    store: PromotionStore,
    ledger: Ledger,
    state: LedgerState,
    raw: bytes,
    diff: ReleaseDiff,
    now: datetime,
    sigstore_root: bytes | None,
) -> int:
    with store.gathering():
        store.put_bytes(diff.to_bytes())
        digest = put_attestation(store, raw)
    entry, _ = commit(ledger, store, state, EntryKind.EVIDENCE, digest, now=now, sigstore_root=sigstore_root)
    return entry.number
