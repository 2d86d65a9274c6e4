"""A circuit breaker and a time budget for services outside: forges, web servers, whatever may be slow or away.

For each host: after some failures in a row its circuit is open, and nobody waits for it again until
a pause is over; then one call is let through, and decides. All calls together have a budget of
seconds. One breaker serves a whole process. A call that does not end is left to itself: a server that sends
a byte of its headers now and then keeps any library waiting.

    breaker = Breaker(budget=300)
    breaker.call("forge.example", lambda seconds: fetch(url, timeout=seconds))
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from attest.core import deadlines
from casstore.errors import StorageUnavailable

_T = TypeVar("_T")
FAILURES = 3
"""So many in a row open the circuit."""
PAUSE = 30.0
"""Seconds until an open circuit is tried again."""
BUDGET = 600.0
"""Seconds that a process waits for outside services altogether."""
LONGEST = 30.0
"""Seconds that one call may take."""
GRACE = 15.0
"""Seconds more in which it may connect, and give up by itself."""


@dataclass(slots=True)
class _Circuit:
    failures: int = 0
    open_until: float = 0.0


@dataclass
class Breaker:
    """See the module; may be used from several threads."""

    budget: float = BUDGET
    clock: Callable[[], float] = time.monotonic
    spent: float = 0.0
    _hosts: dict[str, _Circuit] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def call(self, host: str, act: Callable[[float], _T]) -> _T:
        """`act(seconds)` within its share of the budget. Raises StorageUnavailable, also what `act` raises of it."""
        seconds = self._allow(host)
        began = self.clock()
        try:
            found = _in_time(host, act, seconds)
        except StorageUnavailable:
            self._note(host, began, failed=True)
            raise
        except BaseException:  # it answered, if only with a refusal
            self._note(host, began, failed=False)
            raise
        self._note(host, began, failed=False)
        return found

    def _allow(self, host: str) -> float:
        with self._lock:
            left = self.budget - self.spent
            circuit = self._hosts.setdefault(host, _Circuit())
            if left <= 0:
                raise StorageUnavailable(
                    f"{host}: not asked, the budget of {self.budget:g} s for outside services is used up",
                    hint="run the command again later",
                )
            if circuit.failures >= FAILURES:
                if self.clock() < circuit.open_until:
                    raise StorageUnavailable(
                        f"{host}: not asked again, it failed {circuit.failures} times in a row",
                        hint=f"run the command again later; this run waits {PAUSE:g} s between tries",
                    )
                circuit.open_until = self.clock() + PAUSE  # one call is let through, the others wait on
            return min(left, LONGEST)

    def _note(self, host: str, began: float, *, failed: bool) -> None:
        with self._lock:
            now = self.clock()
            self.spent += max(0.0, now - began)
            circuit = self._hosts[host]
            circuit.failures = circuit.failures + 1 if failed else 0
            circuit.open_until = now + PAUSE if circuit.failures >= FAILURES else 0.0


def _in_time(host: str, act: Callable[[float], _T], seconds: float) -> _T:
    """What it gives or raises. Raises StorageUnavailable where it does not end."""
    try:
        return deadlines.within(seconds + GRACE, lambda: act(seconds))
    except deadlines.NotEnded as exc:
        hint = "run the command again later; its server sends too little for too long"
        raise StorageUnavailable(f"{host}: {exc}", hint=hint) from None


OUTSIDE = Breaker()
"""That of this process."""
