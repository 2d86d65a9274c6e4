"""The values that a ledger's state is made of: what a release, a publication, a revocation is, by the ledger.

All are frozen; `state.LedgerState` holds them, `rules` makes them. Of channels: `channel_states`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from attest.core import times
from attest.core.values import dataclass
from attest.digests import Digest
from attest.judging.explained import Explained
from casstore.errors import SealDisputed
from casstore.ledger.states.tables import Log, log

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
