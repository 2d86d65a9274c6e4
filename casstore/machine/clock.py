"""The only reader of the clock; everything pure takes the time as an argument."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from attest.errors import BadInput

if TYPE_CHECKING:
    from datetime import datetime


def now() -> datetime:
    """The time now, aware, in UTC; tests set CASSTORE_NOW beside CASSTORE_TESTING=1."""
    from datetime import UTC, datetime

    if os.environ.get("CASSTORE_TESTING") == "1" and (fixed := os.environ.get("CASSTORE_NOW")):
        try:
            return datetime.fromisoformat(fixed).astimezone(UTC)
        except (ValueError, OverflowError) as exc:
            raise BadInput(f"CASSTORE_NOW: not a time: {fixed[:40]!r}", hint="2026-03-01T09:00:00Z") from exc
    return datetime.now(UTC)


def unix_ns() -> int:
    """The same in nanoseconds since 1970, without the cost of loading a calendar."""
    if os.environ.get("CASSTORE_TESTING") == "1" and os.environ.get("CASSTORE_NOW"):
        return int(now().timestamp() * 1_000_000_000)
    return time.time_ns()
