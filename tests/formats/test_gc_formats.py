"""The golden files of pins and loose collection steps are what the code writes, and are read as what they are."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from attest.errors import FormatError
from casstore.gc import pins
from casstore.gc.loose import Steps

HERE = Path(__file__).parent
GOLDEN = HERE / "golden"
MADE = runpy.run_path(str(HERE / "make_gc.py"))
FILES: dict[str, bytes] = MADE["files"]()


@pytest.mark.parametrize("name", sorted(FILES))
def test_golden_file_is_what_is_written_now(name: str) -> None:
    assert (GOLDEN / name).read_bytes() == FILES[name]


def test_no_golden_file_is_forgotten() -> None:
    assert {f"gc/{path.name}" for path in (GOLDEN / "gc").iterdir()} == set(FILES)


def test_a_pin_reads_back() -> None:
    pin = pins.parse(FILES["gc/pin.json"])
    assert (pin.reason, pin.time) == ("customer 17 still runs it", MADE["NOW"])
    with pytest.raises(FormatError, match="casstore-pin/1"):
        pins.parse(FILES["gc/pin.json"].replace(b"casstore-pin/1", b"casstore-pin/2"))


def test_steps_add_up() -> None:
    steps, packs = Steps(), MADE["PACKS"]
    steps.take(FILES["gc/0.json"])
    assert set(steps.condemned) == set(packs)
    steps.take(FILES["gc/1.json"])
    assert steps.given_up == set(packs[:2])
    assert steps.condemned == {}  # the third is lifted
    with pytest.raises(FormatError, match="another number"):
        steps.take(FILES["gc/1.json"])


@pytest.mark.parametrize(
    ("old", "new"),
    [(b'"action":"delete"', b'"action":"remove"'), (b'"condemned":[0]', b'"condemned":[-1]'), (b"[0]", b"0")],
)
def test_other_steps_are_refused(old: bytes, new: bytes) -> None:
    steps = Steps()
    steps.take(FILES["gc/0.json"])
    with pytest.raises(FormatError):
        steps.take(FILES["gc/1.json"].replace(old, new))
