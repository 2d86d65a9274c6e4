"""The only reader of the clock; everything pure takes the time as an argument."""

from __future__ import annotations

import os
from datetime import UTC, datetime


def now() -> datetime:
    """The time now, aware, in UTC; tests set CASSTORE_NOW beside CASSTORE_TESTING=1."""
    if os.environ.get("CASSTORE_TESTING") == "1" and (fixed := os.environ.get("CASSTORE_NOW")):
        return datetime.fromisoformat(fixed).astimezone(UTC)
    return datetime.now(UTC)
