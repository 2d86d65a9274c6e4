"""Nothing here is installed but what a lock names: no release of anybody changes what the commands do."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PLACES = sorted(
    [
        ROOT / "Makefile",
        *(path for path in (ROOT / ".ci").iterdir() if path.is_file()),
        *ROOT.glob(".github/**/*.yml"),
        *ROOT.glob(".gitlab/*.yml"),
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/**/*.md"),
        *ROOT.glob("tests/support/*.py"),
        *(path for room in ("attest", "casstore", "bundlers", "cli") for path in ROOT.glob(f"{room}/**/*.py")),
    ]
)
_OF_OTHERS = {"bundlers/gates/builtin/pinned.py", "bundlers/isolation/explained/reference_sources.py"}
"""What speaks of the installs of others: how they are looked at, and how they are mended."""
_RESOLVES = re.compile(r"\bpip3? install\b|\bpipx\b|\buv (?:pip install|sync|tool|run)\b|\bnpm (?:install|i)\b|\bnpx\b")


def test_nothing_is_installed_or_told_to_be_installed_by_resolving() -> None:
    texts = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in PLACES}
    assert texts.keys() > _OF_OTHERS and len(texts) > 500
    found = {path: lines for path, text in texts.items() if (lines := resolving(text)) and path not in _OF_OTHERS}
    assert found == {}, "install by requirements/install.py LOCK, make install, or npm ci"


def resolving(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if _RESOLVES.search(line)]


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
