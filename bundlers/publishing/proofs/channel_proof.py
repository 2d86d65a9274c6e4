"""Which ledger entries prove where a channel stands, and judging them by the ledger's own rules.

Promises: publisher and consumer run the same selection and the same fold, so what a publisher
leaves out shows as a missing entry or object, never as a weaker check. Three kinds of entries:
*judged* ones pass the very rules of `casstore.ledger.rules`; a *seed* is a move that is only the
starting point of a judged one, or its end, checked for signature, role, channel and place; a
*witness* recorded evidence first, and tells by which trust root it is judged (ADR 7). Leaves to
others: that entries are in the ledger (`consumer.ledger_proof`).

    chosen = select(history, "prod", 41, policies, history.recorder)
    result = judge_channel(start, history, "prod", chosen, reader)
    result.state.channels["prod"].release
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property

from attest.core.values import dataclass
from attest.digests import Digest
from attest.errors import VerificationError
from attest.statements.predicates import promotion
from attest.statements.predicates import seal as seals
from attest.statements.predicates.promotion import Promotion
from attest.statements.predicates.seal import Seal
from attest.statements.statements import Statement
from attest.trust.trust_roots import TrustRoot
from attest.trust.verify import VerifiedStatement
from bundlers.publishing.proofs import ways
from casstore.ledger.entries import TRUST, Entry, EntryKind
from casstore.ledger.rules import Reader, judge, step
from casstore.ledger.rules.content import RELEASE_SUBJECT
from casstore.ledger.rules.reader import check_place, judged_at, with_records
from casstore.ledger.states.channel_states import ChannelState, Move
from casstore.ledger.states.state import LedgerState
from casstore.ledger.states.views import Bound, Sealed
from casstore.store.attestations import parse_unverified

ROOTS = frozenset({EntryKind.GENESIS, EntryKind.TRUST_ROOT})
_HEADS = frozenset({EntryKind.PROMOTE, EntryKind.ROLLBACK})
_TAKES_IN = frozenset({EntryKind.EVIDENCE, EntryKind.COMPONENT, EntryKind.REHEARSAL})
"""Kinds whose statement is recorded evidence itself."""


Recorder = Callable[[Digest, Promotion], int | None]


class History:
    """Entries with what their statements claim; nothing is verified here."""

    def __init__(
        self,
        entries: Iterable[Entry] | Mapping[int, Entry],
        read: Callable[[Digest], bytes],
        void: Container[int] = frozenset(),
    ) -> None:
        self.entries: Mapping[int, Entry] = (
            entries if isinstance(entries, Mapping) else {entry.number: entry for entry in entries}
        )
        self._void = void
        self._read = read
        self._statements: dict[Digest, Statement] = {}

    @cached_property
    def _by_digest(self) -> dict[Digest, Entry]:
        return {entry.digest: entry for entry in self.entries.values()}

    def statement(self, entry: Entry) -> Statement:
        """What an entry's statement says."""
        if entry.statement not in self._statements:
            self._statements[entry.statement] = parse_unverified(self._read(entry.statement))
        return self._statements[entry.statement]

    def claim(self, entry: Entry) -> Promotion:
        """What a move's statement says."""
        return promotion.parse(self.statement(entry).predicate)

    def release_of(self, entry: Entry) -> Digest:
        """The release that a move or release entry is about."""
        return self.statement(entry).subject(RELEASE_SUBJECT)

    def by_digest(self, digest: Digest) -> Entry:
        """The entry with this digest. Raises VerificationError."""
        if digest not in self._by_digest:
            raise VerificationError(f"the ledger entry {digest} is missing", hint="ask the publisher to publish again")
        return self._by_digest[digest]

    def number(self, number: int) -> Entry:
        """The entry with this number. Raises VerificationError."""
        if number not in self.entries:
            raise VerificationError(f"ledger entry {number} is missing", hint="ask the publisher to publish again")
        return self.entries[number]

    def release_entry(self, release: Digest) -> int:
        """The first entry that made a release visible. Raises VerificationError."""
        for entry in self.entries.values():
            if entry.kind is EntryKind.RELEASE and self.release_of(entry) == release:
                return entry.number
        raise VerificationError(f"the ledger entry of release {release} is missing")

    def last_head(self, channel: str, release: Digest, before: int) -> int | None:
        """The last promotion or rollback of a release in a channel before an entry."""
        found = [
            entry.number
            for entry in self.entries.values()
            if entry.kind in _HEADS
            and entry.channel == channel
            and entry.number < before
            and self.release_of(entry) == release
            and ways.brings(self, entry)
        ]
        return max(found, default=None)

    def next_head(self, channel: str, after: int, before: int) -> int | None:
        """The next promotion or rollback in a channel after an entry and before another."""
        later = ((n, e) for n, e in self.entries.items() if e.channel == channel and after < n < before)
        return min((n for n, e in later if ways.brings(self, e)), default=None)

    @property
    def seals(self) -> Sequence[int]:
        """The numbers of the seals that held, as far as that is known here."""
        return self._seals

    @cached_property
    def _seals(self) -> list[int]:
        return sorted(n for n, entry in self.entries.items() if entry.kind is EntryKind.SEAL and n not in self._void)

    def trust(self) -> frozenset[int]:
        """The numbers of the entries that say who counts."""
        return frozenset(n for n, entry in self.entries.items() if entry.kind in TRUST)

    def seal(self, number: int) -> Seal:
        """What a seal says. Raises VerificationError where it is missing."""
        entry = self.number(number)
        if entry.kind is not EntryKind.SEAL:
            raise VerificationError(f"ledger entry {number} is no seal")
        return seals.parse(self.statement(entry).predicate)

    def between(self, number: int) -> tuple[int | None, int | None]:
        """The seals before and after an entry; None where there is none (yet). Raises VerificationError."""
        place = bisect_right(self.seals, number)
        if place == len(self.seals):
            return (self.seals[-1] if self.seals else None), None
        after = self.seals[place]
        before = self.seal(after).before
        if before is not None and before >= number:
            raise VerificationError(
                f"the seal after ledger entry {number} is missing", hint="ask the publisher to publish again"
            )
        return before, after

    def around(self, numbers: Iterable[int]) -> frozenset[int]:
        """The seals between which entries lie: they bound the times that these claim."""
        return frozenset(seal for number in numbers for seal in self.between(number) if seal is not None)

    def at(self, state: LedgerState, entry: Entry) -> LedgerState:
        """The state in which an entry is judged: at its place, between its seals."""
        before, after = self.between(entry.number)
        sealed = state.sealed
        if before is None:
            sealed = None
        elif sealed is None or sealed.number != before:
            sealed = Sealed(before, self.seal(before).floor)
        claim = None if after is None else self.seal(after)
        bound = None if claim is None else Bound(claim.floor, claim.long)
        return replace(state, count=entry.number, tip=entry.prev, sealed=sealed, bound=bound)

    def recorder(self, attestation: Digest, _move: Promotion) -> int | None:
        """The first entry that took an attestation in, of those that are here."""
        return self._recorders.get(attestation)

    @cached_property
    def _recorders(self) -> dict[Digest, int]:
        found: dict[Digest, int] = {}
        for number, entry in sorted(self.entries.items()):
            taken = (entry.statement,) if entry.kind in _TAKES_IN else ()
            for digest in self.claim(entry).evidence if entry.kind in _HEADS else taken:
                found.setdefault(digest, number)
        return found


