"""Steps of a collection in a store without a ledger: numbered objects, not signed (docs/formats/gc.md).

book = LooseBook(store)
book.condemn(packs, timedelta(days=7), now)
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from attest import canonical
from attest.core import times
from attest.core.fields import Fields
from attest.digests import Digest
from attest.errors import FormatError
from attest.statements.predicates.collection import ACTIONS, MAX_GRACE
from casstore.errors import NoSuchObject, NotWritable, StoreDamaged
from casstore.gc.contents import Contents
from casstore.gc.marking import Root
from casstore.ledger.states.views import Condemned
from casstore.objects import small_records, twins
from casstore.store.store import Store

FORMAT = "casstore-collection/1"
_NAMES = ("format", "number", "action", "packs", "grace", "condemned", "time", "nonce", "token")


@dataclass(slots=True)
class Steps:
    """What the steps so far add up to."""

    count: int = 0
    condemned: dict[Digest, Condemned] = field(default_factory=dict)
    given_up: set[Digest] = field(default_factory=set)

    def take(self, raw: bytes) -> None:
        """One more step. Raises FormatError."""
        value = canonical.loads_canonical(raw, what="collection step")
        f = Fields(value, "collection step", required=_NAMES)
        if f.text("format") != FORMAT or f.integer("number") != self.count:
            raise FormatError("collection step: not of the format casstore-collection/1, or of another number")
        if not small_records.is_sealed(value):
            raise FormatError("collection step: its token is not that of what it says")
        packs, time, settled = f.digests("packs"), f.time("time"), value["condemned"]
        if not isinstance(settled, list) or any(type(number) is not int or number < 0 for number in settled):
            raise FormatError("collection step: condemned is no list of numbers")
        if f.text("action") not in ACTIONS:
            raise FormatError(f"collection step: action is not one of {', '.join(ACTIONS)}")
        if f.text("action") == "condemn":
            row = Condemned(self.count, time + timedelta(seconds=f.integer("grace", most=MAX_GRACE)))
            self.condemned |= dict.fromkeys(packs, row)
        else:
            self.given_up |= set(packs)
            left = self.condemned.items()
            self.condemned = {p: r for p, r in left if r.number not in settled and p not in self.given_up}
        self.count += 1


class LooseBook:
    """See the module; `name` is empty."""

    name = ""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._state = Steps()
        self._read()

    @property
    def condemned(self) -> Mapping[Digest, Condemned]:
        """See `Book`."""
        return self._state.condemned

    @property
    def given_up(self) -> Collection[Digest]:
        """See `Book`."""
        return self._state.given_up

    def roots(self, contents: Contents, keep_last: int) -> Iterator[Root]:  # noqa: ARG002  pins alone need something
        """See `Book`."""
        return iter(())

    def require(self, now: datetime) -> None:  # noqa: ARG002  nothing is signed
        """See `Book`."""
        if self._store.read_only:
            raise NotWritable(f"{self._store.url}: opened for reading only")

    def condemn(self, packs: Iterable[Digest], grace: timedelta, now: datetime) -> None:
        """See `Book`."""
        while not self._write("condemn", packs, grace, (), now):
            self._read()
        self._read()

    def delete(self, packs: Iterable[Digest], settled: Collection[int], now: datetime) -> bool:
        """See `Book`."""
        won = self._write("delete", packs, timedelta(0), settled, now)
        self._read()
        return won

    def _write(
        self, action: str, packs: Iterable[Digest], grace: timedelta, settled: Collection[int], now: datetime
    ) -> bool:
        count = self._state.count
        raw = step(count, action, packs, grace, settled, now, token())
        return twins.create(self._store.storage, _key(count), raw)

    def _read(self) -> None:
        """Read forward, and let the store know."""
        while True:
            try:
                twins.read(self._store.storage, _key(self._state.count), self._state.take)
            except NoSuchObject:
                break
            except FormatError as exc:
                where = _key(self._state.count)
                raise StoreDamaged(f"{where}: {exc.message}", hint="copy it back from another copy") from exc
        state = self._state
        if state.condemned or state.given_up:
            packs = dict.fromkeys(state.condemned, False) | dict.fromkeys(state.given_up, True)
            self._store.follow("", packs, state.count)


def step(
    number: int,
    action: str,
    packs: Iterable[Digest],
    grace: timedelta,
    settled: Collection[int],
    now: datetime,
    unique: str,
) -> bytes:
    """The bytes of one step; `unique` tells ours from another's."""
    return canonical.dumps(
        small_records.sealed(
            {
                "format": FORMAT,
                "number": number,
                "action": action,
                "packs": sorted(packs),
                "grace": int(grace.total_seconds()),
                "condemned": sorted(settled),
                "time": times.format(now),
                "nonce": unique,
            }
        )
    )


def token() -> str:
    """32 random hex digits."""
    return secrets.token_hex(16)


def _key(number: int) -> str:
    return f"collections/{number:020d}"
