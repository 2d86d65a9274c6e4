"""casstore run: from sources to a release, and nothing at all where a gate or a build fails."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.main import invoke

SECRET = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
CONFIG = """
[store]
url = "./store"
[components.tool]
include = ["out/**"]
build = ["sh", "-c", "mkdir -p out && sort src/main.txt > out/tool && {more}"]
inputs = ["src/**"]
[components.docs]
include = ["docs/**"]
[products.app]
components = ["tool", "docs"]
format = "tar.gz"
[channels.dev]
approvals = 0
require = ["gate:secrets"]
[gates]
secrets = {{}}
{gates}
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "line"
    for folder in ("src", "docs"):
        (place / folder).mkdir(parents=True)
    (place / "src" / "main.txt").write_text("b\na\n")
    (place / "docs" / "page").write_text("page\n")
    monkeypatch.chdir(place)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("CASSTORE_STORE", "CASSTORE_KEY", "CASSTORE_PASSWORD", "XDG_CACHE_HOME", "XDG_STATE_HOME", "CI"):
        monkeypatch.delenv(name, raising=False)
    assert invoke(["keys", "generate", "key.pem", "--no-passphrase"]) == 0
    configure()
    assert invoke(["init", "--key", "key.pem"]) == 0
    return place


def configure(more: str = "true", gates: str = "") -> None:
    Path("casstore.toml").write_text(CONFIG.format(more=more, gates=gates))


def run(*more: str) -> int:
    return invoke(["run", "1.0.0", "--key", "key.pem", *more])


def stored(here: Path) -> set[str]:
    """Every file of the store but the index, and the entries of the ledger with them."""
    return {
        str(path.relative_to(here / "store"))
        for path in (here / "store").rglob("*")
        if path.is_file() and path.relative_to(here / "store").parts[0] != "index"
    }


def test_from_sources_to_a_release(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    configure(gates='lint = { command = ["grep", "-q", "a", "src/main.txt"], phase = "sources" }')
    assert run("--out", "dist") == 0
    told = capsys.readouterr()
    assert "gate lint: passed on sources" in told.err and "gate secrets: passed on sources" in told.err
    assert "1.0.0 is released" in told.out and (here / "dist" / "app-1.0.0.tar.gz").is_file()
    assert told.err.count("built in") == 1, "each build runs once"
    assert invoke(["promote", "1.0.0", "--to", "dev", "--key", "key.pem"]) == 0
    assert run() == 0, "the same again"
    (here / "docs" / "page").write_text("other\n")
    assert run() == 9


@pytest.mark.parametrize(
    ("spoil", "code", "told"),
    [
        ("source", 10, "src/main.txt"),
        ("lint", 10, "lint"),
        ("build", 1, "build"),
        ("output", 10, "out/leak"),
        ("staged", 10, "late"),
    ],
)
def test_nothing_is_put_when_something_fails(
    here: Path, capsys: pytest.CaptureFixture[str], spoil: str, code: int, told: str
) -> None:
    if spoil == "source":
        (here / "src" / "main.txt").write_text(f"token = {SECRET}\n")
    command = {"lint": "sources", "staged": "staged"}.get(spoil)
    gate = f'{told} = {{ command = ["false"], phase = "{command}" }}' if command else ""
    leak = "printf '%s%s' ghp_ " + SECRET[4:] + " > out/leak"
    configure({"build": "false", "output": leak}.get(spoil, "true"), gate)
    before = stored(here)
    capsys.readouterr()
    assert run("--out", "dist", "--blockers", "blockers.json") == code
    assert told in capsys.readouterr().err
    assert stored(here) == before and not (here / "dist").exists() and not (here / "out").exists()


def test_a_dry_run_puts_nothing(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = stored(here)
    capsys.readouterr()
    assert run("--dry-run", "--json") == 0
    value = json.loads(capsys.readouterr().out)
    assert value["put"] is None and value["release"]["release"] is None
    assert stored(here) == before


def test_some_components_and_the_others_of_an_earlier_release(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run() == 0
    (here / "docs" / "page").write_text("page two\n")
    capsys.readouterr()
    assert invoke(["run", "1.1.0", "docs", "--from", "1.0.0", "--key", "key.pem"]) == 0
    assert "built in" not in capsys.readouterr().err


def test_a_gate_on_sources_is_asked_by_release_too(here: Path) -> None:
    configure(gates='lint = { command = ["false"], phase = "sources" }')
    assert invoke(["put", "--all", "--release-version", "1.0.0", "--key", "key.pem"]) == 0
    assert invoke(["release", "1.0.0", "--key", "key.pem"]) == 10
