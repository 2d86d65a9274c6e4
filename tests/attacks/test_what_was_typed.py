"""What was once typed on a real line and went through to prod, typed again: each ends in a refusal that says why.

The others stand where they belong: `test_loose_gate.py` (a gate that looks away, variables of an environment),
`test_incident.py` (a file's digest), `test_foreign_sources.py` (another product's sources), `test_rebuilding.py`
(a copy that is no build), `test_run.py` and `test_sealed.py` (gates after the build, a build that reads the home
folder), `test_secrets_given.py` (what we write), `test_release_folder.py` (a folder that was left).
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from cli.main import invoke
from tests.support.typed_line import TOML, begun, released, said, to_prod, typed

TWO = """
[components.b]
include = ["**"]
root = "b"
[products.two]
components = ["b"]
format = "tar.gz"
"""
STRICT = TOML.replace("approvals = 1\n", 'approvals = 1\nrequire = ["isolation", "gate:governance"]\n', 1)
PROGRAM = b"\x7fELF" + random.Random(1).randbytes(60_000)
GATE = '[gates.governance]\ncommand = ["sh", "-c", "test -s approved.txt"]\nfolder = "."\n'


def test_a_gate_that_is_another_and_a_check_that_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`governance = true` for the real one, and sizes for which another product's whole program is too small."""
    signed = STRICT + TWO + GATE
    begun(tmp_path, monkeypatch, signed)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "two").write_bytes(PROGRAM)
    (tmp_path / "a" / "tool").write_text("tool")
    (tmp_path / "approved.txt").write_text("by the board")
    released("1.0.0")
    to_prod("1.0.0")
    (tmp_path / "approved.txt").unlink()
    (tmp_path / "a" / "tool").write_bytes(b"MZ" + PROGRAM)
    typed("put --all --release-version 1.1.0")
    assert invoke(["release", "1.1.0"]) == 11, "as the owners signed it, the builder is stopped"
    loose = signed.replace("test -s approved.txt", "true") + '[isolation]\nmin_size = 99999999\ncopies = "off"\n'
    (tmp_path / "casstore.toml").write_text(loose)
    typed("release 1.1.0", "promote 1.1.0 --to dev")
    (tmp_path / "casstore.toml").write_text(signed)
    shown = said(capsys, "approve 1.1.0 --channel prod")
    assert "settings/isolation.min_size  99999999" in shown, "an approver sees what was set otherwise"
    assert "settings/gates.governance.command" in shown and '"true"]' in shown
    told = said(capsys, "promote 1.1.0 --to prod", 4)
    assert "less hard than the policy asks" in told
    assert "gate governance with the settings that the owners signed: command = " in told
    audited = said(capsys, "audit 1.1.0 --json", 11)
    assert "99999999" in audited and "less hard" in audited


def test_explain_speaks_of_the_release_that_was_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    begun(tmp_path, monkeypatch)
    for version in ("1.0.0", "1.1.0", "1.2.0"):
        (tmp_path / "a" / "tool").write_text(version)
        released(version)
        if version != "1.2.0":
            to_prod(version)
    typed("promote 1.2.0 --to dev")
    told = said(capsys, "explain 1.2.0 --to prod", 4)
    assert "0 of 1 approvals" in told and "ignored" not in told
    (tmp_path / "found").write_text("1.1.0")
    (line,) = [line for line in said(capsys, "whence found").splitlines() if "release 1.1.0: product" in line]
    assert "dev since" in line and "until" in line and line.endswith(", approved by owner"), "and who let it through"
    typed("publish prod --to public --clock-checked")
    assert " approved by owner" in said(capsys, "whence found --from ./public --channel prod"), "a customer is told too"


def test_the_examples_of_a_help_are_typed_as_they_stand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`verify dist/1.0.0` and `attest sign-checksums dist/1.0.0`, by a path from here."""
    begun(tmp_path, monkeypatch)
    (tmp_path / "a" / "tool").write_text("tool")
    typed("put --all --release-version 1.0.0", "release 1.0.0 --out dist/1.0.0", "verify dist/1.0.0")
    gpg = tmp_path / "bin" / "gpg"
    gpg.parent.mkdir()
    gpg.write_text('#!/bin/sh\nwhile [ "$1" != --output ]; do shift; done\ntest -s "$3" && echo signed > "$2"\n')
    gpg.chmod(0o755)
    monkeypatch.setenv("PATH", f"{gpg.parent}:/usr/bin:/bin")
    typed("attest sign-checksums dist/1.0.0 --gpg-key releases@example.org")
    assert (tmp_path / "dist" / "1.0.0" / "SHA256SUMS.asc").read_text() == "signed\n"
