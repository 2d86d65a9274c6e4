"""EIO, a full disk and death at changing system calls of release, promote, publish, install and get.

After each: a documented exit code; a whole store and a ledger without void entries; nothing
half-visible; the same command again ends well, and leaves what an undisturbed run leaves.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support.small_line import BEGIN, CASSTORE, STEPS, Place, Step
from tests.support.system_calls import DEEP, KILLED, SEED, Fault, changing_calls, faults_of, need_strace, strike, tell

pytestmark = [pytest.mark.foreign, pytest.mark.slow]

SAMPLE = 2
DOCUMENTED = {0, 1, 9, 12, KILLED}
"""Refused, a conflict with what the fault left, a disk that fails (docs/exit-codes.md)."""


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """For each step the folder just before it."""
    need_strace()
    top = tmp_path_factory.mktemp("before")
    place = Place.make(top / "line")
    for words in BEGIN:
        place.must(*words)
    kept = {}
    for name, step in STEPS.items():
        kept[name] = top / name
        shutil.copytree(place.folder, kept[name], symlinks=True)
        place.must(*step.words)
        step.done(place)
    return kept


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", STEPS)
def test_a_command_survives_faults_at_its_changing_calls(before: Mapping[str, Path], tmp_path: Path, name: str) -> None:
    tell(f"CASSTORE_SEED={SEED}")
    step = STEPS[name]
    place = fresh(before[name], tmp_path / "counted")
    calls = changing_calls([*CASSTORE, *step.words], str(place.folder), cwd=str(place.folder), env=place.environment)
    faults = faults_of(calls)
    chosen = faults if DEEP else random.Random(f"{SEED} {name}").sample(faults, SAMPLE)
    strikes = sum(struck(step, fault, fresh(before[name], tmp_path / str(n))) for n, fault in enumerate(chosen))
    tell(f"{name}: {len(calls)} changing calls, {len(chosen)} runs, {strikes} faults, 0 lost")


def fresh(before: Path, folder: Path) -> Place:
    shutil.copytree(before, folder, symlinks=True)
    return Place(folder)


def struck(step: Step, fault: Fault, place: Place) -> int:
    """How often the fault struck."""
    seen = place.listed()
    done = strike([*CASSTORE, *step.words], fault, cwd=str(place.folder), env=place.environment)
    assert done.code in DOCUMENTED, (str(fault), done)
    assert done.is_told, (str(fault), done)
    place.whole()
    step.half(place)
    again = place.run(*step.words)
    finished = again.returncode == 9 and set(place.listed()) != set(seen)
    assert again.returncode == 0 or finished, (str(fault), done, again.stdout, again.stderr)
    step.done(place)
    place.whole()
    shutil.rmtree(place.folder)
    return done.strikes
