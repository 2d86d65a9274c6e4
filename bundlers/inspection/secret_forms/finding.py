"""All rules over one text: numpy finds where a literal may begin, the rule there says whether it is a secret.

for found in matches(text): found.start, found.rule, found.value
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bundlers.inspection.secret_forms.logins import LOGINS
from bundlers.inspection.secret_forms.private_keys import PRIVATE_KEYS
from bundlers.inspection.secret_forms.rules import Rule
from bundlers.inspection.secret_forms.tokens import TOKENS

RULES: tuple[Rule, ...] = (*PRIVATE_KEYS, *TOKENS, *LOGINS)
_Pairs = NDArray[np.bool_]


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
    heads, tables = _table()
    taken = -1
    for place in _places(text, tables):
        for literal, rule in heads.get(text[place : place + 3], ()):
            if place > taken and text.startswith(literal, place):
                found = rule.at(text, place, len(literal))
                if found is not None:
                    yield Found(found[0], found[1], rule.name, found[2])
                    taken = found[1] - 1
                    break


def _places(text: bytes, tables: tuple[_Pairs, ...]) -> list[int]:
    raw = np.frombuffer(text, np.uint8)
    pairs = raw[:-1].astype(np.uint16) | (raw[1:].astype(np.uint16) << 8)
    last = len(pairs) - len(tables) + 1
    at = np.flatnonzero(tables[0][pairs[:last]])
    for number, table in enumerate(tables[1:], 1):
        at = at[table[pairs[at + number]]]
    places: list[int] = at.tolist()
    return places


@cache
def _table() -> tuple[dict[bytes, list[tuple[bytes, Rule]]], tuple[_Pairs, ...]]:
    """By the first three bytes of a literal; and which two bytes may stand first, second and third in one."""
    heads: dict[bytes, list[tuple[bytes, Rule]]] = {}
    tables = tuple(np.zeros((256, 256), np.bool_) for _ in range(3))
    for rule in RULES:
        for literal in rule.literals:
            heads.setdefault(literal[:3], []).append((literal, rule))
            for number, table in enumerate(tables):
                table[literal[number + 1] if number + 1 < len(literal) else slice(None), literal[number]] = True
    for rows in heads.values():
        rows.sort(key=lambda row: -len(row[0]))
    return heads, tuple(table.reshape(-1) for table in tables)
