"""Which ledger entries prove where a channel stands, and judging them by the ledger's own rules.

Promises: publisher and consumer run the same selection and the same fold, so what a publisher
leaves out shows as a missing entry or object, never as a weaker check. Two kinds of entries:
*judged* ones pass the very rules of `casstore.ledger.rules`; a *seed* is a move that is only the
starting point of a judged one, checked for signature, role, channel and place. Leaves to others:
that entries are in the ledger (`consumer.ledger_proof`).

    chosen = select(history, "prod", head=41)
    result = judge_channel(start, history, "prod", chosen, reader)
    result.state.channels["prod"].release
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from attest.digests import Digest
from attest.errors import VerificationError
from attest.predicates import promotion
from attest.predicates.promotion import Promotion
from attest.statements import Statement
from attest.trust_roots import TrustRoot
from casstore.attestations import parse_unverified
from casstore.ledger.entries import MOVES, Entry, EntryKind
from casstore.ledger.rules import Reader, judge, step
from casstore.ledger.rules.content import RELEASE_SUBJECT
from casstore.ledger.rules.reader import check_place
from casstore.ledger.state import LedgerState
from casstore.ledger.views import ChannelState, Move

TRUST = frozenset({EntryKind.GENESIS, EntryKind.TRUST_ROOT, EntryKind.REVOKE})
_HEADS = frozenset({EntryKind.PROMOTE, EntryKind.ROLLBACK})


class History:
    """Entries with what their statements claim; nothing is verified here."""

    def __init__(self, entries: Iterable[Entry], read: Callable[[Digest], bytes]) -> None:
        self.entries: Mapping[int, Entry] = {entry.number: entry for entry in entries}
        self._by_digest = {entry.digest: entry for entry in self.entries.values()}
        self._read = read
        self._statements: dict[Digest, Statement] = {}

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
        ]
        return max(found, default=None)


@dataclass(frozen=True, slots=True)
class Selection:
    """Numbers of entries: those to judge, and those that only start from."""

    judged: frozenset[int]
    seeds: frozenset[int]

    @property
    def numbers(self) -> frozenset[int]:
        """All of them."""
        return self.judged | self.seeds


@dataclass(frozen=True, slots=True)
class ChannelJudgement:
    """A channel whose moves hold."""

    state: LedgerState
    """Of the selected entries only."""
    head: Entry
    """The last move."""
    brought: Entry
    """The promotion or rollback that brought the release."""


def select(history: History, channel: str, head: int, policies: Callable[[Digest], TrustRoot | None]) -> Selection:
    """The entries for a channel whose last move is `head`. `policies`: trust root by digest.

    Raises VerificationError when one that is needed is not in the history.
    """
    judged: set[int] = set()
    seeds: set[int] = set()
    todo = [(channel, head)]
    while todo:
        name, number = todo.pop()
        move = _brought(history, name, number, judged)
        release, claim = history.release_of(move), history.claim(move)
        judged.add(history.release_entry(release))
        if claim.from_move is not None:
            seeds.add(history.by_digest(claim.from_move).number)
        if move.kind is EntryKind.ROLLBACK and (earlier := history.last_head(name, release, move.number)) is not None:
            seeds.add(earlier)
        root = policies(claim.trust_root)
        source = root.channels[name].from_channel if root is not None and name in root.channels else None
        if source is not None and (there := history.last_head(source, release, move.number)) is not None:
            todo.append((source, there))
    return Selection(frozenset(judged), frozenset(seeds - judged))


def _brought(history: History, channel: str, number: int, judged: set[int]) -> Entry:
    """Back from a move over pins and unpins to the promotion or rollback under them, all of them judged."""
    while True:
        entry = history.number(number)
        if entry.kind not in MOVES or entry.channel != channel:
            raise VerificationError(f"ledger entry {number} is no move of channel {channel}")
        judged.add(number)
        if entry.kind in _HEADS:
            return entry
        before = history.claim(entry).from_move
        if before is None or history.by_digest(before).number >= number:
            raise VerificationError(f"ledger entry {number}: a {entry.kind} of a channel that holds nothing")
        number = history.by_digest(before).number


def judge_channel(
    start: LedgerState, history: History, channel: str, head: int, chosen: Selection, reader: Reader
) -> ChannelJudgement:
    """Fold trust roots, revocations and the chosen entries. Raises VerificationError, PolicyDenied, Conflict, ...

    At the end the move that brought the release is decided once more with all that is revoked by
    the newest entry, so that a revoked approver or attestation counts no more.
    """
    state = before = start
    brought = None
    for number in sorted({n for n, e in history.entries.items() if e.kind in TRUST} | chosen.numbers):
        entry = history.entries[number]
        state = replace(state, count=number, tip=entry.prev)
        if entry.kind in _HEADS and entry.channel == channel and number in chosen.judged:
            before, brought = state, entry
        state = _step(state, entry, chosen, reader)
    if brought is None or state.channel(channel).number != head:
        raise VerificationError(f"ledger entry {head} is not the last move of channel {channel}")
    if state.revoked != before.revoked:
        judge(replace(before, revoked=state.revoked), brought, reader)
    return ChannelJudgement(state, history.number(head), brought)


def _step(state: LedgerState, entry: Entry, chosen: Selection, reader: Reader) -> LedgerState:
    if entry.number in chosen.judged:
        return judge(state, entry, reader)
    if entry.number in chosen.seeds:
        return _seed(state, entry, reader)
    return step(state, entry, reader)


def _seed(state: LedgerState, entry: Entry, reader: Reader) -> LedgerState:
    claim = promotion.parse(reader.unverified(entry).predicate)
    signed = reader.verified(state, entry, promotion.TYPE, at=claim.time, role="promoter")
    check_place(state, store=claim.store, ledger=claim.ledger)
    if (claim.action, claim.channel) != (str(entry.kind), entry.channel):
        raise VerificationError(f"ledger entry {entry.number}: its statement is a {claim.action} of {claim.channel}")
    move = Move(
        entry.number,
        entry.digest,
        str(entry.kind),
        signed.statement.subject(RELEASE_SUBJECT),
        claim.release,
        entry.statement,
        claim.time,
        signed.identity,
        claim.evidence,
    )
    before = state.channels.get(claim.channel, ChannelState(claim.channel))
    after = before.moved(move, pinned=entry.kind in (EntryKind.ROLLBACK, EntryKind.PIN))
    return replace(state, channels={**state.channels, claim.channel: after})
