"""No bytes of others make a parser do anything but refuse, or give what its law says; the table and its page agree.

Seeds are cut, flipped, repeated and spliced. `make fuzz` runs the same parsers under a coverage-guided fuzzer.
"""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.property.test_fuzz_stored_bytes import changed
from tests.support.foreign_bytes import FOREIGN

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", FOREIGN)
def test_a_seed_is_real_input(name: str) -> None:
    seeds = FOREIGN[name].seeds()
    assert seeds and sum(map(FOREIGN[name].run, seeds)) * 2 > len(seeds)


@pytest.mark.parametrize("name", FOREIGN)
@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large], deadline=None)
@given(data=st.data())
def test_changed_input_is_refused_or_keeps_the_law(name: str, data: st.DataObject) -> None:
    FOREIGN[name].run(data.draw(changed(FOREIGN[name].seeds())))


@pytest.mark.parametrize("name", FOREIGN)
@settings(deadline=None)
@given(noise=st.binary(max_size=300))
def test_noise_is_no_error_of_ours(name: str, noise: bytes) -> None:
    FOREIGN[name].run(noise)


def test_seeds_are_what_is_made_now() -> None:
    """But for archives' compression, which another zlib does otherwise: their names."""
    made = {f"{parser}/{name}" for parser, name, _ in runpy.run_path(str(ROOT / "tests/fuzz/make_seeds.py"))["kept"]()}
    assert made == {
        str(path.relative_to(ROOT / "tests/fuzz/seeds")) for path in (ROOT / "tests/fuzz/seeds").glob("*/*")
    }


def test_the_page_has_every_way_to_hide_a_file() -> None:
    made = runpy.run_path(str(ROOT / "docs/make_isolation_ways.py"))
    text = (ROOT / "docs/isolation.md").read_text(encoding="utf-8")
    assert made["BEGIN"] in text and made["page"](text) == text, "python docs/make_isolation_ways.py"
    assert text.count("| found |") >= 60
