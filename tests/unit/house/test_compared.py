"""The page that compares us with another tool: our side of it is what it says."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.main import invoke

PAGE = Path(__file__).resolve().parents[3] / "docs" / "goreleaser.md"


def test_our_lines_make_the_archives_that_it_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = PAGE.read_text(encoding="utf-8")
    (tmp_path / "casstore.toml").write_text(text.partition("```toml\n")[2].partition("```")[0])
    for name in ("linux", "windows"):
        (tmp_path / "output" / name).mkdir(parents=True)
        (tmp_path / "output" / name / "acme").write_text(f"for {name}\n")
    (tmp_path / "LICENSE").write_text("free to use by everybody\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("CASSTORE_STORE", "CASSTORE_PASSWORD", "XDG_CACHE_HOME", "XDG_STATE_HOME", "CI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CASSTORE_KEY", "key.pem")
    for line in (
        "config check",
        "keys generate key.pem --no-passphrase",
        "init --key key.pem",
        "put --all --release-version 1.0.0",
        "release 1.0.0 --out dist",
        "promote 1.0.0 --to dev",
    ):
        assert invoke(line.split()) == 0, line
    for archive in ("acme-1.0.0-linux-x86_64.tar.gz", "acme-1.0.0-windows-x86_64.zip"):
        assert f"`{archive}`" in text and (tmp_path / "dist" / archive).exists()
    assert invoke(["promote", "1.0.0", "--to", "prod"]) == 4, "nobody has approved it"
