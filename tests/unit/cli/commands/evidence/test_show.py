"""`attest show` over genuine files of every form, and over a hostile one."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import worlds

from attest.statements import statements
from cli.main import invoke

FORMS = Path(__file__).parents[4] / "data" / "forms"


def test_show_reads_every_form(capsys: pytest.CaptureFixture[str]) -> None:
    for path in sorted(FORMS.iterdir()):
        if path.suffix in (".md", ".txt"):
            continue
        capsys.readouterr()
        code = invoke(["attest", "show", str(path)])
        shown = json.loads(capsys.readouterr().out)
        rows = shown if isinstance(shown, list) else [shown]
        assert code == (3 if path.name == "in-toto.link" else 0)
        assert all(row.get("signer") or row.get("problem") for row in rows)
    capsys.readouterr()
    assert invoke(["attest", "show", str(FORMS / "cosign.blob.sigstore.json")]) == 0
    blob = json.loads(capsys.readouterr().out)
    assert blob["what"] == "a signature over a file" and blob["signer"].endswith("@gmail.com")
    assert blob["about"][0]["digest"]["sha256"] == hashlib.sha256((FORMS / "cosign.blob.txt").read_bytes()).hexdigest()


def test_what_is_shown_of_a_hostile_one_is_json_and_moves_no_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    subject = {"name": "Pr\u00fcfung \u202e\u009b2J\u001b[31m\u2028", "digest": {"sha256": "0" * 64}}
    statement = {"_type": statements.STATEMENT_V1, "subject": [subject], "predicateType": "https://e.example/p/v1"}
    raw = worlds.signer("ci").sign_statement(json.dumps({**statement, "predicate": {"k": "\u009b\u202e"}}).encode())
    (tmp_path / "x.json").write_bytes(raw)
    assert invoke(["attest", "show", str(tmp_path / "x.json")]) == 0
    out = capsys.readouterr().out
    assert json.loads(out)["about"][0]["name"] == subject["name"] and "Pr\u00fcfung" in out
    assert all(character.isprintable() or character == "\n" for character in out)
