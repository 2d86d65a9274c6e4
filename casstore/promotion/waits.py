"""What waits for whom, in all channels: moves that could come next, what is not published yet, what was withdrawn.

A channel's next release is what the channel before it names, or the newest one where there is none before;
what it named once already does not wait.

    for wait in waiting(store, ledger, now=now).waits:
        wait.channel, wait.version, wait.who
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from attest.core import times
from attest.core.values import dataclass
from attest.digests import Digest
from attest.judging.decisions import SATISFIED, Decision, Rule
from attest.statements.predicates import suspension
from casstore.ledger.book.log import Ledger
from casstore.ledger.folding import replay
from casstore.ledger.rules.reader import judged_at, root_in_force
from casstore.ledger.states.channel_states import ChannelState
from casstore.ledger.states.state import LedgerState
from casstore.ledger.states.views import Publication, ReleaseInfo
from casstore.promotion.services import PromotionStore, Situation, judge, next_step

if TYPE_CHECKING:
    from attest.trust.policies import ChannelPolicy

MOVE, PUBLISH, TELL, WITHDRAWN = "promote", "publish", "tell", "withdrawn"


@dataclass(frozen=True, slots=True)
class Wait:
    """One thing that somebody has to do."""

    kind: str
    """`promote`, `publish`, `tell` (what was taken away or came back since is not published) or `withdrawn`."""
    channel: str
    version: str
    since: str
    """Since when it could be done."""
    who: tuple[str, ...]
    """Who may do it, or give what is missing first."""
    holds: str = ""
    """What the channel names now."""
    destination: str = ""
    needs: tuple[Rule, ...] = ()
    """What is missing before a move; empty: it may be made now."""
    share: int | None = None
    """The percentage of consumers that the move would reach; None: all of the channel."""

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "kind": self.kind,
            "channel": self.channel,
            "version": self.version,
            "holds": self.holds or None,
            "destination": self.destination or None,
            "since": self.since,
            "share": self.share,
            "ready": not self.needs,
            "who": list(self.who),
            "needs": [rule.to_json() for rule in self.needs],
        }


@dataclass(frozen=True, slots=True)
class StatusReport:
    """Everything that waits, in the order of the channels."""

    ledger: str
    at: datetime
    waits: tuple[Wait, ...]

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {"ledger": self.ledger, "at": times.format(self.at), "waits": [wait.to_json() for wait in self.waits]}


def waiting(
    store: PromotionStore, ledger: Ledger, *, now: datetime, proposed: Mapping[str, ChannelPolicy] | None = None
) -> StatusReport:
    """What waits now. Raises NoSuchObject before the ceremony."""
    state = replay(ledger, store)
    policies = state.require_trust_root().channels
    waits: list[Wait] = []
    for name, policy in policies.items():
        channel = state.channel(name)
        waits += _withdrawn(state, channel, now)
        waits += _moves(store, state, channel, policy, now, proposed)
        waits += _publications(state, channel, now)
    return StatusReport(ledger.name, now, tuple(waits))


def candidate(state: LedgerState, channel: ChannelState, policy: ChannelPolicy) -> ReleaseInfo | None:
    """What could come next into a channel: the release that a share of it has, before all others."""
    if (canary := channel.canary) is not None:
        return state.releases[canary.release]
    if policy.from_channel is not None:
        before = state.channel(policy.from_channel).release
        found = state.releases[before] if before is not None else None
    else:
        found = next(state.newest_releases(), None)
    return None if found is None or found.digest in channel.been else found


def counting(state: LedgerState, role: str, now: datetime) -> tuple[str, ...]:
    """The names whose signature counts for a role now."""
    at = judged_at(state, now)
    root = root_in_force(state, at)
    held = [(name, root.identity_of(name)) for name in root.holders(role)]
    return tuple(
        name
        for name, entry in held
        if entry is not None and entry.valid_at(at) and state.may_sign(entry.identity, state.count, at)
    )


def _moves(
    store: PromotionStore,
    state: LedgerState,
    channel: ChannelState,
    policy: ChannelPolicy,
    now: datetime,
    proposed: Mapping[str, ChannelPolicy] | None,
) -> Iterator[Wait]:
    release = candidate(state, channel, policy)
    if release is None or state.is_withdrawn(release):
        return
    at = Situation(state, channel, release, "promote", next_step(state, channel))
    needs = _open(judge(store, at, now=now, promoter=None, proposed=proposed))
    who = tuple(dict.fromkeys(name for rule in needs for name in rule.who)) or counting(state, "promoter", now)
    since = _since(state, release, policy) if channel.canary is None else times.format(channel.canary.time)
    yield Wait(MOVE, channel.name, release.version, since, who, holds=channel.version, needs=needs, share=at.share)


def _open(decision: Decision) -> tuple[Rule, ...]:
    return tuple(rule for rule in decision.rules if rule.status != SATISFIED)


def _since(state: LedgerState, release: ReleaseInfo, policy: ChannelPolicy) -> str:
    if policy.from_channel is None:
        return times.format(release.time)
    head = state.channel(policy.from_channel).head
    return times.format(release.time if head is None else head.time)


def _publications(state: LedgerState, channel: ChannelState, now: datetime) -> Iterator[Wait]:
    """Where a channel was published before, and its last move is not."""
    if channel.move is None:
        return
    for destination, rows in state.publications.items():
        last = next((row for row in reversed(rows) if row.channel == channel.name), None)
        if last is None:
            continue
        who = counting(state, "publisher", now)
        if last.entry < channel.number:
            moved = times.format(channel.history[-1].time)
            yield Wait(PUBLISH, channel.name, channel.version, moved, who, channel.version, destination)
        elif (since := _untold(state, rows[-1].entry, last, now)) is not None:
            told = times.format(since)
            yield Wait(TELL, channel.name, channel.version, told, who, channel.version, destination)


def _untold(state: LedgerState, published: int, last: Publication, now: datetime) -> datetime | None:
    """Since when consumers of a destination have not heard what counts no more, or counts again."""
    gone = [row.time for row in state.revocations if row.entry > published]
    gone += [row.until - suspension.LASTS for row in state.suspensions if row.entry > published]
    ended = [row.until for row in state.suspensions if last.withdrawn and last.time < row.until <= now]
    return min([*gone, *ended], default=None)


def _withdrawn(state: LedgerState, channel: ChannelState, now: datetime) -> Iterator[Wait]:
    if channel.release is None:
        return
    yield from _withdrawn_release(state, channel, channel.release, now)
    if (canary := channel.canary) is not None:
        yield from _withdrawn_release(state, channel, canary.release, now)


def _withdrawn_release(state: LedgerState, channel: ChannelState, digest: Digest, now: datetime) -> Iterator[Wait]:
    release = state.releases[digest]
    made = {release.digest, *release.archives.values(), *release.components.values()}
    found = [row for row in state.revocations if made & {row.name, *row.holders}]
    if found:
        since = times.format(found[0].time)
        yield Wait(WITHDRAWN, channel.name, release.version, since, counting(state, "promoter", now), channel.version)
