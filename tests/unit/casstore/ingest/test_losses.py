"""What is dropped, changed or left out is told once, in the summary and in --json; --strict makes each an error."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from cli.main import invoke

CONFIG = """\
[store]
url = "./store"
[components.a]
include = ["**"]
exclude = EXCLUDE
root = "in"
[products.p]
components = ["a"]
format = "tar.gz"
[channels.dev]
approvals = 0
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("CASSTORE_STORE", "CASSTORE_PASSWORD", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CASSTORE_KEY", "key.pem")
    (tmp_path / "in").mkdir()
    write(tmp_path / "in" / "plain")
    (tmp_path / "casstore.toml").write_text(CONFIG.replace("EXCLUDE", "[]"))
    assert invoke(["keys", "generate", "key.pem", "--no-passphrase"]) == 0
    assert invoke(["init", "--key", "key.pem"]) == 0
    return tmp_path


def write(path: Path, mode: int = 0o644) -> None:
    path.write_text("content")
    path.chmod(mode)


def kinds(told: str) -> dict[str, list[str]]:
    return {row["kind"]: row["examples"] for row in json.loads(told)["stored"][0]["losses"]}


def test_modes_that_are_not_kept(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(here / "in" / "secret", 0o600)
    write(here / "in" / "group", 0o640)
    write(here / "in" / "suid", 0o4755)
    write(here / "in" / "shared", 0o664)
    (here / "in" / "private").mkdir(mode=0o700)
    write(here / "in" / "private" / "x")
    capsys.readouterr()
    assert invoke(["put", "./in", "--json"]) == 0
    assert kinds(capsys.readouterr().out) == {
        "private-mode": ["group", "private", "secret"],
        "special-mode": ["suid"],
    }
    assert invoke(["put", "./in"]) == 0
    assert "3 files or folders are private" in capsys.readouterr().err
    assert invoke(["put", "./in"]) == 0, "told again when nothing has to be read"
    assert "3 files or folders are private" in capsys.readouterr().err
    assert invoke(["put", "./in", "--strict"]) == 1
    assert "nothing was recorded" in capsys.readouterr().err


def test_many_are_told_in_one_line(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(10):
        write(here / "in" / f"s{number}\n", 0o600)
    assert invoke(["put", "./in"]) == 0
    (line,) = [one for one in capsys.readouterr().err.splitlines() if one.startswith("warning")]
    assert line.endswith("readable for all: s0\\n, s1\\n, s2\\n and 7 more")


def test_capabilities(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(here / "in" / "ping", 0o755)
    given = bytes.fromhex("0100000200200000000000000000000000000000")
    try:
        os.setxattr(here / "in" / "ping", "security.capability", given)
    except OSError:
        pytest.skip("capabilities cannot be set here")
    capsys.readouterr()
    assert invoke(["put", "./in", "--json"]) == 0
    assert kinds(capsys.readouterr().out) == {"capability": ["ping"]}


def test_nothing_lost_says_nothing(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(here / "in" / "program", 0o755)
    (here / "in" / "link").symlink_to("plain")
    assert invoke(["put", "./in", "--strict"]) == 0
    assert "warning" not in capsys.readouterr().err


def test_an_exclude_that_hits_nothing(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "casstore.toml").write_text(CONFIG.replace("EXCLUDE", '["*.pyc", ".env", "plain2"]'))
    write(here / "in" / ".env")
    assert invoke(["put", "a", "--release-version", "1.0.0", "--strict"]) == 1
    assert invoke(["ls", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["components"] == []
    assert invoke(["put", "a", "--release-version", "1.0.0"]) == 0
    assert "component a: 2 globs exclude nothing: *.pyc, plain2" in capsys.readouterr().err


def test_empty_folders_of_a_product(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "in" / "var" / "log").mkdir(parents=True)
    (here / "in" / "etc").mkdir()
    write(here / "in" / "etc" / "x")
    (here / "in" / "z").mkdir()
    assert invoke(["put", "a", "--release-version", "1.0.0", "--strict"]) == 0, "a tree keeps them"
    capsys.readouterr()
    assert invoke(["release", "1.0.0", "--out", "dist", "--strict"]) == 1
    assert "2 empty folders are in no archive: var/log, z" in capsys.readouterr().err
    assert not (here / "dist").exists()
    assert invoke(["release", "1.0.0", "--out", "dist", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["dropped"] == {"p": ["var/log", "z"]}
    assert b"var" not in subprocess.run(["tar", "tzf", "dist/p-1.0.0.tar.gz"], capture_output=True, check=True).stdout


@pytest.mark.parametrize("form", ["tar.gz", "tar.zst", "zip", "oci"])
def test_a_product_keeps_private_files_and_empty_folders(
    form: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rules = """\
mode = { "etc/secret.conf" = "0600", "run" = "0750" }
folders = { "var/*" = "0755", "private" = "0700" }"""
    text = CONFIG.replace("EXCLUDE", "[]").replace('root = "in"', f'root = "in"\n{rules}')
    platform = 'format = "oci"\nplatform = "linux-x86_64"' if form == "oci" else f'format = "{form}"'
    extra = '[destinations.public]\nurl = "./public"\n'
    (here / "casstore.toml").write_text(text.replace('format = "tar.gz"', platform) + extra)
    (here / "in" / "etc").mkdir()
    write(here / "in" / "etc" / "secret.conf", 0o600)
    write(here / "in" / "run", 0o755)
    for path in ("var/log", "private"):
        (here / "in" / path).mkdir(parents=True)
    assert invoke(["put", "a", "--release-version", "1.0.0"]) == 0
    assert invoke(["release", "1.0.0", "--out", "dist", "--strict"]) == 0, "nothing is dropped"
    assert invoke(["verify", "dist"]) == 0
    assert invoke(["promote", "1.0.0", "--to", "dev"]) == 0
    assert invoke(["get", "dev/p", "got"]) == 0
    modes = {"etc/secret.conf": 0o600, "run": 0o750, "plain": 0o644, "var/log": 0o755, "private": 0o700}
    assert found(here / "got", modes) == modes
    capsys.readouterr()
    assert invoke(["ls", "dev/p", "--json"]) == 0
    rows = {row["path"]: row["mode"] for row in json.loads(capsys.readouterr().out)["entries"]}
    assert rows == {(f"{path}/" if mode in (0o700, 0o755) else path): f"{mode:04o}" for path, mode in modes.items()}
    assert invoke(["export", "1.0.0", "kit.tar"]) == 0
    assert invoke(["verify", "kit.tar", "--offline"]) == 0
    if form == "oci":
        return
    assert invoke(["publish", "dev", "--to", "public"]) == 0
    install = ["install", "p", "--from", "public", "--channel", "dev", "--into", "opt"]
    check = ["install", "--verify-installed", "--into", "opt"]
    assert invoke(install) == 0
    installed = here / "opt" / "current"
    assert found(installed, modes) == modes
    (installed / "var" / "log" / "today").write_text("a line")
    assert invoke(check) == 0, "it may be filled"
    if form != "tar.gz":
        return
    for spoil in (
        lambda: (installed / "etc" / "secret.conf").chmod(0o644),
        lambda: (installed / "private").chmod(0o755),
        lambda: (installed / "private").rmdir(),
        lambda: ((installed / "private").rmdir(), (installed / "private").symlink_to("var")),
    ):
        spoil()
        assert invoke(check) == 3
        assert invoke(install) == 0
        assert found(installed, modes) == modes, "it is mended"


def test_empty_folders_come_and_go(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = CONFIG.replace("EXCLUDE", "[]").replace('root = "in"', 'root = "in"\nfolders = { "**" = "0755" }')
    (here / "casstore.toml").write_text(text + '[destinations.public]\nurl = "./public"\n')
    install = ["install", "p", "--from", "public", "--channel", "dev", "--into", "opt"]
    for version, folder in (("1.0.0", "old"), ("1.1.0", "new")):
        (here / "in" / folder / "deep").mkdir(parents=True)
        assert invoke(["put", "a", "--release-version", version]) == 0
        assert invoke(["release", version]) == 0
        assert invoke(["promote", version, "--to", "dev"]) == 0
        assert invoke(["publish", "dev", "--to", "public"]) == 0
        assert invoke(install) == 0
        (here / "in" / folder / "deep").rmdir()
        (here / "in" / folder).rmdir()
    (here / "in" / "edge").mkdir()
    (here / "casstore.toml").write_text(text.replace("format =", 'never = ["edge"]\nformat ='))
    assert invoke(["put", "a", "--release-version", "1.2.0"]) == 0
    assert invoke(["release", "1.2.0"]) == 11, "its name counts"
    current = here / "opt" / "current"
    assert sorted(str(path.relative_to(current)) for path in current.rglob("*")) == ["new", "new/deep", "plain"]
    for refs in (("1.0.0", "1.1.0"), ("1.0.0/p", "1.1.0/p"), ("a@1.0.0", "a@1.1.0")):
        capsys.readouterr()
        assert invoke(["diff", *refs, "--json"]) == 0
        rows = [row for row in json.loads(capsys.readouterr().out)["files"] if row["path"] != "plain"]
        assert [(row["path"], row["change"]) for row in rows] == [("new/deep", "added"), ("old/deep", "removed")]
    assert invoke(["diff", "1.0.0", "1.1.0", "--patch"]) == 0
    assert "empty folder 0755" in capsys.readouterr().out
    assert invoke(["install", "--rollback", "--into", "opt"]) == 0
    assert sorted(str(path.relative_to(current)) for path in current.rglob("*")) == ["old", "old/deep", "plain"]
    assert invoke(["uninstall", "--into", "opt", "--confirm"]) == 0
    assert not (here / "opt").exists()


def found(folder: Path, modes: dict[str, int]) -> dict[str, int]:
    return {path: (folder / path).lstat().st_mode & 0o777 for path in modes}
