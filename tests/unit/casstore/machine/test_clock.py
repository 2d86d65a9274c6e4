"""The one reader of the clock: UTC, aware, and fixed only when a test says so twice."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from casstore.machine import clock

FIXED = "2026-03-01T12:00:00+02:00"


def real(moment: datetime) -> bool:
    return abs(moment - datetime.now(UTC)) < timedelta(minutes=1)


def test_it_shows_the_time_aware_and_in_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CASSTORE_NOW", raising=False)
    assert real(clock.now())
    assert clock.now().utcoffset() == timedelta(0)


def test_the_zone_of_the_machine_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CASSTORE_NOW", raising=False)
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")
    assert real(clock.now())


def test_a_test_fixes_it_and_gets_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CASSTORE_TESTING", "1")
    monkeypatch.setenv("CASSTORE_NOW", FIXED)
    assert clock.now() == datetime(2026, 3, 1, 10, tzinfo=UTC)
    assert clock.now().tzinfo is UTC


@pytest.mark.parametrize("testing", [None, "", "0", "true"])
def test_one_variable_alone_moves_no_clock(monkeypatch: pytest.MonkeyPatch, testing: str | None) -> None:
    """A stray variable in CI must not make expired trust valid again."""
    monkeypatch.setenv("CASSTORE_NOW", FIXED)
    if testing is None:
        monkeypatch.delenv("CASSTORE_TESTING", raising=False)
    else:
        monkeypatch.setenv("CASSTORE_TESTING", testing)
    assert real(clock.now())


def test_the_epoch_of_sources_is_no_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """It dates files in archives; signatures and expiry need the real time."""
    monkeypatch.delenv("CASSTORE_NOW", raising=False)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    assert real(clock.now())
