"""A channel by the ledger: its moves, what it names, and the canary that comes to a share of it.

Frozen; `rules.moves` makes them.

    channel = channel.moved(move, pinned=False)
    channel.release, channel.canary, channel.gives
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field
from datetime import datetime
from typing import Any

from attest.core import times
from attest.core.values import dataclass
from attest.digests import Digest
from casstore.ledger.states.tables import Log, Table, log, table
from casstore.ledger.states.views import plain


@dataclass(frozen=True, slots=True)
class Move:
    """One entry that changed a channel."""

    number: int
    entry: Digest
    kind: str
    release: Digest
    version: str
    statement: Digest
    time: datetime
    by: str
    """The identity of the promoter."""
    evidence: tuple[Digest, ...] = ()
    reason: str = ""
    share: int | None = None
    """Of a promotion: the percentage of consumers that it reaches; None: the whole channel."""

    @property
    def brings(self) -> bool:
        """Whether the channel names the release from then on."""
        return self.kind in HEADS and self.share is None

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "entry": self.number,
            "digest": self.entry,
            "action": self.kind,
            "release": self.release,
            "version": self.version,
            "statement": self.statement,
            "time": times.format(self.time),
            "by": self.by,
            "evidence": list(self.evidence),
            "reason": self.reason,
            "share": self.share,
        }


HEADS = frozenset({"promote", "rollback"})
"""The kinds of moves that bring a release, to the whole channel or to a share of it."""


def moves_of(channel: str) -> Log[Move]:
    """No moves of a channel yet."""
    return log(f"history/{channel}", _move_row, lambda row: Move(*row))


def _move_row(move: Move) -> Any:
    row = plain(move)
    return row if move.share is not None else row[:-1]


def been_of(channel: str) -> Table[Digest, tuple[int, int]]:
    """No releases in a channel yet."""
    return table(f"been/{channel}")


def shared_of(channel: str) -> Table[Digest, int]:
    """No releases that came to a share of a channel yet."""
    return table(f"shared/{channel}")


@dataclass(frozen=True, slots=True)
class ChannelState:
    """Where a channel stands."""

    name: str
    release: Digest | None = None
    version: str = ""
    move: Digest | None = None
    """The digest of the last move's entry: what the next move names in `from`."""
    number: int = -1
    pinned: bool = False
    history: Log[Move] = field(default_factory=lambda: moves_of(""))
    been: Table[Digest, tuple[int, int]] = field(default_factory=lambda: been_of(""))
    """Release -> the places in the history of the moves that brought it first and last."""
    shared: Table[Digest, int] = field(default_factory=lambda: shared_of(""))
    """Release -> the place in the history of the last move that gave it a share."""

    def moved(self, move: Move, *, pinned: bool) -> ChannelState:
        """The channel after one more move."""
        history = self.history or moves_of(self.name)
        been = self.been or been_of(self.name)
        shared = self.shared or shared_of(self.name)
        release, version = move.release, move.version
        if move.brings:
            first = been.get(release, (len(history), 0))[0]
            been = been.plus({release: (first, len(history))})
        elif move.share is not None:
            shared = shared.plus({release: len(history)})
            release, version = self.release or release, self.version or version
        return ChannelState(
            self.name, release, version, move.entry, move.number, pinned, history.plus(move), been, shared
        )

    @property
    def canary(self) -> Move | None:
        """The last move of a release that reaches a share of the channel, while one does."""
        last = self.history[-1] if self.history else None
        return last if last is not None and last.share is not None else None

    @property
    def gives(self) -> tuple[Digest, ...]:
        """What its consumers get now: its release, and the canary."""
        canary = self.canary
        return tuple(one for one in (self.release, canary.release if canary else None) if one is not None)

    @property
    def canary_moves(self) -> tuple[Move, ...]:
        """All moves of the canary that runs, the first share first; none else comes between them."""
        found: list[Move] = []
        for place in range(len(self.history) - 1, -1, -1):
            if (move := self.history[place]).share is None:
                break
            found.append(move)
        return tuple(reversed(found))

    def spans(self, release: Digest) -> Iterator[tuple[datetime, datetime | None, int | None]]:
        """Since when, until when (None: still) and for which share (None: all) it gave out a release."""
        since: datetime | None = None
        share: int | None = None
        for move in self.history:
            given = move.release == release
            if since is not None and (not given or move.share != share) and self._ends(move, share):
                yield since, move.time, share
                since = None
            if given and since is None:
                since, share = move.time, move.share
        if since is not None:
            yield since, None, share

    @staticmethod
    def _ends(move: Move, share: int | None) -> bool:
        """Whether a move ends what was given out to a share, or to all: a share of another release leaves those."""
        return share is not None or move.share is None

    @property
    def head(self) -> Move | None:
        """The promotion or rollback that brought the release."""
        return None if self.release is None else self.history[self.been[self.release][1]]

    def after(self, place: int) -> Move | None:
        """The next promotion or rollback after a place in the history."""
        later = (self.history[number] for number in range(place + 1, len(self.history)))
        return next((move for move in later if move.brings), None)

    def rolled_back(self, release: Digest) -> Move | None:
        """The rollback that took a release away after it came the last time, if that is how it went."""
        been, shared = self.been.get(release), self.shared.get(release)
        place = max(-1 if been is None else been[1], -1 if shared is None else shared)
        left = None if place < 0 else self.after(place)
        return left if left is not None and left.kind == "rollback" else None

    def before(self, place: int) -> Iterator[Digest]:
        """The releases that it named before a place in the history, the last one first, each once."""
        told = set()
        for number in range(place - 1, -1, -1):
            move = self.history[number]
            if move.share is None and move.release not in told:
                told.add(move.release)
                yield move.release

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "channel": self.name,
            "release": self.release,
            "version": self.version,
            "move": self.move,
            "entry": None if self.move is None else self.number,
            "pinned": self.pinned,
            "canary": None if (canary := self.canary) is None else canary.to_json(),
            "history": [move.to_json() for move in self.history],
        }
