"""A clock that tests move: what every service of the instance tells the time by."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class Clock:
    """Real time plus an offset. Tokens stay on real time, because clients check those by their own clock."""

    def __init__(self) -> None:
        self._offset = timedelta(0)

    def now(self) -> datetime:
        return datetime.now(UTC) + self._offset

    def move(self, **by: float) -> None:
        """`clock.move(days=3)`: every service is three days ahead from now on."""
        self._offset += timedelta(**by)
