"""Of large documents the last is kept, of small ones the last few; another one, or a changed one, is parsed."""

from __future__ import annotations

import pytest

from attest.core import remembered
from attest.core.remembered import Remembered


def test_the_last_large_one_is_kept() -> None:
    seen: list[bytes] = []

    def parse(data: bytes) -> int:
        seen.append(data)
        if data.endswith(b"!"):
            raise ValueError(data[-1:])
        return len(seen)

    parser = Remembered(parse)
    small, one, other = b"a", bytes(remembered.LARGE), b"b" * remembered.LARGE
    assert (parser(small), parser(bytes(small))) == (1, 1)
    assert (parser(one), parser(bytes(one))) == (2, 2)
    assert (parser(other), parser(other), parser(one)) == (3, 3, 4)
    for _ in range(2):
        with pytest.raises(ValueError, match="!"):
            parser(one + b"!")
    assert parser(one) == 7
    for _ in range(2):
        with pytest.raises(ValueError, match="!"):
            parser(b"!")
    assert len(seen) == 9, "what raises is not kept"


def test_of_small_ones_the_last_few_are_kept() -> None:
    seen: list[bytes] = []
    parser = Remembered(lambda data: seen.append(data) or len(seen))
    for number in range(2 * remembered.FEW):
        parser(b"%d" % number)
    parser(b"%d" % (2 * remembered.FEW - 1))
    assert len(seen) == 2 * remembered.FEW
    parser(b"0")
    assert len(seen) == 2 * remembered.FEW + 1
    between = bytes(remembered.SMALL + 1)
    assert parser(between) != parser(between), "neither small nor large"
