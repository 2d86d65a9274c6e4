"""The threat model names the tests that there are, and all of them."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_each_attack_is_named_and_is_there() -> None:
    page = (ROOT / "docs/threat-model.md").read_text()
    named = set(re.findall(r"`(?:tests/attacks/)?(test_\w+\.py)`", page))
    assert named == {path.name for path in (ROOT / "tests/attacks").glob("test_*.py")}


def test_security_leads_there() -> None:
    security = (ROOT / "SECURITY.md").read_text()
    assert "docs/threat-model.md" in security
    for name in re.findall(r"`(tests/attacks/\w+\.py)`", security):
        assert (ROOT / name).exists(), name
