"""Where the channels stand, how they came there, and where one stood at another time.

`at` is a time, or the number of a ledger entry; what a channel named then follows from its moves, and
whether that was withdrawn since is said by what is known now.

    channels(store, ledger).rows
    standing(store, ledger, "prod", times.parse("2026-01-01T00:00:00Z")).row.version
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING

from attest.core import limits, times
from attest.digests import Digest
from attest.errors import CasstoreError
from attest.keys import identities
from attest.statements import predicates
from attest.statements.predicates import approval
from attest.trust.verify import verify
from casstore.errors import NoSuchObject
from casstore.ledger.book.log import Ledger
from casstore.ledger.folding import replay
from casstore.ledger.states.channel_states import Move
from casstore.ledger.states.state import LedgerState
from casstore.promotion.reports import ChannelRow, ChannelSpan, ChannelsReport, EvidenceRow, StandingReport
from casstore.store.attestations import parse_unverified

if TYPE_CHECKING:
    from casstore.promotion.services import PromotionStore


def channels(store: PromotionStore, ledger: Ledger, *, name: str | None = None) -> ChannelsReport:
    """Where the channels stand, in the order of the policy; with `name` the moves of one. Raises NoSuchObject."""
    state = replay(ledger, store)
    if name is not None:
        moves = state.channel(name).history
        return ChannelsReport(ledger.name, tuple(_row(store, state, name, move) for move in moves), True)
    known = [*state.require_trust_root().channels]
    names = known + sorted(state.channels.keys() - set(known))
    heads = [(one, state.channel(one).history) for one in names]
    rows = [_stood(store, state, one, moves, len(moves)) if moves else ChannelRow(one) for one, moves in heads]
    return ChannelsReport(ledger.name, tuple(rows), False)


def standing(store: PromotionStore, ledger: Ledger, name: str, at: datetime | int | None = None) -> StandingReport:
    """Where a channel stands, or stood at a time or after an entry. Raises NoSuchObject."""
    state = replay(ledger, store)
    moves = state.channel(name).history
    place = _moves_until(moves, at)
    told = str(at) if isinstance(at, int) else times.format(at) if at is not None else ""
    if place == 0:
        return StandingReport(ledger.name, ChannelRow(name), told, *_left(moves, 0))
    head, beside = _whole(moves, place), moves[place - 1]
    root = _root_at(state, beside.number)
    policy = root.channels.get(name)
    return StandingReport(
        ledger.name,
        _stood(store, state, name, moves, place),
        told,
        *_left(moves, place),
        archives=state.releases[head.release].archives,
        evidence=tuple(evidence_row(store, state, digest) for digest in head.evidence),
        canary_archives={} if beside.share is None else state.releases[beside.release].archives,
        canary_evidence=tuple(
            evidence_row(store, state, digest) for digest in (() if beside.share is None else beside.evidence)
        ),
        trust_root=root.version,
        policy=policy.to_json() if policy else {},
    )


def release_at(state: LedgerState, name: str, at: datetime | int | None) -> Digest:
    """What a channel names, or named. Raises NoSuchObject."""
    moves = state.channel(name).history
    place = _moves_until(moves, at)
    if place == 0:
        raise NoSuchObject(
            f"channel {name} named no release" + ("" if at is None else " then"), hint=f"casstore channel log {name}"
        )
    return _whole(moves, place).release


def canary_at(state: LedgerState, name: str, at: datetime | int | None) -> Move | None:
    """What a share of a channel has, or had."""
    moves = state.channel(name).history
    place = _moves_until(moves, at)
    return moves[place - 1] if place and moves[place - 1].share is not None else None


def evidence_of(state: LedgerState, name: str, at: datetime | int | None) -> tuple[Digest, ...]:
    """What the move leaned on that brought a channel where it stands, or stood."""
    moves = state.channel(name).history
    heads = [move for move in moves[: _moves_until(moves, at)] if move.brings]
    return heads[-1].evidence if heads else ()


def policy_of(state: LedgerState, name: str, at: datetime | int | None) -> dict[str, object]:
    """The signed policy of a channel now, or that by which it was moved where it stood."""
    moves = state.channel(name).history
    place = _moves_until(moves, at)
    past = at is not None and place > 0
    root = _root_at(state, moves[place - 1].number) if past else state.require_trust_root()
    policy = root.channels.get(name)
    return policy.to_json() if policy else {}


def evidence_row(store: PromotionStore, state: LedgerState, digest: Digest) -> EvidenceRow:
    """What an attestation is and who signed it, by the trust root that it is judged by; for showing only."""
    raw = store.read(digest, max_bytes=limits.ATTESTATION)
    said = parse_unverified(raw)
    record = state.recorded.get(digest)
    root = record.trust_root if record else state.require_trust_root()
    try:
        names = verify(
            raw,
            trust_root=root,
            predicate_type=said.predicate_type,
            subjects=said.digests,
            at=record.at if record else root.created,
        ).names
    except CasstoreError:  # a keyless one that only its own sigstore root can judge
        names = frozenset()
    return EvidenceRow(digest, predicates.short_name(said.predicate_type), tuple(sorted(names)))


def _moves_until(moves: Sequence[Move], at: datetime | int | None) -> int:
    """How many of a channel's moves were made by then."""
    if at is None:
        return len(moves)
    if isinstance(at, int):
        return bisect_right([move.number for move in moves], at)
    return bisect_right([move.time for move in moves], at)


