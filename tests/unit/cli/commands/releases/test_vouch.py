"""A builder's key leaked: what it built is looked at, and released again under another key."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.typed_line import TOML, Clock, begun, said, to_prod, told, typed

STRICT = TOML.replace('from = "dev"', 'from = "dev"\nrequire = ["slsa-provenance"]')


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """1.0.0 by ci is in prod and published; then ci's key was revoked."""
    Clock.turned(monkeypatch)
    begun(tmp_path, monkeypatch, STRICT)
    (tmp_path / "a" / "tool").write_text("#!/bin/sh\n")
    typed(
        "keys generate ci.pem --no-passphrase",
        "keys ceremony draft --identity ci=ci.pem.pub --role builder=owner,ci --out two",
        "keys ceremony sign two --key key.pem --out two.sig",
        "keys ceremony finish two two.sig",
        "put --all --release-version 1.0.0 --key ci.pem",
        "release 1.0.0 --key ci.pem",
    )
    to_prod("1.0.0")
    typed("publish prod --to public --clock-checked")
    typed("revoke ci --kind identity --reason leaked --confirm")
    return tmp_path


def test_the_same_bytes_under_another_builder(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    typed("publish prod --to public --clock-checked")
    assert "was withdrawn" in said(capsys, "verify public --channel prod", 3)
    made = told(capsys, "vouch 1.0.0 --as 1.0.1 --reason compared")
    before = told(capsys, "channel show prod")
    (archive,) = made["archives"]
    assert archive["digest"] in before["archives"].values(), "the archive keeps its digest"
    assert told(capsys, "vouch 1.0.0 --as 1.0.1 --reason compared")["statement"] == made["statement"], (
        "a job runs again"
    )
    to_prod("1.0.1")
    typed("publish prod --to public --clock-checked")
    assert "valid: prod 1.0.1" in said(capsys, "verify public --channel prod")
    shown = said(capsys, f"attest show {made['statement']}")
    assert "compared" in shown and "1.0.0" in shown and "casstore.dev/vouch/v1" in shown


def test_who_may_not(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "revoked" in said(capsys, "vouch 1.0.0 --as 1.0.1 --reason x --key ci.pem", 4)
    assert "is released already" in said(capsys, "vouch 1.0.0 --as 1.0.0 --reason x", 9)
    count = len(told(capsys, "ledger log --last 100"))
    assert "could be a channel" in said(capsys, "vouch 1.0.0 --as prod --reason x", 2)
    assert "could be the beginning of a digest" in said(capsys, "vouch 1.0.0 --as 1abcdef0 --reason x", 2)
    assert len(told(capsys, "ledger log --last 100")) == count, "nobody's name is taken by what is put"
    assert "no such release" in said(capsys, "vouch 9.9.9 --as 1.0.1 --reason x", 8)
    tree = told(capsys, "channel show prod")
    (archive,) = tree["archives"].values()
    typed(f"revoke {archive} --reason bad --confirm")
    assert "was revoked itself" in said(capsys, "vouch 1.0.0 --as 1.0.1 --reason x", 4)
