"""Times in signed documents: UTC, whole seconds, `YYYY-MM-DDTHH:MM:SSZ`, one valid writing.

Inside the program a time is an aware datetime; a naive one is refused, never guessed.

    >>> format(parse("2026-01-31T09:00:00Z"))
    '2026-01-31T09:00:00Z'
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from attest.errors import BadInput, FormatError

FIRST_YEAR, LAST_YEAR = 1970, 8999
"""What is added to a time, or taken from it, must lie within what a calendar has."""
_FORM = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z", re.ASCII)


def format(time: datetime) -> str:  # noqa: A001 - read as times.format(...)
    """An aware datetime as text; fractions of a second are cut off. Raises BadInput for a naive one."""
    if time.tzinfo is None:
        raise BadInput(f"the time {time.isoformat()} has no time zone")
    return time.astimezone(UTC).replace(microsecond=0, tzinfo=None).isoformat() + "Z"


def parse(text: object) -> datetime:
    """Text to an aware UTC datetime. Raises FormatError unless it is exactly of the form above."""
    if not isinstance(text, str) or not _FORM.fullmatch(text):
        raise FormatError(f"not a time: {str(text)[:60]!r}", hint="write UTC as 2026-01-31T09:00:00Z")
    try:
        found = datetime.fromisoformat(text)
    except ValueError as exc:
        raise FormatError(f"not a time: {text!r}: {exc}") from exc
    if not FIRST_YEAR <= found.year <= LAST_YEAR:
        raise FormatError(f"not a time: {text} lies before {FIRST_YEAR} or after {LAST_YEAR}")
    return found
