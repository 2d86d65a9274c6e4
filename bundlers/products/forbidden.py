"""`never` of a product: paths that may not be in it, in no case of letters, nor inside of what is packed in it.

A rule without `/` speaks of a name at any depth, one with `/` of the whole path below `wrap`; inside of something
packed it speaks of the member's own path there.

    Forbidden(["edge/**", "*.pdb"]).rule("lib/core.whl!edge/agent.py")     # "edge/**"
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Sequence

from casstore.ingest.globs import Selection

_NUMBERED = re.compile(r"#[0-9]+$")


class Forbidden:
    """The rules of one product or build. Raises BadInput for one that is no glob."""

    def __init__(self, rules: Sequence[str]) -> None:
        self._rules = [(rule, Selection((_anchored(rule),))) for rule in rules]

    def rule(self, place: str) -> str | None:
        """The first rule that a path breaks; `outer!inner` is a member of something packed, which is asked too."""
        for path in dict.fromkeys(_paths(place)):
            raw = path.encode("utf-8", "surrogatepass")
            for rule, files in self._rules:
                if files.takes(raw):
                    return rule
        return None


def _anchored(rule: str) -> str:
    return (rule if "/" in rule.rstrip("/") else f"**/{rule}").casefold()


def _paths(place: str) -> Iterator[str]:
    """Each part of a place as a path, in the one writing that the rules are held against."""
    for part in place.split("!"):
        for name in (part, _NUMBERED.sub("", part)):
            path = posixpath.normpath(name.replace("\\", "/").lstrip("/")).casefold()
            if not path.startswith("..") and path != ".":
                yield path
