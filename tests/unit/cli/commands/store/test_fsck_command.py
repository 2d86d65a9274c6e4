"""`casstore fsck` as a person types it: a store, its copy, and what was published from it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from cli.main import invoke
from tests.support.small_line import BEGIN, STEPS, TOML

LINE = ("put", "release", "promote", "publish")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
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
    return tmp_path


def told(capsys: pytest.CaptureFixture[str], code: int, *words: str) -> str:
    capsys.readouterr()
    assert invoke(list(words)) == code
    return capsys.readouterr().out


def test_a_destination_is_checked_and_mended_from_the_store(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert told(capsys, 0, "fsck", "--published", "public").startswith("whole: ")
    tile = next(path for path in (here / "public/ledger/tile").rglob("*") if path.is_file())
    archive = next((here / "public/releases/1").glob("*.tar.gz"))
    kept = {path: path.read_bytes() for path in (tile, archive)}
    for path, raw in kept.items():
        path.unlink()
        path.write_bytes(raw[:-1])
    names = {str(path.relative_to(here / "public")) for path in kept}
    assert names <= set(json.loads(told(capsys, 7, "fsck", "--published", "public", "--json"))["damaged"])
    out = told(capsys, 0, "fsck", "--published", "public", "--repair")
    assert all(f"mended: {name}: made from the store" in out for name in names)
    assert {path: path.read_bytes() for path in kept} == kept
    told(capsys, 2, "fsck", "--published", "public", "--repair", "--from", "elsewhere")
    told(capsys, 8, "fsck", "--published", "nowhere")


def test_a_tail_that_was_cut_off_is_told_by_every_command_and_comes_back(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(here / "store", here / "good")
    newest = max((here / "store/ledgers/main").glob("0*"))
    newest.unlink()
    shutil.rmtree(here / "store/index")
    told(capsys, 7, "ls")
    told(capsys, 7, "ledger", "verify")
    told(capsys, 7, "put", "--all", "--release-version", "2")
    assert "is not there" in told(capsys, 7, "fsck")
    assert f"FAIL  records: ledgers/main/{newest.name}" in told(capsys, 1, "doctor").replace("fail", "FAIL")
    assert f"mended: ledgers/main/{newest.name}" in told(capsys, 0, "fsck", "--repair", "--from", "good")
    told(capsys, 0, "ledger", "verify")