@dataclass(frozen=True, slots=True)
class Selection:
    """Numbers of entries: those to judge, those that only start from, those that recorded evidence."""

    judged: frozenset[int]
    seeds: frozenset[int]
    witnesses: frozenset[int] = frozenset()

    @property
    def numbers(self) -> frozenset[int]:
        """All of them."""
        return self.judged | self.seeds | self.witnesses


@dataclass(frozen=True, slots=True)
class ChannelJudgement:
    """A channel whose moves hold."""

    state: LedgerState
    """Of the selected entries only."""
    head: Entry
    """The last move."""
    brought: Entry
    """The promotion or rollback that brought the release."""
    canary: Entry | None = None
    """The last move of the release that a share of the channel has."""


def select(
    history: History,
    channel: str,
    head: int,
    policies: Callable[[Digest], TrustRoot | None],
    recorder: Recorder,
) -> Selection:
    """The entries for a channel whose last move is `head`.

    `policies`: trust root by digest. `recorder`: the entry that took an attestation in first, which
    a move leans on; None where that tells nothing new.
    Raises VerificationError when an entry that is needed is not in the history.
    """
    judged: set[int] = set()
    seeds: set[int] = set()
    recorders: set[int] = set()
    todo, done = [(channel, head)], set[tuple[str, int]]()
    while todo:
        done.add(place := todo.pop())
        name, number = place
        way = ways.way(history, name, number)
        judged |= way.moves
        for move in way.decided:
            release, claim = history.release_of(move), history.claim(move)
            judged.add(history.release_entry(release))
            recorders |= {found for digest in claim.evidence if (found := recorder(digest, claim)) is not None}
            if claim.from_move is not None:
                seeds.add(history.by_digest(claim.from_move).number)
            earlier = history.last_head(name, release, move.number) if move.kind is EntryKind.ROLLBACK else None
            if earlier is not None:
                seeds.add(earlier)
            root = policies(claim.trust_root)
            source = root.channels[name].from_channel if root is not None and name in root.channels else None
            if source is not None and (there := history.last_head(source, release, move.number)) is not None:
                todo += [] if (source, there) in done else [(source, there)]
                if (left := history.next_head(source, there, move.number)) is not None:
                    seeds.add(left)
    witnesses = recorders & history.entries.keys()
    return Selection(frozenset(judged), frozenset(seeds - judged), frozenset(witnesses - judged - seeds))


