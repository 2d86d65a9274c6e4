"""The values that a ledger's state is made of: what a release, a channel, a publication is, by the ledger.

All are frozen; `state.LedgerState` holds them, `rules` makes them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from attest.core import times
from attest.digests import Digest
from attest.judging.explained import Explained
from casstore.errors import SealDisputed
from casstore.ledger.tables import Log, Table, log, table

if TYPE_CHECKING:
    from casstore.ledger.entries import Entry


@dataclass(frozen=True, slots=True)
class ReleaseInfo:
    """A visible release."""

    version: str
    digest: Digest
    number: int
    """The entry that made it visible."""
    statement: Digest
    archives: Mapping[str, Digest]
    components: Mapping[str, Digest]
    evidence: tuple[Digest, ...]
    time: datetime
    builder: str
    """The identity that signed the release statement."""
    explained: tuple[Explained, ...] = ()
    """What explains common content of its products."""

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "version": self.version,
            "release": self.digest,
            "entry": self.number,
            "time": times.format(self.time),
            "archives": dict(self.archives),
        }


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


def publications_of(destination: str) -> Log[Publication]:
    """No publications to a destination yet."""
    return log(f"publications/{destination}", plain, lambda row: Publication(*row))


def plain(value: Any) -> Any:
    """A value as msgpack has it: mappings as maps, sets sorted, our own values as their fields in order."""
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (frozenset, set)):
        return sorted(value)
    if isinstance(value, (tuple, list)):
        return [plain(item) for item in value]
    if hasattr(value, "__slots__") and not isinstance(value, (str, bytes, datetime)):
        return [plain(getattr(value, name)) for name in value.__slots__]
    return value


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


@dataclass(frozen=True, slots=True)
class Publication:
    """One publication to a destination."""

    destination: str
    number: int
    channel: str
    release: Digest
    version: str
    entry: int
    statement: Digest
    time: datetime
    withdrawn: bool = False


@dataclass(frozen=True, slots=True)
class Condemned:
    """A pack that waits to be given up: by which entry, and until when its grace lasts."""

    number: int
    until: datetime


@dataclass(frozen=True, slots=True)
class Revocation:
    """What counts no more, and since when."""

    kind: str
    subject: Digest
    reason: str
    entry: int
    statement: Digest
    time: datetime
    name: str
    """What to compare with: the digest, or the identity."""
    holders: tuple[Digest, ...] = ()
    """Trees that hold a revoked file: they count no more either."""
    from_entry: int | None = None
    """Of an identity: what was recorded before this entry stays good."""


@dataclass(frozen=True, slots=True, order=True)
class RecordedSigner:
    """Somebody whose signature a version leans on, and the ledger entry by which it was recorded at the latest."""

    identity: str
    entry: int


@dataclass(frozen=True, slots=True)
class Suspension:
    """An identity that counts for nothing until a time."""

    identity: str
    entry: int
    until: datetime
    root: int
    """The version of the trust root in force: no identity is suspended twice under one."""
    reason: str


@dataclass(frozen=True, slots=True)
class Sealed:
    """The last seal that held, and the floor of time: the latest clock of all seals that held."""

    number: int
    time: datetime
    clocks: tuple[tuple[int, datetime], ...] = ()
    """The last seals with what their clocks said, so that owners can set one right."""
    older: datetime | None = None
    """The latest clock of those before."""

    def followed(self, number: int, clock: datetime) -> Sealed:
        """After one more seal."""
        clocks, older = (*self.clocks, (number, clock)), self.older
        if len(clocks) > CLOCKS_KEPT:
            older = clocks[0][1] if older is None else max(older, clocks[0][1])
            clocks = clocks[1:]
        return Sealed(number, max(self.time, clock), clocks, older)

    def corrected(self, number: int, clock: datetime) -> Sealed | None:
        """With the floor that the owners set in place of a seal's clock; None where another seal's is later.

        Who knows only the last seal (a consumer) takes it as it is said; the sealed state tells whether it held.
        """
        others = [said for known, said in self.clocks if known != number]
        if self.clocks and (len(others) == len(self.clocks) or clock < max([*others, self.older or clock])):
            return None
        clocks = tuple((known, clock if known == number else said) for known, said in self.clocks)
        return Sealed(self.number, clock, clocks, self.older)


CLOCKS_KEPT = 16


@dataclass(frozen=True, slots=True)
class Bound:
    """The seal that ends an epoch: nothing in it counts as signed later."""

    time: datetime
    long: bool = False
    """The epoch is longer than the owners let a clock be believed: what ended in it had ended (docs/adr/0013)."""


@dataclass(frozen=True, slots=True, eq=False)
class Epoch:
    """The entries since the last seal: provisional, for the next one bounds the times that they claim."""

    base: Callable[[], Any]
    """The `state.LedgerState` before the first of them."""
    earlier: Callable[[], list[Entry]]
    """Those that were folded when the state was saved."""
    last: tuple[Any, Any] | None
    """(entry, what came before it) of the others, so that one more costs nothing however many there are."""
    latest: datetime
    """The latest time that one of them claims."""
    count: int = 1

    @property
    def entries(self) -> list[Entry]:
        """In their order."""
        found, link = [], self.last
        while link:
            found.append(link[0])
            link = link[1]
        return [*self.earlier(), *found[::-1]]


@dataclass(frozen=True, slots=True)
class Dispute:
    """A seal of the role `ledger` that says something else than this reader's own fold."""

    number: int
    identity: str
    state: Digest
    full: Digest
    own_state: Digest
    own_full: Digest
    rows: tuple[str, ...] = ()
    """The names of rows of `state` that differ, as far as the sealed leaves are here."""

    def error(self) -> SealDisputed:
        """What a writer says that stops before it."""
        return SealDisputed(self.number, self.identity, self.state, self.full, self.own_state, self.own_full, self.rows)