def _whole(moves: Sequence[Move], place: int) -> Move:
    """The last of so many moves that was no share: the first one of a channel is none."""
    return next(move for move in map(moves.__getitem__, range(place - 1, -1, -1)) if move.share is None)


def _left(moves: Sequence[Move], place: int) -> tuple[str, int | None]:
    """When, and by which entry, the next move came."""
    after = moves[place] if place < len(moves) else None
    return (times.format(after.time), after.number) if after else ("", None)


def _root_at(state: LedgerState, number: int):  # type: ignore[no-untyped-def]
    place = bisect_right(state.trust_root_entries, number)
    return state.trust_roots[max(0, place - 1)]


def _stood(store: PromotionStore, state: LedgerState, channel: str, moves: Sequence[Move], place: int) -> ChannelRow:
    """A channel after so many moves, with the canary beside it."""
    row, last = _row(store, state, channel, _whole(moves, place)), moves[place - 1]
    return row if last.share is None else replace(row, canary=_row(store, state, channel, last))


def _row(store: PromotionStore, state: LedgerState, channel: str, move: Move) -> ChannelRow:
    names = {entry.identity: entry.name for entry in state.require_trust_root().identities}
    release = state.releases[move.release]
    return ChannelRow(
        channel=channel,
        version=move.version,
        release=move.release,
        action=move.kind,
        number=move.number,
        since=times.format(move.time),
        pinned=move.kind in ("rollback", "pin"),
        promoter=names.get(move.by, identities.short(move.by)),
        approvers=tuple(sorted(approvers_of(store, state, move.evidence))),
        reason=move.reason,
        revoked=state.is_withdrawn(release),
        share=move.share,
    )


def channel_spans(
    store: PromotionStore,
    state: LedgerState,
    release: Digest,
    *,
    of: Collection[str] | None = None,
    known: Mapping[tuple[str, str, int | None], tuple[str, ...]] = MappingProxyType({}),
) -> tuple[ChannelSpan, ...]:
    """When channels (all, or these) named a release, or gave it to a share, and who approved that.

    `known`: (channel, since, share) -> approvers that were looked up before.
    """
    found = []
    for name, channel in state.channels.items():
        for since, until, share in channel.spans(release) if of is None or name in of else ():
            began = times.format(since)
            by = known.get((name, began, share))
            if by is None:
                wanted = (release, since, share)
                moves = (move for move in channel.history if (move.release, move.time, move.share) == wanted)
                by = tuple(sorted({who for move in moves for who in approvers_of(store, state, move.evidence)}))
            found.append(ChannelSpan(name, began, times.format(until) if until else None, by, share))
    return tuple(found)


def approvers_of(store: PromotionStore, state: LedgerState, evidence: Sequence[Digest]) -> set[str]:
    """Names behind the approvals of a move that the fold has judged already; for showing only."""
    found: set[str] = set()
    word = predicates.short_name(approval.TYPE)
    for digest in evidence:
        row = evidence_row(store, state, digest)
        if row.kind == word:
            found |= set(row.names) or {"unknown now"}
    return found
