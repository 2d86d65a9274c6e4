"""Each lock is installed as it is from an index in which every package has a newer, broken release.

The index is made here: for every package that a lock names, a tiny wheel of that very name, version and
requirements, and one of a release of tomorrow. So it needs no network and no cache, and the lock that is installed
names the digests of these wheels instead of the real ones (those are asked for wherever the real lock is installed:
everywhere else). What is shown is what pip does between a lock and an index: `requirements/install.py` takes exactly
the lock; pip alone resolves again, and stops or takes what is broken.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
import venv
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib import metadata
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from tests.support.system_calls import DEEP

ROOT = Path(__file__).resolve().parents[2]
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
TOMORROW = "9999"


@dataclass(frozen=True)
class Pinned:
    """One package of a lock."""

    name: str
    version: str
    marker: str
    needs: tuple[str, ...]


def pinned(lock: Path) -> list[Pinned]:
    """With what each one needs: what the package itself says where it is installed here, else what the lock says."""
    text = lock.read_text()
    rows = re.findall(r"(?m)^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==(\S+?)(?: ; (.*?))? \\$", text)
    wanted: dict[str, list[str]] = {}
    for block in re.split(r"(?m)^(?=[A-Za-z0-9])", text):
        about = block.partition("==")[0].partition("[")[0]
        via = block.partition("# via")[2].replace("#", " ")
        for name in re.findall(r"[A-Za-z0-9._-]+", re.sub(r"\([^)]*\)", "", via)):
            wanted.setdefault(canonicalize_name(name), []).append(about)
    return [Pinned(name, version, marker or "", _needs(name, version, wanted)) for name, version, marker in rows]


def _needs(name: str, version: str, wanted: Mapping[str, list[str]]) -> tuple[str, ...]:
    try:
        found = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return tuple(wanted.get(canonicalize_name(name), ()))
    lines = found.requires or [] if found.version == version else wanted.get(canonicalize_name(name), ())
    return tuple(lines)


def wheel(folder: Path, name: str, version: str, needs: tuple[str, ...], source: str) -> str:
    """Writes it; its digest."""
    plain = re.sub(r"[-_.]+", "_", name).lower()
    info = f"{plain}-{version}.dist-info"
    extras = sorted({extra for line in needs for extra in re.findall(r"extra == ['\"]([^'\"]+)", line)})
    about = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    about += [f"Provides-Extra: {extra}" for extra in extras] + [f"Requires-Dist: {line}" for line in needs]
    files = {
        f"{plain}_of_a_test.py": source,
        f"{info}/METADATA": "\n".join(about) + "\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    rows = [f"{path},sha256={_urlsafe(text)},{len(text)}" for path, text in files.items()]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{plain}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for inside, text in {**files, f"{info}/RECORD": "\n".join([*rows, f"{info}/RECORD,,"]) + "\n"}.items():
            archive.writestr(inside, text)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _urlsafe(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


class Quiet(SimpleHTTPRequestHandler):
    """Serves files and says nothing."""

    def log_message(self, *_: object) -> None:
        pass


@dataclass(frozen=True)
class Index:
    """The index, and the locks over its wheels."""

    url: str
    locks: Path

    def environment(self, python: Path, lock: str) -> dict[str, str]:
        """Nothing of this machine's pip: no caches, no other index, no constraints."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
        return {
            **kept,
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_INDEX_URL": f"{self.url}/{lock}",
            "PIP_NO_CACHE_DIR": "1",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "NO_PROXY": "*",
            "VIRTUAL_ENV": str(python.parent.parent),
        }

    def run(self, python: Path, lock: str, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([python, *words], env=self.environment(python, lock), capture_output=True, text=True)


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Index]:
    top = tmp_path_factory.mktemp("index")
    (top / "locks").mkdir()
    for lock in LOCKS:
        lines = []
        for one in pinned(lock):
            folder = top / lock.stem / canonicalize_name(one.name)
            digest = wheel(folder, one.name, one.version, one.needs, "")
            wheel(folder, one.name, TOMORROW, (), "raise ImportError('a broken release')\n")
            marker = f" ; {one.marker}" if one.marker else ""
            lines.append(f"{one.name}=={one.version}{marker} --hash=sha256:{digest}")
        (top / "locks" / lock.name).write_text("\n".join(lines) + "\n")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(top)))
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield Index(f"http://127.0.0.1:{server.server_port}", top / "locks")
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new environment with the pip that this Python brings."""
    folder = tmp_path_factory.mktemp("fresh") / "venv"
    venv.create(folder, with_pip=True, symlinks=True)
    return folder


@pytest.fixture
def python(fresh: Path, tmp_path: Path) -> Path:
    shutil.copytree(fresh, tmp_path / "venv", symlinks=True)
    return tmp_path / "venv" / "bin" / "python"


def installed(python: Path) -> dict[str, str]:
    told = "from importlib.metadata import distributions as d\nfor x in d(): print(x.metadata['Name'], x.version)"
    lines = subprocess.run([python, "-I", "-c", told], check=True, capture_output=True, text=True).stdout.splitlines()
    return {canonicalize_name(name): version for name, version in map(str.split, lines)}


@pytest.mark.slow
@pytest.mark.parametrize(
    "lock", [lock for lock in LOCKS if DEEP or lock.stem != "all-extras"], ids=lambda lock: lock.stem
)
def test_exactly_the_lock_is_installed(index: Index, python: Path, lock: Path) -> None:
    before = installed(python)
    done = index.run(python, lock.stem, str(ROOT / "requirements" / "install.py"), str(index.locks / lock.name))
    assert done.returncode == 0, done.stdout + done.stderr
    wanted = {canonicalize_name(one.name): one.version for one in pinned(lock) if _holds(one)}
    assert installed(python) == before | wanted
    assert len(wanted) > 0


def _holds(one: Pinned) -> bool:
    marker = Requirement(f"{one.name} ; {one.marker}").marker if one.marker else None
    return marker is None or marker.evaluate()


@pytest.mark.slow
def test_pip_alone_would_have_taken_a_release_of_tomorrow(index: Index, python: Path) -> None:
    """Controls: the resolver stops at the very lock; without one it takes what is broken."""
    resolved = index.run(python, "dev", "-m", "pip", "install", "--require-hashes", "-r", str(index.locks / "dev.txt"))
    assert resolved.returncode != 0
    assert "hash" in (resolved.stdout + resolved.stderr).lower()
    assert index.run(python, "dev", "-m", "pip", "install", "click").returncode == 0
    assert installed(python)["click"] == TOMORROW
    assert index.run(python, "dev", "-c", "import click_of_a_test").returncode != 0


def test_the_index_is_not_this_machines(index: Index) -> None:
    assert "127.0.0.1" in index.url
    assert not [name for name in index.environment(Path(sys.executable), "dev") if "LINKS" in name]


# which Pythons: requires-python, the classifiers and the locks say the same


def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def pythons() -> list[str]:
    rows = project()["project"]["classifiers"]
    return [found[1] for row in rows if (found := re.fullmatch(r"Programming Language :: Python :: (3\.\d+)", row))]


def test_the_classifiers_name_each_python_that_is_taken_and_no_other() -> None:
    taken = SpecifierSet(project()["project"]["requires-python"])
    assert pythons() == [f"3.{minor}" for minor in range(40) if taken.contains(f"3.{minor}.0")]
    oldest = pythons()[0]
    assert project()["tool"]["ruff"]["target-version"] == f"py{oldest.replace('.', '')}"
    assert f"sys.version_info < ({oldest.replace('.', ', ')})" in (ROOT / "Makefile").read_text()
    matrix = (ROOT / ".github" / "workflows" / "ci.yml").read_text()
    assert [python for python in pythons() if f'"{python}"' not in matrix] == []
    assert f"Python {oldest} to {pythons()[-1]}" in (ROOT / "docs" / "guide" / "installing.md").read_text()


@pytest.mark.parametrize("name", ["runtime", "demo", "all-extras", "dev"])
@pytest.mark.parametrize("python", pythons())
def test_a_lock_has_one_version_of_each_package_for_each_python(name: str, python: str) -> None:
    environment = {"python_version": python, "python_full_version": f"{python}.0"}
    found: dict[str, list[str]] = {}
    for one in pinned(ROOT / "requirements" / f"{name}.txt"):
        marker = Requirement(f"{one.name} ; {one.marker}").marker if one.marker else None
        if marker is None or marker.evaluate(environment):
            found.setdefault(canonicalize_name(one.name), []).append(one.version)
    assert {package: versions for package, versions in found.items() if len(versions) > 1} == {}
    for line in project()["project"]["dependencies"]:
        asked = Requirement(line)
        (version,) = found[canonicalize_name(asked.name)]
        assert asked.specifier.contains(version), line
