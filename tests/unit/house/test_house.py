"""The house itself: documents whose links lead somewhere, locks that are whole, doors that stay shut."""

from __future__ import annotations

import ast
import hashlib
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PACKAGES = ("attest", "casstore", "bundlers", "cli")
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
_LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
_PINNED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*==\S+")


def sources(*packages: str) -> Iterator[tuple[str, ast.Module]]:
    for package in packages:
        for path in sorted((ROOT / package).rglob("*.py")):
            yield str(path.relative_to(ROOT)), ast.parse(path.read_text(encoding="utf-8"))


def calls(tree: ast.Module) -> Iterator[str]:
    """What is called, as it is written: `open`, `os.posix_spawn`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
            yield ast.unparse(node.func)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    targets = [found for found in _LINK.findall(text) if "://" not in found and not found.startswith("mailto:")]
    assert [found for found in targets if not (page.parent / found).exists()] == []


@pytest.mark.parametrize("folder", ["docs/formats", "docs/formats/predicates", "docs/adr", "docs/guide"])
def test_every_page_is_in_the_index(folder: str) -> None:
    index = (ROOT / "docs" / ("formats/README.md" if "formats" in folder else "README.md")).read_text(encoding="utf-8")
    start = "docs/formats/" if "formats" in folder else "docs/"
    pages = {f"{folder}/{page.name}" for page in (ROOT / folder).glob("*.md")} - {"docs/formats/README.md"}
    assert {page for page in pages if f"]({page.removeprefix(start)})" not in index} == set()


def test_no_short_name_is_that_of_a_module() -> None:
    """`from package import name` would be the module, as soon as somebody has imported it."""
    for init in (path for top in PACKAGES for path in (ROOT / top).rglob("__init__.py")):
        names = re.findall(r'^    (\w+)="[\w.]+",$', init.read_text(encoding="utf-8"), re.MULTILINE)
        there = {path.stem for path in init.parent.iterdir()}
        assert there.isdisjoint(names), init


def test_numbers_of_decisions_are_given_once() -> None:
    numbers = [page.name[:4] for page in sorted((ROOT / "docs" / "adr").glob("*.md"))]
    assert numbers == [f"{number:04d}" for number in range(1, len(numbers) + 1)]


def locked(name: str) -> set[str]:
    """Names that a lock pins; every one has hashes, and nothing else stands there."""
    text = (ROOT / "requirements" / name).read_text(encoding="utf-8")
    assert not re.search(r"https?://|--index|--find-links|file:|(?<![\w.])/(?:work|root|home|tmp)/", text)
    found = set()
    for block in re.split(r"\n(?=[A-Za-z0-9])", re.sub(r"\\\n\s*", " ", text)):
        if (line := block.partition("\n")[0].strip()) and not line.startswith("#"):
            assert _PINNED.match(line) and "--hash=sha256:" in line, line
            found.add(normal(line.partition("==")[0]))
    return found


def normal(requirement: str) -> str:
    return re.sub(r"[-_.]+", "-", re.split(r"[\[<>=!~; ]", requirement, maxsplit=1)[0]).lower()


def test_the_locks_hold_what_the_project_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    base = {normal(item) for item in project["project"]["dependencies"]}
    extras = {name: {normal(i) for i in items} for name, items in project["project"]["optional-dependencies"].items()}
    dev = {normal(item) for item in project["dependency-groups"]["dev"]}
    assert base - locked("runtime.txt") == set(), "run: make lock"
    assert (base | extras["demo"]) - locked("demo.txt") == set(), "run: make lock"
    assert (base | set().union(*extras.values())) - locked("all-extras.txt") == set(), "run: make lock"
    assert (base | dev | extras["demo"]) - locked("dev.txt") == set(), "run: make lock"
    assert locked("test-servers.txt")


def test_attest_opens_no_file() -> None:
    outward = re.compile(r"open|io\.open|os\.(open|remove|unlink|rename|replace|mkdir|makedirs|listdir|scandir|stat)")
    assert [(path, call) for path, tree in sources("attest") for call in calls(tree) if outward.fullmatch(call)] == []


def test_the_clock_has_one_reader() -> None:
    clock = re.compile(r"(datetime\.)?datetime\.(now|utcnow|today)|(datetime\.)?date\.today|time\.(time|time_ns)")
    found = {path for path, tree in sources(*PACKAGES) for call in calls(tree) if clock.fullmatch(call)}
    assert found == {"casstore/machine/clock.py"}


def test_programs_start_behind_known_doors_only() -> None:
    """Besides the runner and its first process: our workers, the child that opens a doubtful index, a cell's try."""
    starts = re.compile(
        r"os\.(system|popen|fork|forkpty|posix_spawnp?|exec\w+|spawn\w+|startfile)|pty\.\w+|asyncio\.create_sub\w+"
    )
    found = {path for path, tree in sources(*PACKAGES) for call in calls(tree) if starts.fullmatch(call)}
    known = {"casstore/machine/workers.py", "casstore/index/probe.py", "casstore/machine/seclusion.py"}
    assert found == known | {"casstore/hostile/self_test.py"}


