"""The values that a ledger's state is made of: what a release, a channel, a publication is, by the ledger.

All are frozen; `state.LedgerState` holds them, `rules` makes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from attest.core import times
from attest.digests import Digest
from casstore.errors import SealDisputed


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
        }


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
    history: tuple[Move, ...] = ()

    def moved(self, move: Move, *, pinned: bool) -> ChannelState:
        """The channel after one more move."""
        return ChannelState(
            self.name, move.release, move.version, move.entry, move.number, pinned, (*self.history, move)
        )

    @property
    def releases(self) -> tuple[Digest, ...]:
        """The releases that it named, oldest first, without repeats next to each other."""
        heads: list[Digest] = []
        for move in self.history:
            if not heads or heads[-1] != move.release:
                heads.append(move.release)
        return tuple(heads)

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "channel": self.name,
            "release": self.release,
            "version": self.version,
            "move": self.move,
            "entry": None if self.move is None else self.number,
            "pinned": self.pinned,
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


@dataclass(frozen=True, slots=True)
class Sealed:
    """The last seal that held."""

    number: int
    time: datetime


@dataclass(frozen=True, slots=True)
class Dispute:
    """A seal of the role `ledger` that says something else than this reader's own fold."""

    number: int
    identity: str
    state: Digest
    full: Digest
    own_state: Digest
    own_full: Digest

    def error(self) -> SealDisputed:
        """What a writer says that stops before it."""
        return SealDisputed(self.number, self.identity, self.state, self.full, self.own_state, self.own_full)
