"""All rules over one text: where a literal may begin, the rule there says whether it is a secret.

Numpy finds those places, four bytes at a time (`take` with a mode that no index needs spares it a test of each one);
what is signed or shown is short, and alone not worth its import.

for found in matches(text): found.start, found.rule, found.value
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from bundlers.inspection.secret_forms.logins import LOGINS
from bundlers.inspection.secret_forms.private_keys import PRIVATE_KEYS
from bundlers.inspection.secret_forms.rules import Rule
from bundlers.inspection.secret_forms.tokens import TOKENS

RULES: tuple[Rule, ...] = (*PRIVATE_KEYS, *TOKENS, *LOGINS)
_SHORT = 32 * 1024

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_Heads = dict[bytes, list[tuple[bytes, Rule]]]


class Found(NamedTuple):
    """A secret in a text."""

    start: int
    end: int
    rule: str
    value: bytes


def matches(text: bytes) -> Iterator[Found]:
    """What looks like a secret in these bytes, in the order of their places."""
    if len(text) < 8:
        return
    heads, taken = _heads(), -1
    for place in _places(text, heads):
        for literal, rule in heads.get(text[place : place + 3], ()):
            if place > taken and text.startswith(literal, place):
                found = rule.at(text, place, len(literal))
                if found is not None:
                    yield Found(found[0], found[1], rule.name, found[2])
                    taken = found[1] - 1
                    break


def _places(text: bytes, heads: _Heads) -> list[int]:
    if len(text) <= _SHORT and "numpy" not in sys.modules:
        return [place for place in range(len(text) - 3) if text[place : place + 3] in heads]
    import numpy as np

    tables = _tables()
    raw, count = np.frombuffer(text, np.uint8), len(text) - len(tables)
    first = (np.frombuffer(text, "<u2", (count - shift + 1) // 2, shift) for shift in (0, 1))
    at = np.sort(
        np.concatenate(
            [np.flatnonzero(tables[0].take(pairs, mode="wrap")) * 2 + shift for shift, pairs in enumerate(first)]
        )
    )
    for number, table in enumerate(tables[1:], 1):
        at = at[table.take(raw[at + number] | raw[at + number + 1].astype(np.uint16) << 8, mode="wrap")]
    places: list[int] = at.tolist()
    return places


@cache
def _heads() -> _Heads:
    """Rules by the first three bytes of their literals, the longest literal first."""
    heads: _Heads = {}
    for rule in RULES:
        for literal in rule.literals:
            heads.setdefault(literal[:3], []).append((literal, rule))
    for rows in heads.values():
        rows.sort(key=lambda row: -len(row[0]))
    return heads


@cache
def _tables() -> tuple[NDArray[np.bool_], ...]:
    """Which two bytes may stand first, second and third in a literal."""
    import numpy as np

    tables = tuple(np.zeros((256, 256), np.bool_) for _ in range(3))
    for rule in RULES:
        for literal in rule.literals:
            for number, table in enumerate(tables):
                table[literal[number + 1] if number + 1 < len(literal) else slice(None), literal[number]] = True
    return tuple(table.reshape(-1) for table in tables)
