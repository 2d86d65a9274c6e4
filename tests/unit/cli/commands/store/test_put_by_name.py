"""`casstore put NAME...`: components by name, several jobs for one version; a path still works."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.main import invoke

TOML = """\
[store]
url = "./store"
[components.core]
root = "build/core"
include = ["**"]
[components.agent]
root = "build/agent"
include = ["**"]
[components.papers]
root = "papers"
include = ["**"]
shared = "texts"
[products.core]
components = ["core", "papers"]
format = "zip"
[products.agent]
components = ["agent", "papers"]
format = "zip"
[channels.dev]
approvals = 0
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CASSTORE_KEY", "key.pem")
    monkeypatch.delenv("CASSTORE_STORE", raising=False)
    for name in ("build/core/a", "build/agent/b", "papers/c", "core/plain", "other/plain"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "casstore.toml").write_text(TOML)
    assert invoke(["keys", "generate", "key.pem", "--no-passphrase"]) == 0
    assert invoke(["init", "--key", "key.pem"]) == 0
    return tmp_path


def recorded(capsys: pytest.CaptureFixture[str]) -> set[tuple[str, str]]:
    capsys.readouterr()
    assert invoke(["ls", "--json"]) == 0
    return {(row["component"], row["version"]) for row in json.loads(capsys.readouterr().out)["components"]}


def test_several_jobs_put_one_component_each(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for names in (["core"], ["agent", "papers"]):
        assert invoke(["put", *names, "--release-version", "1.0.0"]) == 0
    assert recorded(capsys) == {("core", "1.0.0"), ("agent", "1.0.0"), ("papers", "1.0.0")}
    assert invoke(["release", "1.0.0"]) == 0


def test_what_is_missing_is_told_as_it_is_typed(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["put", "core", "agent", "--release-version", "1.0.0"]) == 0
    assert invoke(["release", "1.0.0"]) == 8
    assert "casstore put papers --release-version 1.0.0" in capsys.readouterr().err


def test_a_name_of_a_component_wins(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["put", "core"]) == 2
    assert "./NAME" in capsys.readouterr().err
    assert invoke(["put", "core", "--release-version", "1"]) == 0
    assert recorded(capsys) == {("core", "1")}


def test_a_folder_still_works(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in ("./core", "core/", "other", "core/plain", str(here / "core")):
        assert invoke(["put", path]) == 0, path
    assert recorded(capsys) == set()


def test_components_and_paths_are_two_commands(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["put", "core", "other"]) == 2
    assert "'other' is no component" in capsys.readouterr().err
    assert invoke(["put", "core", "other", "--release-version", "1"]) == 8
    assert invoke(["put", "core", "--all", "--release-version", "1"]) == 2
    assert invoke(["put"]) == 2
    assert recorded(capsys) == set()


def test_without_a_casstore_toml_every_name_is_a_path(here: Path) -> None:
    (here / "casstore.toml").unlink()
    assert invoke(["--store", "./store", "put", "core"]) == 0
