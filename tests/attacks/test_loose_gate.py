"""A builder who loosens his own gate: what a required gate looks at is signed, not what the builder's file says."""

from __future__ import annotations

from pathlib import Path

import pytest

from attest.digests import sha256
from attest.errors import FormatError
from attest.trust.policies import ChannelPolicy
from cli.main import invoke
from tests.support.typed_line import TOML, begun, released, said, to_prod, told, typed

SECRET = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "app"
    (place / "build" / "bin").mkdir(parents=True)
    (place / "build" / "bin" / "tool").write_text("hello\n")
    monkeypatch.chdir(place)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("CASSTORE_STORE", "CASSTORE_KEY", "CASSTORE_PASSWORD", "XDG_CACHE_HOME", "XDG_STATE_HOME", "CI"):
        monkeypatch.delenv(name, raising=False)
    assert invoke(["keys", "generate", "key.pem", "--no-passphrase"]) == 0
    assert invoke(["init", "--yes"]) == 0
    Path("store").rename("unused")
    return place


def start(extra: str = "", require: str = "") -> str:
    """The signed casstore.toml, with more gates."""
    text = Path("casstore.toml").read_text().replace("secrets = {}\n", "secrets = {}\n" + extra)
    text = text.replace('"gate:secrets"]', f'"gate:secrets"{require}]')
    Path("casstore.toml").write_text(text)
    assert invoke(["init", "--key", "key.pem"]) == 0
    return text


def released_with(loosened: str, signed: str) -> int:
    """The builder's copy of casstore.toml says something else; the promoter's is the signed one."""
    Path("casstore.toml").write_text(loosened)
    assert invoke(["put", "--all", "--release-version", "1.0.0", "--key", "key.pem"]) == 0
    assert invoke(["release", "1.0.0", "--key", "key.pem"]) == 0
    Path("casstore.toml").write_text(signed)
    assert invoke(["promote", "1.0.0", "--to", "dev", "--key", "key.pem"]) == 0
    return invoke(["promote", "1.0.0", "--to", "prod", "--key", "key.pem"])


def test_settings_that_look_away(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    signed = start()
    (here / "build" / "bin" / "tool").write_text(f"token = {SECRET}\n")
    capsys.readouterr()
    loosened = signed.replace("secrets = {}", 'secrets = { exclude = ["**"] }')
    assert released_with(loosened, signed) == 4
    told = capsys.readouterr().err
    assert "gate secrets" in told and 'exclude = ["**"] is not' in told


def test_a_script_that_checks_nothing(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("check.sh").write_text("! grep -r forbidden .\n")
    signed = start('lint = { command = ["sh", "check.sh"], folder = "." }\n', ', "gate:lint"')
    (here / "build" / "bin" / "tool").write_text("forbidden\n")
    Path("check.sh").write_text("exit 0\n")
    assert released_with(signed, signed) == 4  # the promoter's file asks for another script than the owners signed
    Path("check.sh").write_text("! grep -r forbidden .\n")
    capsys.readouterr()
    assert invoke(["promote", "1.0.0", "--to", "prod", "--key", "key.pem"]) == 4
    told = capsys.readouterr().err
    assert "gate lint" in told and "scripts = " in told


def test_an_approver_without_a_policy_of_gates_sees_the_script(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No channel asks for the gate, and casstore.toml says the same: the script alone looks away now."""
    begun(tmp_path, monkeypatch, TOML + '[gates.lint]\ncommand = ["sh", "check.sh"]\nfolder = "ci"\n')
    script = tmp_path / "ci" / "check.sh"
    script.parent.mkdir()
    script.write_text("! grep -r forbidden ../a\n")
    (tmp_path / "check.sh").write_text("a file of the same name that is not run\n")
    (tmp_path / "a" / "tool").write_text("hello\n")
    was = f'"{sha256(script.read_bytes())}"'
    released("1.0.0")
    to_prod("1.0.0")
    (tmp_path / "a" / "tool").write_text("forbidden\n")
    typed("put --all --release-version 1.1.0")
    assert invoke(["release", "1.1.0"]) == 10, "as it was, it stops the builder"
    script.write_text("exit 0\n")
    typed("release 1.1.0", "promote 1.1.0 --to dev")
    now = f'"{sha256(script.read_bytes())}"'
    for line in ("approve 1.1.0 --channel prod", "diff 1.0.0 1.1.0", "diff prod dev"):
        assert f"~ settings/gates.lint.scripts.check.sh  {was} -> {now}" in said(capsys, line), line
    changed = told(capsys, "diff 1.0.0 1.1.0")["settings"]
    assert changed == [{"key": "gates.lint.scripts.check.sh", "was": was, "now": now}]
    assert "settings/" not in said(capsys, "diff 1.1.0 1.1.0")
    assert now.strip('"') in said(capsys, "audit dev", 2), "the settings in full"


def test_as_signed_it_passes(here: Path) -> None:
    Path("check.sh").write_text("exit 0\n")
    signed = start('lint = { command = ["sh", "check.sh"] }\n', ', "gate:lint"')
    assert released_with(signed, signed) == 0


def test_a_gate_without_settings_is_no_policy() -> None:
    with pytest.raises(FormatError, match="nobody says with which settings"):
        ChannelPolicy.parse("prod", {"approvals": 0, "require": ["gate:secrets"]})
    with pytest.raises(FormatError, match="which require does not"):
        ChannelPolicy.parse("prod", {"approvals": 0, "gates": {"secrets": "any"}})
    with pytest.raises(FormatError, match="neither"):
        ChannelPolicy.parse("prod", {"approvals": 0, "require": ["gate:x"], "gates": {"x": []}})


BUILDER = "https://github.com/example/app/.github/workflows/release.yml@refs/heads/main"


def test_environment_variables_are_no_builder(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A laptop that says it is the workflow: the trust root binds its key to nothing of that kind."""
    text = Path("casstore.toml").read_text().replace('"gate:secrets"]', f'"gate:secrets"]\nbuilders = ["{BUILDER}"]')
    Path("casstore.toml").write_text(text)
    assert invoke(["init", "--key", "key.pem"]) == 0
    for name, value in {
        "GITHUB_ACTIONS": "true",
        "GITHUB_SERVER_URL": "https://github.com",
        "GITHUB_REPOSITORY": "example/app",
        "GITHUB_WORKFLOW_REF": "example/app/.github/workflows/release.yml@refs/heads/main",
        "GITHUB_REF": "refs/heads/main",
        "GITHUB_SHA": "a" * 40,
        "GITHUB_RUN_ID": "1",
    }.items():
        monkeypatch.setenv(name, value)
    capsys.readouterr()
    assert released_with(text, text) == 4
    assert invoke(["explain", "1.0.0", "--to", "prod"]) == 4
    told = capsys.readouterr()
    assert "is a claim: nothing binds" in told.out + told.err
