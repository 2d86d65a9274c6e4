"""`casstore help`: every page is a topic, links name topics, and the wheel carries them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from cli.main import invoke
from cli.pages.topics import text_of, topics

ROOT = Path(__file__).resolve().parents[4]
PAGES = {
    str(page.relative_to(ROOT / "docs"))
    for page in (ROOT / "docs").rglob("*.md")
    if "adr" not in page.parts and page != ROOT / "docs" / "README.md"
}


def test_every_page_is_a_topic() -> None:
    assert {topic.page for topic in topics().values()} == PAGES
    assert all(topic.title for topic in topics().values())


@pytest.mark.parametrize("name", topics())
def test_a_page_names_no_file_that_an_installed_tool_has_not(name: str) -> None:
    text = re.sub(r"```.*?```", "", text_of(name), flags=re.DOTALL)
    assert re.findall(r"\]\((?![a-z]+:)[^)]*\)", text) == []
    assert set(re.findall(r"`casstore help ([^`]+)`", text)) <= set(topics()) | {"TOPIC", "[TOPIC]"}


def test_help_lists_and_shows(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["help"]) == 0
    assert re.search(r"^policy +format +Channel policy", capsys.readouterr().out, re.MULTILINE)
    assert invoke(["help", "--json"]) == 0
    assert {row["topic"] for row in json.loads(capsys.readouterr().out)["topics"]} == set(topics())
    assert invoke(["help", "policy"]) == 0
    told = capsys.readouterr()
    assert told.out.startswith("# Channel policy") and "casstore policy --help" in told.err
    assert invoke(["help", "polcy"]) == 2
    assert "did you mean policy" in capsys.readouterr().err


def test_help_of_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["help", "put"]) == 0
    assert capsys.readouterr().out.startswith("Usage: casstore put")
    assert invoke(["help", "keys", "ceremony", "draft"]) == 0
    assert capsys.readouterr().out.startswith("Usage: casstore keys ceremony draft")
    assert invoke(["help", "keys", "nonsense"]) == 2


def test_the_wheel_is_told_to_carry_every_page() -> None:
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    taken = {
        page
        for page in PAGES
        for place in wheel["force-include"]
        if f"docs/{page}" == place or f"docs/{page}".startswith(f"{place}/")
    }
    assert taken == PAGES


@pytest.mark.slow
def test_the_wheel_carries_every_page(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "hatchling",
        "build",
        "--target",
        "wheel",
        "--directory",
        str(tmp_path),
    ]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    assert {name.removeprefix("cli/pages/docs/") for name in archive.namelist() if name.endswith(".md")} >= PAGES
    pages = {page.name for page in (ROOT / "docs" / "man").iterdir()}
    shared = f"{wheel.name.rsplit('-', 3)[0]}.data/data/share/man/man1/"
    assert {name.removeprefix(shared) for name in archive.namelist() if name.startswith(shared)} == pages
    code = "import sys; from cli.main import invoke; sys.exit(invoke(['help', 'config']))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path / "site")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0 and done.stdout.startswith("# casstore.toml"), done.stderr
