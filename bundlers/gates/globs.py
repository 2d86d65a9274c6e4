"""Globs of a gate over names, and which of them hit nothing: what is left out by mistake, or no more, is told.

left_out = Globs("exclude", settings.exclude)
left_out.take("core-bin/locale/de.mo")      # True; afterwards left_out.idle has one line for each that hit nothing
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable


class Globs:
    """One setting's globs, each over the whole name."""

    def __init__(self, setting: str, globs: Iterable[str]) -> None:
        self._setting, self._globs = setting, tuple(globs)
        self._hit: set[str] = set()

    def take(self, name: str) -> bool:
        """Whether one of them takes the name."""
        hit = [glob for glob in self._globs if fnmatch.fnmatchcase(name, glob)]
        self._hit.update(hit)
        return bool(hit)

    @property
    def idle(self) -> tuple[str, ...]:
        """A warning for each that took nothing so far."""
        return tuple(f"{self._setting}: {glob!r} hits nothing" for glob in self._globs if glob not in self._hit)
