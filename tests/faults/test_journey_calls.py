"""EIO, a full disk and death at changing system calls of release, promote, publish, install and get.

After each: a documented exit code; a whole store and a ledger without void entries; nothing
half-visible; the same command again ends well, and leaves what an undisturbed run leaves.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from casstore.fsck import fsck
from casstore.ledger.log import Ledger
from casstore.store import Store
from tests.support.system_calls import DEEP, KILLED, SEED, Fault, changing_calls, faults_of, need_strace, strike, tell

pytestmark = [pytest.mark.foreign, pytest.mark.slow]

CASSTORE = [sys.executable, "-m", "cli.main"]
SAMPLE = 4
DOCUMENTED = {0, 1, 9, 12, KILLED}
"""Refused, a conflict with what the fault left, a disk that fails (docs/exit-codes.md)."""
TOML = """\
[store]
url = "./store"
[components.a]
include = ["**"]
root = "a"
[products.one]
components = ["a"]
format = "tar.gz"
[gates]
seal = {}
[channels.dev]
approvals = 0
[destinations.public]
url = "./public"
"""


class Place:
    """A line in a folder of its own, driven by real processes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment: Mapping[str, str] = {
            **os.environ,
            "HOME": str(folder),
            "CASSTORE_KEY": str(folder / "key.pem"),
        }

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*CASSTORE, *words], cwd=self.folder, env=self.environment, capture_output=True, text=True
        )

    def must(self, *words: str) -> str:
        done = self.run(*words)
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        return done.stdout

    def whole(self) -> None:
        with Store.open(str(self.folder / "store")) as store:
            assert fsck(store).ok
            Ledger(store).verify()

    def listed(self) -> list[str]:
        """Files and folders that somebody would see: not those of the store, the index and the user's state."""
        found = []
        for top in ("dist", "public", "installed", "out"):
            for path in (self.folder / top, *(self.folder / top).rglob("*")):
                hidden = any(part.startswith(".") for part in path.relative_to(self.folder).parts)
                found += [] if hidden or not os.path.lexists(path) else [str(path.relative_to(self.folder))]
        return found


@dataclass(frozen=True)
class Step:
    """A command, and what is there when it is done."""

    words: tuple[str, ...]
    done: Callable[[Place], None]
    half: Callable[[Place], None] = lambda _: None
    """What must hold after a fault."""


def released(place: Place) -> None:
    subprocess.run(["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=place.folder / "dist" / "1", check=True)
    assert [row["version"] for row in json.loads(place.must("ls", "--json"))["releases"]] == ["1"]


def all_or_nothing(place: Place) -> None:
    if (place.folder / "dist" / "1").exists():
        released(place)


def promoted(place: Place) -> None:
    (row,) = json.loads(place.must("ls", "--json"))["releases"]
    assert row["channels"] == ["dev"]


def published(place: Place) -> None:
    place.must("verify", "./public", "--channel", "dev")


def installed(place: Place) -> None:
    assert (place.folder / "installed" / "current" / "file").read_bytes() == b"content" * 10_000
    left = [path for path in (place.folder / "installed").rglob("*") if path.name.endswith((".partial", ".part"))]
    assert left == []


def old_or_new(place: Place) -> None:
    if os.path.lexists(place.folder / "installed" / "current"):
        assert (place.folder / "installed" / "current" / "file").read_bytes() == b"content" * 10_000


def got(place: Place) -> None:
    assert (place.folder / "out" / "file").read_bytes() == b"content" * 10_000
    assert len(list((place.folder / "out").rglob("*"))) == 12


def got_or_not(place: Place) -> None:
    if (place.folder / "out").exists():
        got(place)


STEPS = {
    "put": Step(("put", "--all", "--release-version", "1"), lambda place: None),
    "release": Step(("release", "1", "--out", "dist/1"), released, all_or_nothing),
    "promote": Step(("promote", "1", "--to", "dev"), promoted),
    "publish": Step(("publish", "dev", "--to", "public"), published),
    "install": Step(
        ("install", "one", "--from", "./public", "--channel", "dev", "--into", "installed"), installed, old_or_new
    ),
    "get": Step(("get", "a@1", "out"), got, got_or_not),
}


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """For each step the folder just before it."""
    need_strace()
    top = tmp_path_factory.mktemp("before")
    place = Place(top / "line")
    (place.folder / "a" / "below").mkdir(parents=True)
    for number in range(10):
        (place.folder / "a" / "below" / str(number)).write_bytes(b"%d" % number * 1000)
    (place.folder / "a" / "file").write_bytes(b"content" * 10_000)
    (place.folder / "casstore.toml").write_text(TOML)
    place.must("keys", "generate", "key.pem", "--no-passphrase", "--algorithm", "ed25519")
    place.must("init", "--key", "key.pem")
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
    assert "unexpected" not in done.err, (str(fault), done)
    place.whole()
    step.half(place)
    again = place.run(*step.words)
    finished = again.returncode == 9 and set(place.listed()) != set(seen)
    assert again.returncode == 0 or finished, (str(fault), done, again.stdout, again.stderr)
    step.done(place)
    place.whole()
    shutil.rmtree(place.folder)
    return done.strikes