def judge_channel(
    start: LedgerState,
    history: History,
    channel: str,
    head: int,
    chosen: Selection,
    reader: Reader,
    revoked: frozenset[str] = frozenset(),
    limited: Mapping[str, int] | None = None,
    *,
    canary: bool = True,
) -> ChannelJudgement:
    """Fold roots, who was revoked or suspended, chosen entries. Raises VerificationError, PolicyDenied, Conflict, ...

    `revoked`, `limited`: what a sealed state says is revoked, whether its entries are in the history or not.
    At the end the move that brought the release is decided once more with all that is revoked by
    the newest entry, so that a revoked approver or attestation counts no more; likewise, unless `canary` is False,
    the last move of a release that a share of the channel has.
    """
    state = start
    brought: _Decided | None = None
    beside: _Decided | None = None
    for number in sorted(history.trust() | chosen.numbers):
        entry = history.entries[number]
        state = history.at(state, entry)
        if entry.kind in _HEADS and entry.channel == channel and number in chosen.judged:
            if ways.brings(history, entry):
                brought, beside = _Decided(state, entry), None
            else:
                beside = _Decided(state, entry)
        state = _step(state, entry, chosen, reader)
    if brought is None or state.channel(channel).number != head:
        raise VerificationError(f"ledger entry {head} is not the last move of channel {channel}")
    known = {**state.limited, **(limited or {})}
    state = replace(state, revoked=state.revoked | revoked, limited=known, bound=None)
    for decided in (brought, beside if canary else None):
        if decided is not None and (state.revoked, state.limited) != (decided.before.revoked, decided.before.limited):
            judge(replace(decided.before, revoked=state.revoked, limited=known), decided.entry, reader)
    return ChannelJudgement(state, history.number(head), brought.entry, beside.entry if beside else None)


@dataclass(frozen=True, slots=True)
class _Decided:
    """A move, and the state that it was decided on."""

    before: LedgerState
    entry: Entry


def _step(state: LedgerState, entry: Entry, chosen: Selection, reader: Reader) -> LedgerState:
    if entry.number in chosen.judged:
        return judge(state, entry, reader)
    if entry.number in chosen.seeds:
        return _seed(state, entry, reader)
    if entry.number in chosen.witnesses and entry.kind in _HEADS:
        return _witness(state, entry, reader)
    return step(state, entry, reader)


def _witness(state: LedgerState, entry: Entry, reader: Reader) -> LedgerState:
    """A move of any channel, of which only the list of its evidence matters here."""
    claim, _ = _signed(state, entry, reader)
    return with_records(state, entry.number, judged_at(state, claim.time), (entry.statement, *claim.evidence))


def _signed(state: LedgerState, entry: Entry, reader: Reader) -> tuple[Promotion, VerifiedStatement]:
    claim = promotion.parse(reader.unverified(entry).predicate)
    signed = reader.verified(state, entry, promotion.TYPE, at=claim.time, role="promoter")
    check_place(state, store=claim.store, ledger=claim.ledger)
    if (claim.action, claim.channel) != (str(entry.kind), entry.channel):
        raise VerificationError(f"ledger entry {entry.number}: its statement is a {claim.action} of {claim.channel}")
    return claim, signed


def _seed(state: LedgerState, entry: Entry, reader: Reader) -> LedgerState:
    claim, signed = _signed(state, entry, reader)
    move = Move(
        entry.number,
        entry.digest,
        str(entry.kind),
        signed.statement.subject(RELEASE_SUBJECT),
        claim.release,
        entry.statement,
        judged_at(state, claim.time),
        signed.identity,
        claim.evidence,
        share=claim.share,
    )
    before = state.channels.get(claim.channel, ChannelState(claim.channel))
    after = before.moved(move, pinned=entry.kind in (EntryKind.ROLLBACK, EntryKind.PIN))
    state = with_records(state, entry.number, judged_at(state, claim.time), (entry.statement, *claim.evidence))
    return replace(state, channels={**state.channels, claim.channel: after})
