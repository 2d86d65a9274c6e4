"""No bytes make a parser of stored bytes do anything but refuse, or give the one value that they encode.

Real input is cut, flipped, repeated and spliced. `make fuzz` runs the same parsers under a
coverage-guided fuzzer for as long as one likes.
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.stored_bytes import PARSERS

_SPECIAL = [b"", b"\0", b"\xff" * 8, b"\x7f\xff\xff\xff", b'"', b"[", b"{}", b"null", b"-1", b"1e400", b"\x93", b"\xdf"]


@pytest.mark.parametrize("name", PARSERS)
def test_real_input_is_taken(name: str) -> None:
    seeds = PARSERS[name].seeds()
    assert seeds
    assert all(PARSERS[name].run(seed) for seed in seeds)


@st.composite
def changed(draw: st.DrawFn, seeds: list[bytes]) -> bytes:
    """A seed with one to four changes."""
    data = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        how = draw(st.sampled_from(["flip", "cut", "splice", "special", "repeat", "drop"]))
        if how == "flip" and at < len(data):
            data[at] ^= draw(st.integers(1, 255))
        elif how == "cut":
            del data[at:]
        elif how == "splice":
            data[at : at + draw(st.integers(0, 8))] = draw(st.binary(max_size=8))
        elif how == "special":
            piece = draw(st.sampled_from(_SPECIAL))
            data[at : at + len(piece)] = piece
        elif how == "repeat":
            data[at:at] = data[at : at + draw(st.integers(1, 200))]
        else:
            del data[at : at + draw(st.integers(1, 200))]
    return bytes(data)


@pytest.mark.parametrize("name", PARSERS)
@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(data=st.data())
def test_changed_input_is_refused_or_means_what_it_says(name: str, data: st.DataObject) -> None:
    parser = PARSERS[name]
    parser.run(data.draw(changed(parser.seeds())))


@pytest.mark.parametrize("name", PARSERS)
@given(noise=st.binary(max_size=300))
def test_noise_is_no_error_of_ours(name: str, noise: bytes) -> None:
    PARSERS[name].run(noise)
