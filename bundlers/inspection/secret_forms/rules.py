"""A rule: a literal that every such secret holds, what stands before it and what follows, and a last test.

Literals are found together, by `finding`; a pattern is tried only where one lies, and
none of them looks at a byte more than a few times.

    rule("npm-token", b"npm_", rb"[A-Za-z0-9]{36}")
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache

from attest.core.values import dataclass
from bundlers.inspection.secret_forms import guesses

LONGEST = 16 * 1024
"""No secret is looked at further than this."""
_BACK = 128
_WORD = re.compile(rb"[A-Za-z0-9_]")
_ESCAPED = re.compile(rb"(?:\\[nrtfvb0]|%[0-9A-Fa-f]{2}|\\u00[0-9A-Fa-f]{2}|\\x[0-9A-Fa-f]{2}|\x1b\[[0-9;]{0,8}m)\Z")

Test = Callable[[bytes, bytes], bool]
"""(the group `value`, or what follows the literal; all of it) -> whether it is real"""


@dataclass(frozen=True, slots=True)
class Rule:
    """See the module. A group `value` in the pattern is the part that is secret, by which it is known again."""

    name: str
    literals: tuple[bytes, ...]
    pattern: bytes
    before: bytes
    real: Test
    bounded: bool
    """Whether no letter or digit may stand right before it."""
    known_by: Callable[[bytes], bytes] | None = None
    """From all of it to what stays the same when it is wrapped otherwise."""

    def at(self, window: bytes, place: int, length: int) -> tuple[int, int, bytes] | None:
        """Begin, end and value of the secret whose literal is at this place, if it is one."""
        if self.bounded and not self.before and not _free(window, place):
            return None
        pattern = _compiled(self.pattern)
        found = pattern.match(window, place + length, place + LONGEST)
        if found is None:
            return None
        start = place
        if self.before:
            low = max(0, place - _BACK)
            lead = _compiled(self.before).search(window[low:place])
            if lead is None:
                return None
            start = low + lead.start()
        if self.bounded and start != place and not _free(window, start):
            return None
        whole, named = window[start : found.end()], "value" in pattern.groupindex
        if not self.real(found["value"] if named else found[0], whole):
            return None
        if self.known_by is not None:
            return start, found.end(), self.known_by(whole)
        return start, found.end(), found["value"] if named else whole


@cache
def _compiled(pattern: bytes) -> re.Pattern[bytes]:
    """Of some hundred rules a text asks few."""
    return re.compile(pattern)


def _free(window: bytes, start: int) -> bool:
    if not start or not _WORD.match(window, start - 1):
        return True
    return _ESCAPED.search(window[max(0, start - 12) : start]) is not None


def drawn(rest: bytes, whole: bytes) -> bool:
    """The usual test: a machine drew it."""
    return guesses.random_enough(rest) and not guesses.is_example(whole)


def always(_rest: bytes, _whole: bytes) -> bool:
    """The form alone is enough."""
    return True


def rule(
    name: str,
    literal: bytes | Sequence[bytes],
    rest: bytes,
    *,
    before: bytes = b"",
    real: Test = drawn,
    bounded: bool = True,
    end: bytes = rb"(?![A-Za-z0-9_-])",
    known_by: Callable[[bytes], bytes] | None = None,
) -> Rule:
    """A rule of plain parts."""
    literals = (literal,) if isinstance(literal, bytes) else tuple(literal)
    lead = b"(?:" + before + rb")\Z" if before else b""
    return Rule(name, literals, rest + end, lead, real, bounded, known_by)
