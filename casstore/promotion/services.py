"""What the promotion services share: the situation of a move, its evidence, who may sign."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from attest.core import limits, times
from attest.core.values import dataclass
from attest.digests import Digest, sha256
from attest.errors import PolicyDenied
from attest.judging import steps
from attest.judging.decisions import Decision, MoveRequest, Rule, decide
from attest.keys import identities
from attest.signers import Signer
from casstore.errors import Conflict, MoveDenied, NoSuchObject, StoreDamaged
from casstore.ledger.requests import move_request
from casstore.ledger.rules.moves import check_promotable, check_rollback, fixed_evidence, subjects_of
from casstore.ledger.rules.reader import Reader, judged_at, root_in_force
from casstore.ledger.states.channel_states import ChannelState
from casstore.ledger.states.state import LedgerState
from casstore.ledger.states.views import ReleaseInfo
from casstore.objects.kinds import Kind, NewObject
from casstore.objects.tree import Tree, show
from casstore.store import attestations
from casstore.store.attestations import AttestationStore, parse_unverified
from casstore.store.holders import Inside, holding

if TYPE_CHECKING:
    from attest.trust.policies import ChannelPolicy
    from attest.trust.trust_roots import TrustRoot


class KeepStore(AttestationStore, Protocol):
    """What keeping attestations needs of a store."""

    def put_many(self, items: Sequence[NewObject]) -> list[Digest]:
        """Keep several objects with one commit."""


class PromotionStore(KeepStore, Protocol):
    """What the services need of a store."""

    @property
    def store_id(self) -> str:
        """The id that statements name."""

    @property
    def inside(self) -> Inside | None:
        """Who reads what is packed in files; None where nobody does."""

    def gathering(self) -> AbstractContextManager[None]:
        """All that is kept meanwhile goes into one pack."""

    def tree(self, digest: Digest) -> Tree:
        """A folder object. Raises NoSuchObject."""


@dataclass(frozen=True, slots=True)
class Situation:
    """One release and one channel on one state of the ledger."""

    state: LedgerState
    channel: ChannelState
    release: ReleaseInfo
    action: str
    share: int | None = None
    """The percentage of consumers that a promotion is to reach; None: all of the channel."""

    @property
    def there(self) -> bool:
        """Whether the channel names the release already, or that share of it has it."""
        canary = self.channel.canary
        if self.channel.release == self.release.digest:
            return canary is None or self.action == "promote"
        return canary is not None and (canary.release, canary.share) == (self.release.digest, self.share)


def situation(state: LedgerState, release: str, channel: str, action: str, share: int | None = None) -> Situation:
    """Raises NoSuchObject for an unknown release or channel."""
    return Situation(state, state.channel(channel), state.find_release(release), action, share)


def next_step(state: LedgerState, channel: ChannelState, action: str = "promote") -> int | None:
    """The share with which the signed policy lets a release come next; None: for all."""
    policy = state.require_trust_root().channels.get(channel.name)
    if policy is None or channel.release is None or action != "promote":
        return None
    return steps.next_share(policy, None if (canary := channel.canary) is None else canary.share)


def request_for(store: PromotionStore, at: Situation, now: datetime, promoter: str | None) -> MoveRequest:
    """The question for `attest.judging.decisions`."""
    return move_request(
        at.state,
        store,
        channel=at.channel,
        action=at.action,
        release=at.release,
        now=now,
        promoter=promoter,
        share=at.share,
    )


def evidence_for(store: PromotionStore, at: Situation) -> dict[Digest, bytes]:
    """What the release leans on, and all that was handed in about it and what is in it.

    The provenance of the very components that it was made of, its own closed list, what its moves leaned on, what
    the ledger recorded of its archives and trees, and what lies in the store that no entry speaks of yet. Archives
    and trees that did not change are in other releases too: what those lean on is theirs, however much it is.
    """
    state, release = at.state, at.release
    archives = tuple(release.archives.values())
    named = {d for subject in subjects_of(release) for d in state.evidence.get(subject, ())}
    named |= fixed_evidence(state, release) | _leaned_on(state, release)
    theirs = {d for archive in archives for d in store.attestations(archive) if d in state.recorded} - named
    found = {
        item.digest: item.raw for item in attestations.find_many(store, (release.digest, *archives), without=theirs)
    }
    for digest in sorted(named - found.keys()):
        try:
            found[digest] = store.read(digest, max_bytes=limits.ATTESTATION)
        except NoSuchObject as exc:
            raise StoreDamaged(
                f"the attestation {digest} of release {release.version} is gone",
                hint="mend it from another copy of the store: casstore fsck --repair --from STORE",
            ) from exc
    return found


def _leaned_on(state: LedgerState, release: ReleaseInfo) -> set[Digest]:
    """The evidence of the moves that brought the release into channels."""
    been = ((channel, channel.been.get(release.digest)) for channel in state.channels.values())
    moves = [channel.history[place] for channel, places in been if places is not None for place in set(places)]
    shared = ((channel, channel.shared.get(release.digest)) for channel in state.channels.values())
    moves += [channel.history[place] for channel, place in shared if place is not None]
    return {digest for move in moves for digest in move.evidence}


def judge(
    store: PromotionStore,
    at: Situation,
    *,
    now: datetime,
    promoter: str | None,
    proposed: Mapping[str, ChannelPolicy] | None = None,
    sigstore_root: bytes | None = None,
) -> Decision:
    """The decision: the ledger's own conditions first, then the policy."""
    now = judged_at(at.state, now)
    root = root_in_force(at.state, now)
    decision = decide(
        request_for(store, at, now, promoter),
        root,
        list(evidence_for(store, at).values()),
        revoked=at.state.out(now),
        limited=at.state.limited,
        recorded=at.state.recorded,
        sigstore=Reader(store, sigstore_root).sigstore_roots(*at.state.trust_roots),
    )
    refused = [*_state_rules(at), *_content_rules(store, at), *_proposal_rules(at, proposed)]
    if not refused:
        return decision
    return Decision(
        allowed=False,
        rules=(*refused, *decision.rules),
        evidence=decision.evidence,
        ignored=decision.ignored,
    )


