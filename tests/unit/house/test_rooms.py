"""The house: every room says what it is for, few files stand loose, the map and the tests follow the rooms."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PACKAGES = ("attest", "casstore", "bundlers", "cli", "cli/commands")
"""What holds rooms: the four packages, and the commands, of which there are as many as elsewhere in a package."""
ROOMS = [path.parent for package in PACKAGES for path in sorted((ROOT / package).glob("*/__init__.py"))]
WITHIN = [path.parent for package in PACKAGES[:4] for path in sorted((ROOT / package).glob("*/**/__init__.py"))]
"""Rooms, and the rooms in them."""
NO_CODE = {"__init__.py", "main.py", "session.py"}
"""Of `cli`: the entry point and what every command shares."""


@pytest.mark.parametrize("room", WITHIN, ids=lambda room: str(room.relative_to(ROOT)))
def test_a_room_says_what_comes_in_and_who_calls_it(room: Path) -> None:
    told = ast.get_docstring(ast.parse((room / "__init__.py").read_text(encoding="utf-8"))) or ""
    assert len(told.splitlines()) >= 3, "a line is a title"
    for word in ("In: ", "Out: ", "alled by "):
        assert word in " ".join(told.split()), "say what comes in, what goes out and who calls it"


@pytest.mark.parametrize("package", PACKAGES)
def test_few_files_stand_loose(package: str) -> None:
    loose = {path.name for path in (ROOT / package).glob("*.py")} - NO_CODE
    assert len(loose) <= 3, sorted(loose)


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: str(room.relative_to(ROOT)))
def test_the_map_has_every_room(room: Path) -> None:
    assert f"`{'.'.join(room.relative_to(ROOT).parts)}`" in (ROOT / "docs" / "architecture.md").read_text(
        encoding="utf-8"
    )


def test_unit_tests_stand_in_the_rooms_that_they_try() -> None:
    known = {str(room.relative_to(ROOT)) for room in ROOMS} | set(PACKAGES) | {"house"}
    top = ROOT / "tests" / "unit"
    found = {path.parent.relative_to(top) for path in top.rglob("test_*.py")}
    depth = {folder: 3 if folder.parts[:2] == ("cli", "commands") else 2 for folder in found}
    assert {str(folder) for folder in found if str(Path(*folder.parts[: depth[folder]])) not in known} == set()
