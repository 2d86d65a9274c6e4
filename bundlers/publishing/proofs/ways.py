"""The way by which a channel came to where it stands: back from its last move to the one that brought the release.

Between the two lie pins and unpins, and the moves of a canary that runs; before a promotion that took a canary whole,
that canary's moves. Nothing is verified here.

    found = way(history, "prod", 41)
    found.brought.number, [entry.number for entry in found.canary]
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from attest.core.values import dataclass
from attest.digests import Digest
from attest.errors import VerificationError
from attest.statements.predicates.promotion import Promotion
from casstore.ledger.entries import MOVES, Entry, EntryKind

_HEADS = frozenset({EntryKind.PROMOTE, EntryKind.ROLLBACK})


class Moves(Protocol):
    """Entries, with what their statements claim."""

    def number(self, number: int) -> Entry:
        """The entry with this number. Raises VerificationError."""

    def by_digest(self, digest: Digest) -> Entry:
        """The entry with this digest. Raises VerificationError."""

    def claim(self, entry: Entry) -> Promotion:
        """What a move's statement says."""

    def release_of(self, entry: Entry) -> Digest:
        """The release that a move is about."""


@dataclass(frozen=True, slots=True)
class Way:
    """The moves that a channel's standing follows from."""

    head: Entry
    """The last move."""
    brought: Entry
    """The promotion or rollback that brought the release."""
    canary: tuple[Entry, ...] = ()
    """The moves of the canary that runs, its first share first."""
    steps: tuple[Entry, ...] = ()
    """Those with a share that `brought` ended by taking the release whole, the last one first."""
    switches: tuple[Entry, ...] = ()
    """Pins and unpins since."""

    @property
    def decided(self) -> tuple[Entry, ...]:
        """What a policy decides of them."""
        return (self.brought, *self.canary, *self.steps)

    @property
    def moves(self) -> frozenset[int]:
        """The numbers of all."""
        return frozenset(entry.number for entry in (*self.decided, *self.switches))


def brings(history: Moves, entry: Entry) -> bool:
    """Whether a channel names a release from this move on."""
    return entry.kind in _HEADS and history.claim(entry).share is None


def way(history: Moves, channel: str, number: int) -> Way:
    """Back from a channel's move. Raises VerificationError where an entry is missing or is no move of the channel."""
    head = entry = _move(channel, history.number(number))
    canary: list[Entry] = []
    switches: list[Entry] = []
    while not brings(history, entry):
        (switches if entry.kind not in _HEADS else canary).append(entry)
        before = _before(history, channel, entry)
        if before is None:
            raise VerificationError(f"ledger entry {entry.number}: a {entry.kind} of a channel that holds nothing")
        entry = before
    return Way(head, entry, tuple(reversed(canary)), tuple(_steps(history, channel, entry)), tuple(switches))


def _steps(history: Moves, channel: str, brought: Entry) -> Iterator[Entry]:
    release, entry = history.release_of(brought), _before(history, channel, brought)
    while brought.kind is EntryKind.PROMOTE and entry is not None and entry.kind is EntryKind.PROMOTE:
        if brings(history, entry) or history.release_of(entry) != release:
            return
        yield entry
        entry = _before(history, channel, entry)


def _before(history: Moves, channel: str, entry: Entry) -> Entry | None:
    digest = history.claim(entry).from_move
    found = None if digest is None else _move(channel, history.by_digest(digest))
    if found is not None and found.number >= entry.number:
        raise VerificationError(f"ledger entry {entry.number}: it comes from a later one")
    return found


def _move(channel: str, entry: Entry) -> Entry:
    if entry.kind not in MOVES or entry.channel != channel:
        raise VerificationError(f"ledger entry {entry.number} is no move of channel {channel}")
    return entry
