"""Nothing here is installed but what a lock names: no release of anybody changes what the commands do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PLACES = sorted(
    [
        ROOT / "Makefile",
        *(path for path in (ROOT / ".ci").iterdir() if path.is_file()),
        *ROOT.glob(".github/**/*.yml"),
        *ROOT.glob(".gitlab/*.yml"),
    ]
)
_RESOLVES = re.compile(r"\bpip3? install\b|\bpipx\b|\buv (?:pip install|sync|tool|run)\b|\bnpm (?:install|i)\b|\bnpx\b")


@pytest.mark.parametrize("path", PLACES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_is_installed_by_resolving(path: Path) -> None:
    found = [line.strip() for line in path.read_text().splitlines() if _RESOLVES.search(line)]
    assert found == [], "install by requirements/install.py LOCK, or npm ci"


def test_the_rule_sees_what_it_forbids() -> None:
    for line in ("python -m pip install -r x", "pipx install casstore", "npm install", "npx tool", "uv sync"):
        assert _RESOLVES.search(line)
    assert not _RESOLVES.search("npm ci --no-audit") and not _RESOLVES.search("python requirements/install.py x.txt")


def test_every_package_of_every_lock_has_its_version_and_a_digest() -> None:
    locks = sorted((ROOT / "requirements").glob("*.txt"))
    assert len(locks) > 5
    for lock in locks:
        named = [line for line in lock.read_text().splitlines() if re.match(r"[A-Za-z0-9]", line)]
        assert named and all("==" in line for line in named), lock.name
        blocks = re.split(r"(?m)^(?=[A-Za-z0-9])", lock.read_text())[1:]
        assert all("--hash=sha256:" in block for block in blocks), lock.name
