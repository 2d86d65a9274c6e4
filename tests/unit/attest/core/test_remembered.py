"""Of large documents the last is kept; another one, or a changed one, is parsed."""

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
    assert (parser(small), parser(small)) == (1, 2)
    assert (parser(one), parser(bytes(one))) == (3, 3)
    assert (parser(other), parser(other), parser(one)) == (4, 4, 5)
    for _ in range(2):
        with pytest.raises(ValueError, match="!"):
            parser(one + b"!")
    assert parser(one) == 8
