"""Which bytes tell something: 512 in a row with enough entropy. Padding and tables of zeros tell nothing.

It is looked at locally, so that what is explained beside it, or padding around it, changes nothing.

    spans_of(b"...", 2.5)       # merged stretches
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from bundlers.isolation.stretches import spans
from bundlers.isolation.stretches.spans import Span

WINDOW, _STEP = 512, 128
_PIECE = 8192
"""Steps that are counted at once."""


def spans_of(data: bytes, least: float) -> list[Span]:
    """The stretches of 512 bytes and more in which every window has so many bits per byte."""
    found = list(_windows(data, least))
    if (
        len(data) >= WINDOW
        and _bits(np.bincount(np.frombuffer(data[-WINDOW:], np.uint8), minlength=256)[None])[0] >= least
    ):
        found.append((len(data) - WINDOW, len(data)))
    return spans.merged(found)


def _windows(data: bytes, least: float) -> Iterator[Span]:
    view, wide = np.frombuffer(data, np.uint8), WINDOW // _STEP
    steps = len(view) // _STEP
    for first in range(0, max(0, steps - wide + 1), _PIECE):
        count = min(_PIECE + wide - 1, steps - first)
        part = view[first * _STEP : (first + count) * _STEP].astype(np.int64)
        part += np.repeat(np.arange(count, dtype=np.int64) * 256, _STEP)
        each = np.bincount(part, minlength=count * 256).reshape(count, 256)
        windows = sum(each[n : count - wide + 1 + n] for n in range(wide))
        for number in np.flatnonzero(_bits(np.asarray(windows)) >= least).tolist():
            at = (first + number) * _STEP
            yield at, at + WINDOW


def _bits(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Shannon's entropy of each row, in bits per byte."""
    shares = counts / WINDOW
    logs = np.log2(shares, where=shares > 0, out=np.zeros_like(shares, dtype=np.float64))
    found: NDArray[np.float64] = -(shares * logs).sum(axis=1)
    return found
