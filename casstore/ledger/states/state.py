"""The state of a ledger: the fold of its entries, each one judged by the same rules for everybody.

An entry that does not hold is void: kept in `void` with the reason, without effect. How a state is
made of entries: `casstore.ledger.folding`.

    state.channels["prod"].release
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import field
from datetime import datetime, timedelta
from itertools import islice
from operator import attrgetter
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from attest import digests
from attest.core.values import dataclass
from attest.digests import Digest
from casstore.errors import NoSuchObject
from casstore.ledger.states import row_values
from casstore.ledger.states.channel_states import ChannelState, Move
from casstore.ledger.states.tables import Log, Table, log, table
from casstore.ledger.states.views import (
    Bound,
    Condemned,
    Dispute,
    Epoch,
    Publication,
    ReleaseInfo,
    Revocation,
    Sealed,
    Suspension,
)

if TYPE_CHECKING:
    from attest.judging.records import Record
    from attest.trust.trust_roots import TrustRoot
    from casstore.ledger.states.state_tries import StateTries

__all__ = [
    "ChannelState",
    "Condemned",
    "LedgerState",
    "Move",
    "ObjectReader",
    "Publication",
    "ReleaseInfo",
    "Revocation",
    "changed",
    "start",
]

_K = TypeVar("_K")
_V = TypeVar("_V")
GAP = timedelta(hours=24)
"""How long an epoch may be for the clocks in it to be believed, where the trust root says nothing else."""
_PREFIX = re.compile("sha256:[0-9a-f]{8,63}")


class ObjectReader(Protocol):
    """What a fold needs of a store."""

    @property
    def store_id(self) -> str:
        """The id that statements must name."""

    def read(self, digest: Digest, *, max_bytes: int = ...) -> bytes:
        """The verified bytes of an object. Raises NoSuchObject."""


def _empty() -> Mapping[_K, _V]:
    return MappingProxyType({})


def _table(name: str) -> Callable[[], Table[Any, Any]]:
    return lambda: table(name, *row_values.forms(name))


def _log(name: str) -> Callable[[], Log[Any]]:
    return lambda: log(name, *row_values.forms(name))


@dataclass(frozen=True, slots=True)
class LedgerState:
    """What the entries up to `count` add up to."""

    store: str
    ledger: str
    count: int = 0
    tip: Digest = digests.ZERO
    trust_roots: tuple[TrustRoot, ...] = ()
    trust_root_files: tuple[Digest, ...] = ()
    """The signed files of `trust_roots`, by digest: the chain that a consumer can verify."""
    trust_root_entries: tuple[int, ...] = ()
    """The entries that brought them."""
    components: Table[tuple[str, str], Digest] = field(default_factory=_table("components"))
    """(release version, component name) -> tree."""
    component_statements: Table[tuple[str, str], Digest] = field(default_factory=_table("component_statements"))
    first_puts: Table[tuple[str, Digest], Digest] = field(default_factory=_table("first_puts"))
    """(component name, tree) -> the first provenance of it."""
    last_puts: Table[str, Digest] = field(default_factory=_table("last_puts"))
    """Component name -> the last provenance of one of its trees."""
    tree_puts: Table[Digest, tuple[str, str]] = field(default_factory=_table("tree_puts"))
    """Tree -> the last version and name under which it was put."""
    releases: Table[Digest, ReleaseInfo] = field(default_factory=_table("releases"))
    order: Log[Digest] = field(default_factory=_log("order"))
    """The releases as they came."""
    versions: Table[str, Digest] = field(default_factory=_table("versions"))
    channels: Mapping[str, ChannelState] = field(default_factory=_empty)
    publications: Mapping[str, Log[Publication]] = field(default_factory=_empty)
    evidence: Table[Digest, tuple[Digest, ...]] = field(default_factory=_table("evidence"))
    """Subject -> attestations that were handed in about it."""
    recorded: Table[Digest, Record] = field(default_factory=_table("recorded"))
    """Attestation -> the first entry that took it in, and the trust root in force then."""
    revocations: tuple[Revocation, ...] = ()
    revoked: frozenset[str] = frozenset()
    """Digests of artifacts and attestations, and identities."""
    limited: Mapping[str, int] = field(default_factory=_empty)
    """Revoked identities of which counts what was recorded before an entry."""
    suspensions: tuple[Suspension, ...] = ()
    condemned: Mapping[Digest, Condemned] = field(default_factory=_empty)
    """Packs on which nobody may lean any more."""
    given_up: frozenset[Digest] = frozenset()
    """Packs whose files may be gone."""
    void: Log[tuple[int, str]] = field(default_factory=_log("void"))
    codes: Table[int, str] = field(default_factory=_table("codes"))
    """Void entry -> its code (docs/formats/state.md)."""
    seals: Log[int] = field(default_factory=_log("seals"))
    """The entries of the seals that held."""
    trust_entries: Log[int] = field(default_factory=_log("trust_entries"), compare=False)
    """The entries that say who counts, void or not: whoever judges a part of a ledger judges them."""
    sealed: Sealed | None = None
    disputed: Dispute | None = None
    """The first seal that is not settled: until then nobody moves or publishes."""
    healed: tuple[int, ...] = ()
    """Seals that the owners have settled, or whose clock they have set right."""
    epoch: Epoch | None = field(default=None, compare=False)
    """What came since the last seal; None right after it."""
    tries: StateTries | None = field(default=None, compare=False)
    """What the last seal that held names, and the state of which that is."""
    bound: Bound | None = field(default=None, compare=False)
    """While an epoch that a seal has ended is folded again."""
    begun: int | None = field(default=None, compare=False)
    """The seal at whose word this machine began, with what came before it not folded; None: all of it was."""

    @property
    def trust_root(self) -> TrustRoot | None:
        """The trust root in force."""
        return self.trust_roots[-1] if self.trust_roots else None

    def require_trust_root(self) -> TrustRoot:
        """The trust root in force. Raises NoSuchObject before the ceremony."""
        if self.trust_root is None:
            raise NoSuchObject(
                f"the ledger {self.ledger} has no trust root yet", hint="make one: casstore keys ceremony --help"
            )
        return self.trust_root

    def channel(self, name: str) -> ChannelState:
        """A channel's state, the empty one where nothing was moved. Raises NoSuchObject for an unknown name."""
        if name in self.channels:
            return self.channels[name]
        if name not in self.require_trust_root().channels:
            known = ", ".join(sorted(self.require_trust_root().channels)) or "none"
            raise NoSuchObject(f"no such channel: {name}", hint=f"the signed policy knows: {known}")
        return ChannelState(name)

    def in_channels(self, release: Digest) -> frozenset[str]:
        """The channels that name this release, or once did."""
        return frozenset(name for name, state in self.channels.items() if release in state.been)

    def find_release(self, ref: str) -> ReleaseInfo:
        """A release by version, digest, digest prefix (8 digits or more) or channel. Raises NoSuchObject."""
        found = {info.digest: info for info in self._meant(ref)}
        if len(found) == 1:
            return next(iter(found.values()))
        known = list(islice((info.version for info in self.newest_releases()), 5))[::-1]
        raise NoSuchObject(
            f"{'more than one release is meant by' if found else 'no such release:'} {ref[:100]}",
            hint=f"known: {', '.join(known) or 'none'} (casstore ls)",
        )

    def _meant(self, ref: str) -> Iterator[ReleaseInfo]:
        channel = self.channels.get(ref)
        if channel is not None and channel.release is not None:
            yield self.releases[channel.release]
        if ref in self.versions:
            yield self.releases[self.versions[ref]]
        prefix = ref if ref.startswith(digests.PREFIX) else digests.PREFIX + ref
        if digests.is_digest(prefix):
            yield from filter(None, [self.releases.get(Digest(prefix))])
        elif _PREFIX.fullmatch(prefix):
            yield from (info for digest, info in self.releases.items() if digest.startswith(prefix))

    def newest_releases(self) -> Iterator[ReleaseInfo]:
        """All releases, the last one first."""
        return (self.releases[digest] for digest in reversed(self.order))

    @property
    def floor(self) -> datetime | None:
        """The time of the last seal that held: nothing signed after it is judged as older."""
        return None if self.sealed is None else self.sealed.time

    def is_long(self, end: datetime) -> bool:
        """Whether an epoch that ends then is too long (docs/adr/0013); the first one never is."""
        clock = None if self.trust_root is None else self.trust_root.clock
        gap = GAP if clock is None or clock.gap is None else clock.gap
        return self.floor is not None and end - self.floor > gap

    @property
    def provisional(self) -> int:
        """How many entries no seal ends yet: the next one bounds the times that they claim."""
        return 0 if self.epoch is None else self.epoch.count

    def fields(self) -> dict[str, Any]:
        """All of it by name."""
        return {name: getattr(self, name) for name in self.__slots__}

    @property
    def revoked_contents(self) -> frozenset[Digest]:
        """What was revoked by its bytes: nothing that holds it may be put, released or moved."""
        return frozenset(row.subject for row in self.revocations if row.kind == "artifact")

    def suspended(self, at: datetime) -> frozenset[str]:
        """The identities that count for nothing at a time."""
        return frozenset(row.identity for row in self.suspensions if at < row.until)

    def out(self, at: datetime) -> frozenset[str]:
        """What, and who, counts for nothing in a decision at a time."""
        return self.revoked | self.suspended(at)

    def may_sign(self, identity: str, number: int, at: datetime) -> bool:
        """Whether an identity's signature of an entry counts, for all that was revoked and suspended before."""
        limit = self.limited.get(identity)
        return identity not in self.out(at) and (limit is None or number < limit)

    def is_revoked(self, *subjects: str) -> bool:
        """Whether one of these digests or identities was revoked."""
        return not self.revoked.isdisjoint(subjects)

    def is_withdrawn(self, release: ReleaseInfo) -> bool:
        """Whether a release, or an archive or component of it, was revoked."""
        return self.is_revoked(release.digest, *release.archives.values(), *release.components.values())


if TYPE_CHECKING:
    from dataclasses import replace as changed
else:
    _FIELDS = tuple(LedgerState.__slots__)
    _PLACES = {name: place for place, name in enumerate(_FIELDS)}
    _all_of = attrgetter(*_FIELDS)

    def changed(state, /, **fields):
        """As `dataclasses.replace`, in a third of its time: every entry makes a few states of some forty fields."""
        values = list(_all_of(state))
        for name, value in fields.items():
            values[_PLACES[name]] = value
        return LedgerState(*values)


def start(store: str, ledger: str) -> LedgerState:
    """The state before the first entry."""
    return LedgerState(store, ledger)
