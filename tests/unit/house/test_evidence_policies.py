"""The policy lines of docs/evidence, judged: with the evidence of each source a release passes, without it not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.main import invoke

PAGE = Path(__file__).parents[3] / "docs" / "evidence" / "README.md"
STORE = """
[store]
url = "./store"
[components.core]
root = "build"
include = ["**"]
[products.core]
components = ["core"]
format = "tar.gz"
"""
PEOPLE = {"ann": ["approver"], "ci": ["builder"], "pypi": ["builder"], "aud": ["auditor"]}
GENERATOR = "https://github.com/slsa-framework/slsa-github-generator/.github/workflows/generator_generic_slsa3.yml@v2"
EVIDENCE = {
    "approvals": {"type": "approval", "by": "ann"},
    "slsa-provenance": {
        "type": "slsa-provenance",
        "by": "ci",
        "builder": GENERATOR,
        "source": "git+https://github.com/team/core@refs/tags/v1",
    },
    "sbom": {"type": "https://spdx.dev/Document", "by": "ci",
             "predicate": {"spdxVersion": "SPDX-2.2", "SPDXID": "SPDXRef-DOCUMENT", "name": "core"}},
    "vulns": {"type": "vulns", "by": "aud", "findings": {"high": 1}},
    "vsa": {"type": "vsa", "by": "aud", "result": "PASSED"},
    "rule:published": {"type": "https://docs.INDEX/attestations/publish/v1", "by": "pypi", "predicate": {}},
    "rule:model": {"type": "https://model_signing/signature/v1.0", "by": "ci", "predicate": {"resources": []}},
    "rule:hardened": {"type": "https://in-toto.io/attestation/scai/attribute-report/v0.2", "by": "ci",
                      "predicate": {"attributes": [{"attribute": "WITH_STACK_PROTECTION"}]}},
}  # fmt: skip
"""What each line is about -> a row of evidence that meets it."""


def test_each_line_asks_for_what_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    block = PAGE.read_text(encoding="utf-8").split("```toml\n")[1].split("```")[0]
    Path("casstore.toml").write_text(STORE + block)
    whole = {"name": "whole", "channel": "prod", "expect": "allow", "evidence": list(EVIDENCE.values())}
    cases = [whole]
    for left_out in EVIDENCE:
        rest = [row for name, row in EVIDENCE.items() if name != left_out]
        cases.append({"name": left_out, "channel": "prod", "expect": "deny", "missing": [left_out], "evidence": rest})
    another = [{**row, "by": "ci"} if row["by"] == "pypi" else row for row in EVIDENCE.values()]
    denied = {"expect": "deny", "missing": ["rule:published"], "evidence": another}
    cases.append({**whole, "name": "another publisher", **denied})
    Path("cases.json").write_text(json.dumps({"people": PEOPLE, "cases": cases}))
    assert invoke(["policy", "test", "cases.json", "--json"]) == 0, capsys.readouterr()
