"""The circuit breaker: an away host is not waited for again and again, and the budget is one for all."""

from __future__ import annotations

import pytest

from casstore.errors import NoSuchObject, StorageUnavailable
from casstore.network.circuit import FAILURES, LONGEST, PAUSE, Breaker


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def away(_seconds: float) -> None:
    raise StorageUnavailable("away")


def test_it_opens_after_failures_in_a_row_and_lets_one_through_after_a_pause() -> None:
    clock = Clock()
    breaker = Breaker(clock=clock)
    for _ in range(FAILURES):
        with pytest.raises(StorageUnavailable, match=r"^away$"):
            breaker.call("a", away)
    with pytest.raises(StorageUnavailable, match="not asked again, it failed 3 times"):
        breaker.call("a", lambda _: pytest.fail("it was asked"))
    assert breaker.call("b", lambda seconds: seconds) == LONGEST, "another host is another circuit"
    clock.now += PAUSE
    with pytest.raises(StorageUnavailable, match=r"^away$"):
        breaker.call("a", away)
    with pytest.raises(StorageUnavailable, match="not asked again"):
        breaker.call("a", away)
    clock.now += PAUSE
    assert breaker.call("a", lambda _: "back") == "back"
    assert breaker.call("a", lambda _: "and stays") == "and stays"


def test_successes_in_between_keep_it_closed() -> None:
    breaker = Breaker(clock=Clock())
    for _ in range(3 * FAILURES):
        with pytest.raises(StorageUnavailable, match=r"^away$"):
            breaker.call("a", away)
        breaker.call("a", lambda _: None)


def test_all_hosts_share_one_budget() -> None:
    clock = Clock()
    breaker = Breaker(budget=40, clock=clock)

    def slow(_seconds: float) -> None:
        clock.now += 25

    breaker.call("a", slow)
    assert breaker.call("b", lambda seconds: seconds) == 15
    breaker.call("b", slow)
    with pytest.raises(StorageUnavailable, match="the budget of 40 s"):
        breaker.call("c", slow)


def test_a_refusal_is_an_answer() -> None:
    """A 404 closes the circuit again, and its time counts."""
    clock = Clock()
    breaker = Breaker(clock=clock)

    def refused(_seconds: float) -> None:
        clock.now += 20
        raise NoSuchObject("404")

    for _ in range(FAILURES):
        with pytest.raises(StorageUnavailable):
            breaker.call("a", away)
    clock.now += PAUSE
    with pytest.raises(NoSuchObject):
        breaker.call("a", refused)
    assert breaker.spent == 20 and breaker.call("a", lambda _: "open") == "open"
