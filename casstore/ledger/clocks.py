"""Before a ledger is sealed: is this machine's clock right? A seal's time bounds what everybody signed (docs/adr/0013).

Promises: a clock that is not this machine's own is asked where there is one (the bucket that holds the
store, or that is published to); more than ten minutes apart, nothing is sealed. Without one, a
leap of half a year is not sealed. Whoever has looked says so (`--clock-checked`).

    check([store.storage], floor=state.floor, now=now)
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Protocol, runtime_checkable

from attest.core import times
from attest.errors import CasstoreError, PolicyDenied

APART = timedelta(minutes=10)
LEAP = timedelta(days=180)
_HINT = "set the clock; if it is right, say so: --clock-checked"


@runtime_checkable
class Clocked(Protocol):
    """A storage on a server that has a clock."""

    def clock(self) -> datetime | None:
        """What it shows; None where the server does not say."""


def _clock(storage: object) -> datetime | None:
    try:
        return storage.clock() if isinstance(storage, Clocked) else None
    except CasstoreError:  # one that stays away, or may not be written, tells no time
        return None


def check(storages: Iterable[object], *, floor: datetime | None, now: datetime) -> None:
    """Raises PolicyDenied where this machine's clock is not to be sealed with."""
    shown = [(storage, clock) for storage in storages if (clock := _clock(storage)) is not None]
    for storage, clock in shown:
        if abs(clock - now) > APART:
            raise PolicyDenied(
                f"this machine's clock shows {times.format(now)}, that of {getattr(storage, 'url', 'the server')}"
                f" {times.format(clock)}: nothing is sealed more than ten minutes apart",
                hint=_HINT,
            )
    if not shown and floor is not None and now - floor > LEAP:
        raise PolicyDenied(
            f"this machine's clock shows {times.format(now)}, {(now - floor).days} days after the last seal,"
            " and there is no other clock to compare it with: a seal would hold everybody to it",
            hint=_HINT,
        )
