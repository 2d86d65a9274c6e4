"""Where in a TOML text a key stands, for error messages; tomllib itself does not keep lines."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

_HEADER = re.compile(r"\s*\[\[?\s*([^\]]+?)\s*\]\]?")
_KEY = re.compile(r"\s*([A-Za-z0-9_\-\.\"' ]+?)\s*=")


def line_of(text: str, key: Sequence[str | int]) -> int:
    """The line (from 1) of the longest part of a key that is written on its own; 1 if none is."""
    wanted = tuple(str(part) for part in key if not isinstance(part, int))
    written = _written(text)
    return next((written[wanted[:size]] for size in range(len(wanted), 0, -1) if wanted[:size] in written), 1)


@lru_cache(maxsize=1)
def _written(text: str) -> dict[tuple[str, ...], int]:
    """Key -> the first line that it stands in."""
    found: dict[tuple[str, ...], int] = {}
    table: tuple[str, ...] = ()
    for number, content in enumerate(text.split("\n"), 1):
        if header := _HEADER.match(content):
            table = _parts(header[1])
            here = table
        elif assignment := _KEY.match(content):
            here = (*table, *_parts(assignment[1]))
        else:
            continue
        found.setdefault(here, number)
    return found


def _parts(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip().strip("\"'") for part in re.findall(r"\"[^\"]*\"|'[^']*'|[^.]+", dotted))
