"""`publish --check`, `--verify` and `--repair` as a person types them; what doctor and audit say of a destination."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.main import invoke
from tests.support.small_line import BEGIN, STEPS, TOML

LINE = ("put", "release", "promote", "publish")


@pytest.fixture
def publish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    """The words that publish; a line stands, its release is published in ./public."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CASSTORE_KEY", "key.pem")
    for name in ("CASSTORE_STORE", "CASSTORE_PASSWORD", "XDG_CACHE_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "file").write_bytes(b"content" * 1000)
    (tmp_path / "casstore.toml").write_text(TOML)
    for words in (*BEGIN, *(STEPS[name].words for name in LINE)):
        assert invoke(list(words)) == 0, words
    return tuple(STEPS["publish"].words)


def told(capsys: pytest.CaptureFixture[str], code: int, *words: str) -> str:
    capsys.readouterr()
    assert invoke(list(words)) == code, words
    captured = capsys.readouterr()
    return captured.out + captured.err


def test_it_looks_and_repairs(publish: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "consumers are shown 1" in told(capsys, 0, *publish, "--check")
    assert told(capsys, 0, *publish, "--verify")
    archive = next((tmp_path / "public/targets/archives").glob("*"))
    raw = archive.read_bytes()
    archive.unlink()
    archive.write_bytes(bytes(len(raw)))
    assert "other bytes" in told(capsys, 3, *publish, "--verify")
    assert json.loads(told(capsys, 0, *publish, "--check", "--json"))["verdict"] == "valid", "archives are not read"
    told(capsys, 0, *publish, "--repair")
    assert archive.read_bytes() == raw and told(capsys, 0, *publish, "--verify")


def test_doctor_and_audit_read_it_as_a_consumer(
    publish: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    channel = publish[1]
    assert "consumers are shown 1" in told(capsys, 2, "audit", channel)
    (tmp_path / "public/metadata/1.snapshot.json").unlink()
    assert "consumers are refused" in told(capsys, 2, "audit", channel)
    capsys.readouterr()
    invoke(["doctor"])
    assert "consumers are refused" in capsys.readouterr().out
    told(capsys, 8, *publish, "--check")
