"""A put and a release, killed before any change of the file system: nothing half-visible, and a second run finishes."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bundlers.releases import release
from casstore.ledger.entries import EntryKind
from casstore.store.store import Store
from tests.support.lines import Line
from tests.support.system_calls import DEEP, SEED

CALLS = ("rename", "replace", "link", "mkdir", "fsync", "unlink", "rmdir", "chmod")
KILLED = 137


def dies_at(number: int, work: Callable[[], object]) -> bool:
    """Run in a child that is killed before its n-th changing call; False when it came to its end."""
    child = os.fork()
    if child == 0:
        left = [number]

        def watched(real: Callable[..., object]) -> Callable[..., object]:
            def call(*args: object, **options: object) -> object:
                left[0] -= 1
                if left[0] < 0:
                    os._exit(KILLED)
                return real(*args, **options)

            return call

        for name in CALLS:
            setattr(os, name, watched(getattr(os, name)))
        try:
            work()
        except BaseException:
            import traceback

            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    assert code in (0, KILLED), f"the run ended with {code} at call {number}"
    return code == KILLED


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A line whose components are put; copied for each run."""
    folder = tmp_path_factory.mktemp("ready")
    line = Line.make(folder)
    line.put("1.0.0")
    line.store.close()
    return folder


def copies(ready: Path, folder: Path) -> Iterator[tuple[int, Path]]:
    """(n, a fresh copy) for n = 0, 1, ...; every fourth n, but in the deep profile."""
    for number in range(10_000) if DEEP else range(SEED % 4, 10_000, 4):
        place = folder / str(number)
        shutil.copytree(ready, place, symlinks=True)
        yield number, place
        shutil.rmtree(place)


def opened(folder: Path) -> Line:
    return Line(Store.open(str(folder / "store")), root=folder / "project")


def check_complete(out: Path) -> None:
    subprocess.run(["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=out, check=True)
    assert len(list(out.iterdir())) == 9


@pytest.mark.slow
def test_release_killed_anywhere(ready: Path, tmp_path: Path) -> None:
    for number, folder in copies(ready, tmp_path):

        def work(folder: Path = folder) -> None:
            release(opened(folder).request("1.0.0"))

        killed = dies_at(number, work)
        line = opened(folder)
        out = line.out / "1.0.0"
        assert not line.state.void
        if out.exists():
            assert line.state.releases, "an output folder without a release"
            check_complete(out)
        report = line.ship("1.0.0")
        assert len(line.state.releases) == 1
        assert report.release == line.state.find_release("1.0.0").digest
        check_complete(out)
        assert [path.name for path in line.out.iterdir()] == ["1.0.0"], "nothing is left beside it"
        line.to_prod("1.0.0")
        line.store.close()
        if not killed:
            assert number > 15
            return


@pytest.mark.slow
def test_put_killed_anywhere(ready: Path, tmp_path: Path) -> None:
    for number, folder in copies(ready, tmp_path):
        line = opened(folder)
        line.write({"core/new": os.urandom(64)})
        line.store.close()

        def work(folder: Path = folder) -> None:
            opened(folder).put("1.1.0")

        killed = dies_at(number, work)
        line = opened(folder)
        names = {name for version, name in line.state.components if version == "1.1.0"}
        assert names in (set(), {"core-bin", "agent-bin", "licences"}), "all components or none"
        line.put("1.1.0")
        assert line.ship("1.1.0").entry is not None
        assert not line.state.void
        kinds = [entry.kind for entry in line.ledger.entries(0)]
        assert kinds.count(EntryKind.RELEASE) == 1
        line.store.close()
        if not killed:
            assert number > 5
            return
