"""From a ledger's state to the question that `attest.judging.decisions` answers: may this release move there?"""

from __future__ import annotations

from datetime import datetime

from attest.digests import ZERO, Digest
from attest.judging.decisions import MoveRequest
from attest.judging.explained import Explained
from attest.judging.values import Canary
from casstore.ledger.release_diffs import release_diff
from casstore.ledger.states.channel_states import ChannelState
from casstore.ledger.states.state import LedgerState, ObjectReader
from casstore.ledger.states.views import ReleaseInfo


def move_request(
    state: LedgerState,
    objects: ObjectReader,
    *,
    channel: ChannelState,
    action: str,
    release: ReleaseInfo,
    now: datetime,
    promoter: str | None,
    ends: datetime | None = None,
    share: int | None = None,
) -> MoveRequest:
    """The request for a move on this very state."""
    return MoveRequest(
        store=state.store,
        ledger=state.ledger,
        channel=channel.name,
        action=action,
        release=release.digest,
        version=release.version,
        archives=release.archives,
        trees=release.components,
        from_move=channel.move,
        from_release=channel.release,
        diff=_diff(state, objects, channel, action, release),
        now=now,
        promoter=promoter,
        in_channels=state.in_channels(release.digest),
        explained=release.explained,
        explained_before=_explained_before(state, channel),
        stayed={name: stayed(found, release.digest, now) for name, found in state.channels.items()},
        rolled_back=rolled_back(state, release.digest),
        share=share,
        canary=canary(channel, now),
        ends=ends,
    )


def canary(channel: ChannelState, now: datetime) -> Canary | None:
    """What runs beside the channel's release, and for how long with its share."""
    move = channel.canary
    if move is None or move.share is None:
        return None
    return Canary(move.release, move.version, move.share, max(0, int((now - move.time).total_seconds())))


def rolled_back(state: LedgerState, release: Digest) -> dict[str, str]:
    """Channel -> why it was rolled back from a release since that came there last."""
    found = {name: channel.rolled_back(release) for name, channel in state.channels.items()}
    return {name: move.reason or "no reason given" for name, move in found.items() if move is not None}


def _explained_before(state: LedgerState, channel: ChannelState) -> tuple[Explained, ...]:
    before = state.releases.get(channel.release) if channel.release is not None else None
    return before.explained if before is not None else ()


def stayed(channel: ChannelState, release: Digest, now: datetime) -> int:
    """For how many seconds the channel named the release the last time that it came there; 0 if never."""
    if (been := channel.been.get(release)) is None:
        return 0
    left = channel.after(been[1])
    return max(0, int(((now if left is None else left.time) - channel.history[been[1]].time).total_seconds()))


def _diff(
    state: LedgerState, objects: ObjectReader, channel: ChannelState, action: str, release: ReleaseInfo
) -> Digest:
    """What approvers saw; not computed where nobody needs to approve."""
    policy = state.require_trust_root().channels.get(channel.name)
    known = {row.key for row in _explained_before(state, channel)}
    new = action == "promote" and any(row.key not in known for row in release.explained)
    if policy is None or not (new or (policy.approvals if action == "promote" else policy.rollback_approvals)):
        return ZERO
    return release_diff(objects, channel.release, release.digest).digest