def test_no_shell_and_no_unpickling() -> None:
    for path, tree in sources(*PACKAGES):
        for node in ast.walk(tree):
            assert not (isinstance(node, ast.keyword) and node.arg == "shell"), path
        assert not {call for call in calls(tree) if re.fullmatch(r"eval|exec|pickle\.loads?|marshal\.loads?", call)}, (
            path
        )


def test_actions_are_pinned_by_commit() -> None:
    for path in (ROOT / ".github" / "workflows").glob("*.yml"):
        for used in re.findall(r"uses:\s*(\S+)", path.read_text(encoding="utf-8")):
            assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", used), f"{path.name}: {used}"


REGISTRIES = frozenset(
    {
        "0dc11026ac75c015",
        "0fd460f0568e29c1",
        "271dacc9f4d0caf8",
        "3530c4415dd857fb",
        "3ca29e55be4befa4",
        "3d01f3609be82d98",
        "71741fe2460a6150",
        "789e46d79514e280",
        "8743857e3ea00fd1",
        "8b5bb5eb9d758455",
        "a4aa2ac280bb8d1a",
        "c899567ee9068517",
        "dcb6cc3991f9799e",
        "e83cc4bcd94e4ed5",
    }
)
"""Hosts of package registries by the first half of their SHA-256, so that this file names none either."""


def test_no_package_registry_is_named() -> None:
    """Where packages come from is the user's own choice: neither code nor documents name a host."""
    folders = [*PACKAGES, "docs", "requirements", "benchmarks", "tests/unit/house", ".ci", ".github", ".gitlab"]
    files = [path for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file()]
    files += [path for path in ROOT.glob("*") if path.is_file()]
    found = [(path.name, host) for path in files if path.suffix != ".pyc" for host in _hosts(path)]
    assert [pair for pair in found if hashlib.sha256(pair[1].encode()).hexdigest()[:16] in REGISTRIES] == []


def _hosts(path: Path) -> set[str]:
    """Whatever reads as the name of a host, and each of the domains above it."""
    names = re.findall(r"[a-z0-9-]+(?:\.[a-z0-9-]+)+", path.read_bytes().decode("utf-8", "replace").lower())
    return {".".join(name.split(".")[start:]) for name in names for start in range(name.count("."))}


def test_every_format_that_the_code_names_is_on_a_page() -> None:
    """With its version: a format changes first on its page."""
    folders = [ROOT / package for package in PACKAGES]
    code = "\n".join(path.read_text(encoding="utf-8") for folder in folders for path in folder.rglob("*.py"))
    pages = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "docs").rglob("*.md"))
    named = set(re.findall(r'"(casstore(?:-[a-z-]+)?/\d+)', code))
    assert len(named) > 25
    assert {name for name in named if name not in pages} == set()