def require(decision: Decision, at: Situation) -> None:
    """Raises MoveDenied, which carries the decision."""
    if decision.allowed:
        return
    open_rules = [rule for rule in decision.rules if rule.status != "satisfied"]
    raise MoveDenied(
        f"{at.action} of {at.release.version} to {at.channel.name} is denied: "
        + "; ".join(rule.message for rule in open_rules),
        decision=decision,
        names={"release": at.release.version, "channel": at.channel.name, "action": at.action},
        hint="what is missing, and who may give it: casstore explain "
        f"{at.release.version} --to {at.channel.name}{' --action rollback' if at.action == 'rollback' else ''}",
    )


def require_role(state: LedgerState, signer: Signer, roles: frozenset[str], now: datetime) -> None:
    """Nothing is signed by somebody whose signature would not count. Raises PolicyDenied."""
    moved = judged_at(state, now)
    root = root_in_force(state, moved)
    if not state.may_sign(signer.identity, state.count, moved):
        raise PolicyDenied(f"the identity {identities.short(signer.identity)} was revoked, or is suspended")
    if not roles & root.roles_of(signer.identity, moved):
        who = sorted({name for role in roles for name in root.holders(role)})
        raise PolicyDenied(
            f"{identities.short(signer.identity)} has not the role {' or '.join(sorted(roles))}"
            + _told_window(root, signer.identity, roles, moved, now),
            hint=f"one of them must do it: {', '.join(who) or 'nobody has the role, see casstore keys ceremony'}",
        )


def _told_window(root: TrustRoot, identity: str, roles: frozenset[str], moved: datetime, now: datetime) -> str:
    """Of somebody who holds the role at another time: when, and what the clocks say."""
    holders = {name for role in roles for name in root.holders(role)}
    found = [entry for entry in root.identities if entry.identity == identity and entry.name in holders]
    if not found:
        return ""
    seal = f", raised to the last seal {times.format(moved)}" if moved > now else ""
    windows = "; ".join(f"{entry.name} counts {entry.window}" for entry in found)
    return f" now: {windows} (trust root version {root.version}); this machine's clock shows {times.format(now)}{seal}"


def keep(store: KeepStore, raws: Sequence[bytes]) -> list[Digest]:
    """Put several attestations with one commit; durable on return."""
    items = [NewObject(raw, Kind.ATTESTATION, tuple(sorted(parse_unverified(raw).digests))) for raw in raws]
    store.put_many(items)
    return [sha256(raw) for raw in raws]


def find_release(state: LedgerState, ref: str) -> ReleaseInfo:
    """A release by version, digest, digest prefix or channel. Raises NoSuchObject."""
    return state.find_release(ref)


def _state_rules(at: Situation) -> list[Rule]:
    """The conditions that the ledger itself sets, as rules of a decision."""
    try:
        _check_channel(at)
    except Conflict:  # another release comes: the policy's rule `share` tells it
        return []
    except PolicyDenied as exc:
        unpin = at.channel.pinned and at.action == "promote"
        return [
            _refused("channel", exc.message, "unpin" if unpin else "none", role="promoter" if unpin else None, at=at)
        ]
    return []


def _check_channel(at: Situation) -> None:
    if at.there:
        return
    if at.action == "promote":
        check_promotable(at.channel, at.release, at.share)
    else:
        check_rollback(at.channel, at.release)


def check_contents(store: PromotionStore, state: LedgerState, trees: Mapping[str, Digest]) -> None:
    """Components by name. Raises PolicyDenied when one holds what was revoked by its bytes."""
    if not (wanted := state.revoked_contents):
        return
    found = holding(store, trees.values(), wanted)
    for name, tree in trees.items():
        for content, paths in found.get(tree, {}).items():
            raise PolicyDenied(
                f"component {name} holds {show(paths[0])}, which was revoked ({content})",
                hint="build it without, and put it anew; why it was revoked: casstore whence " + content,
            )


def _content_rules(store: PromotionStore, at: Situation) -> list[Rule]:
    try:
        check_contents(store, at.state, at.release.components)
    except PolicyDenied as exc:
        return [_refused("content", exc.message, "none")]
    return []


def _proposal_rules(at: Situation, proposed: Mapping[str, ChannelPolicy] | None) -> list[Rule]:
    """`[channels]` of casstore.toml is a proposal; promotion stops while it differs from what the owners signed."""
    if proposed is None or proposed.get(at.channel.name) == at.state.require_trust_root().channels.get(at.channel.name):
        return []
    message = f"casstore.toml proposes another policy for {at.channel.name} than the owners signed"
    return [_refused("signed-policy", message, "change-policy", role="owner", at=at)]


def _refused(name: str, message: str, action: str, *, role: str | None = None, at: Situation | None = None) -> Rule:
    who = tuple(sorted(at.state.require_trust_root().holders(role))) if role and at else ()
    return Rule(
        id=name,
        status="refused",
        message=message,
        evidence=(),
        needed_role=role,
        who=who,
        action=action,
        count_missing=0,
    )
