"""The man pages are what the commands say, and what renders them has nothing to complain of."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / "docs" / "man"
PAGES = sorted(FOLDER.glob("*.1"))


def made() -> dict[str, str]:
    spec = importlib.util.spec_from_file_location("make_man", ROOT / "docs" / "make_man.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: dict[str, str] = module.pages()
    return found


def test_they_are_what_the_commands_say() -> None:
    assert {page.name: page.read_text(encoding="utf-8") for page in FOLDER.iterdir()} == made(), "run: make docs"


def test_the_wheel_carries_them_where_man_looks() -> None:
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel["shared-data"] == {"docs/man": "share/man/man1"}


def complaints(*command: str) -> list[str]:
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not here")
    done = subprocess.run([*command, *map(str, PAGES)], capture_output=True, text=True)
    return [line for line in (done.stdout + done.stderr).splitlines() if "STYLE" not in line]


@pytest.mark.foreign
def test_groff_has_no_complaint() -> None:
    assert complaints("groff", "-man", "-ww", "-Tutf8", "-z") == []


@pytest.mark.foreign
def test_mandoc_has_no_complaint() -> None:
    """But for the date: it would be another one at each release, and say nothing."""
    assert [line for line in complaints("mandoc", "-T", "lint") if "missing date" not in line] == []


@pytest.mark.foreign
def test_man_shows_one() -> None:
    if shutil.which("man") is None:
        pytest.skip("man is not here")
    done = subprocess.run(
        ["man", "-l", str(FOLDER / "casstore-put.1")],
        capture_output=True,
        text=True,
        env={"MANWIDTH": "100", "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
    )
    assert done.returncode == 0
    assert "casstore put core-bin licences --release-version 1.4.0 --key ci.pem" in done.stdout
