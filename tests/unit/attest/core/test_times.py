from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from attest.core import times
from attest.errors import BadInput, FormatError


def test_there_and_back() -> None:
    moment = datetime(2026, 1, 31, 9, 0, 0, tzinfo=UTC)
    assert times.format(moment) == "2026-01-31T09:00:00Z"
    assert times.parse(times.format(moment)) == moment


def test_other_zones_become_utc_and_fractions_are_cut() -> None:
    moment = datetime(2026, 1, 31, 23, 59, 59, 999_999, timezone(timedelta(hours=-2)))
    assert times.format(moment) == "2026-02-01T01:59:59Z"


def test_a_year_before_1000_keeps_four_digits() -> None:
    assert times.format(datetime(33, 4, 3, tzinfo=UTC)) == "0033-04-03T00:00:00Z"


def test_a_naive_time_is_refused() -> None:
    with pytest.raises(BadInput, match="no time zone"):
        times.format(datetime(2026, 1, 1))


@pytest.mark.parametrize(
    "text",
    ["2026-01-31T09:00:00+00:00", "2026-01-31T09:00:00.5Z", "2026-01-31t09:00:00z", "2026-02-30T09:00:00Z",
     "2026-01-31T24:00:00Z", "2026-01-31T09:00:60Z", "٢٠٢٦-01-31T09:00:00Z", "2026-01-31T09:00:00Z\n", "", None, 5,
     "9999-12-31T23:59:59Z", "9000-01-01T00:00:00Z", "1969-12-31T23:59:59Z", "0001-01-01T00:00:00Z"],
)  # fmt: skip
def test_any_other_writing_is_refused(text: object) -> None:
    with pytest.raises(FormatError, match="not a time"):
        times.parse(text)
