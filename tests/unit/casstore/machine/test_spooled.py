"""Bytes in an unnamed file: as a dictionary has them, and told where no file can hold them."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casstore.errors import StorageUnavailable
from casstore.machine.spooled import SpooledBytes

SIZES = st.sampled_from([0, 1, 4095, 4096, 3_000_000])


@given(st.lists(st.tuples(st.integers(0, 3), SIZES, st.sampled_from(["set", "pass", "drop"])), max_size=12))
def test_it_holds_what_a_dictionary_holds(steps: list[tuple[int, int, str]]) -> None:
    held, known = SpooledBytes[int](), dict[int, bytes]()
    for number, (key, size, how) in enumerate(steps):
        data = bytes([number % 251]) * size
        if how == "drop":
            assert held.pop(key, None) == known.pop(key, None)
            continue
        known[key] = data
        if how == "set":
            held[key] = data
        else:
            assert b"".join(held.passed(key, [data[:1000], data[1000:]])) == data
    assert dict(held) == known and len(held) == len(known)
    assert {key: held.size(key) for key in held} == {key: len(data) for key, data in known.items()}


def test_pieces_that_did_not_all_pass_are_not_kept() -> None:
    held = SpooledBytes[str]()
    passing = held.passed("a", [b"one", b"two"])
    assert next(passing) == b"one"
    passing.close()
    assert "a" not in held
    passing = held.passed("a", [b"one", b"two"])
    next(passing)
    held["b"] = b"x" * 5000
    with pytest.raises(RuntimeError, match="something else"):
        list(passing)
    assert list(held) == ["b"] and held["b"] == b"x" * 5000


def test_a_full_disk_is_told_with_its_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with Path("/dev/full").open("w+b", buffering=0) as full:
        monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: full)
        with pytest.raises(StorageUnavailable, match=f"temporary file in {tmp_path}: No space left") as caught:
            SpooledBytes[str]()["a"] = b"x" * 5000
    assert caught.value.hint == "make room there, or set TMPDIR"
