"""`casstore init` where there is no casstore.toml: asked for on a terminal, --yes in a pipe."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from cli.main import invoke


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "app"
    (place / "build" / "bin").mkdir(parents=True)
    (place / "build" / "bin" / "hello").write_text("#!/bin/sh\necho hello\n")
    monkeypatch.chdir(place)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("CASSTORE_STORE", "CASSTORE_KEY", "CASSTORE_PASSWORD", "XDG_CACHE_HOME", "XDG_STATE_HOME", "CI"):
        monkeypatch.delenv(name, raising=False)
    assert invoke(["keys", "generate", "key.pem", "--no-passphrase"]) == 0
    return place


def answered(here: Path, answer: bytes, *words: str) -> tuple[int, str]:
    """A command at a terminal, with what a person types."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "cli.main", *words]
    with subprocess.Popen(command, cwd=here, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        os.write(ours, answer)
        shown = b""
        try:
            while part := os.read(ours, 4096):
                shown += part
        except OSError:
            pass  # the other end was closed
        finally:
            os.close(ours)
        return process.wait(), shown.decode()


def test_one_person_with_one_key_gets_to_the_end(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["init", "--key", "key.pem", "--yes"]) == 0
    assert "put --all --release-version 1.0.0 --key key.pem" in capsys.readouterr().err
    for line in (
        "put --all --release-version 1.0.0 --key key.pem",
        "release 1.0.0 --key key.pem",
        "promote 1.0.0 --to dev --key key.pem",
        "promote 1.0.0 --to prod --key key.pem",
        "publish prod --to public --key key.pem",
        "verify ./public --channel prod",
        "install app --from ./public --channel prod --into ./installed",
    ):
        assert invoke(line.split()) == 0, line
    assert (here / "installed" / "current" / "bin" / "hello").read_text() == "#!/bin/sh\necho hello\n"


def test_a_pipe_is_not_asked(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["init", "--key", "key.pem"]) == 2
    assert "casstore init --yes" in capsys.readouterr().err
    assert not (here / "casstore.toml").exists() and not (here / "store").exists()
    assert invoke(["init", "--yes", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["config"] == str(here / "casstore.toml")


def test_a_named_store_needs_no_file(here: Path) -> None:
    assert invoke(["--store", "elsewhere", "init", "--key", "key.pem"]) == 0
    assert not (here / "casstore.toml").exists()
    assert invoke(["--store", "elsewhere", "ledger", "verify"]) == 0


def test_a_named_store_stands_in_the_starter(here: Path) -> None:
    assert invoke(["--store", "../elsewhere", "init", "--yes"]) == 0
    assert 'url = "../elsewhere"' in (here / "casstore.toml").read_text()
    assert (here.parent / "elsewhere" / "casstore.json").exists()


def test_a_file_that_is_there_is_left_alone(here: Path) -> None:
    (here / "casstore.toml").write_text('[store]\nurl = "./mine"\n')
    assert invoke(["init", "--yes"]) == 0
    assert (here / "casstore.toml").read_text() == '[store]\nurl = "./mine"\n'
    below = here / "build"
    os.chdir(below)
    assert invoke(["init", "--yes"]) == 9 and not (below / "casstore.toml").exists()


def test_a_key_that_is_not_there_is_made_first(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["init", "--key", "other.pem", "--yes"]) == 2
    assert "hint: make a key first: casstore keys generate other.pem" in capsys.readouterr().err
    assert not (here / "casstore.toml").exists()


def test_a_key_that_cannot_hold_every_role_is_told_before_anything_is_made(here: Path) -> None:
    assert invoke(["keys", "generate", "ec.pem", "--no-passphrase", "--algorithm", "ecdsa-p256"]) == 0
    assert invoke(["init", "--key", "ec.pem", "--yes"]) == 2
    assert not (here / "casstore.toml").exists() and not (here / "store").exists()


@pytest.mark.parametrize(("answer", "code"), [(b"\n", 0), (b"y\n", 0), (b"n\n", 2), (b"\x04", 2)])
def test_a_person_is_shown_the_file_and_asked(here: Path, answer: bytes, code: int) -> None:
    done, shown = answered(here, answer, "init")
    assert done == code, shown
    assert "[components.app]" in shown and "[Y/n]" in shown
    assert (here / "casstore.toml").exists() == (code == 0)
