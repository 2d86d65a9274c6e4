"""`casstore policy test` as people type it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.main import invoke

CONFIG = '[channels.dev]\napprovals = 1\nrequire = ["gate:unit"]\ngates = { unit = "any" }\n'
CASES = """
[people]
ann = ["approver"]
ci = ["builder"]
[[cases]]
name = "approved and tested"
channel = "dev"
expect = "allow"
evidence = [{ type = "approval", by = "ann" }, { type = "gate:unit", by = "ci" }]
[[cases]]
name = "a failed gate"
channel = "dev"
now = 2026-03-01T09:00:00Z
expect = "deny"
missing = ["gate:unit"]
evidence = [{ type = "approval", by = "ann" }, { type = "gate:unit", by = "ci", result = "FAILED" }]
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CASSTORE_STORE", raising=False)
    (tmp_path / "casstore.toml").write_text(CONFIG)
    (tmp_path / "cases.toml").write_text(CASES)
    return tmp_path


def test_all_as_expected_needs_no_store(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["policy", "test", "cases.toml"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "2 cases, 0 not as expected"


def test_what_is_not_as_expected_is_told(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "casstore.toml").write_text(CONFIG.replace("approvals = 1", "approvals = 2"))
    assert invoke(["policy", "test", "cases.toml", "--json"]) == 4
    found = json.loads(capsys.readouterr().out)
    assert (found["failed"], found["cases"][0]["passed"]) == (2, False)


@pytest.mark.parametrize(("text", "code"), [("[people", 2), ("{", 3), ("people = 2026-03-01\n", 2), ("", 3)])
def test_a_table_that_cannot_be_read(here: Path, text: str, code: int) -> None:
    (here / "cases.toml").write_text(text)
    assert invoke(["policy", "test", "cases.toml"]) == code
    assert invoke(["policy", "test", "nowhere.toml"]) == 2
