"""casstore gc and casstore pin, as people run them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

CONFIG = """
[store]
url = "../store"
[components.core]
include = ["core/**"]
[products.core]
components = ["core"]
format = "tar.gz"
[channels.dev]
approvals = 0
"""


class Shell:
    """A project folder with a key and a store."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "project"
        (self.folder / "core").mkdir(parents=True)
        (self.folder / "casstore.toml").write_text(CONFIG)
        self.env = {**os.environ, "CASSTORE_KEY": "me.pem", "CASSTORE_PASSWORD": "", "HOME": str(folder)}
        self.env.pop("XDG_STATE_HOME", None)
        self("keys", "generate", "me.pem", "--no-passphrase")
        self("init", "--key", "me.pem")

    def __call__(self, *arguments: str, code: int = 0) -> str:
        command = [sys.executable, "-m", "cli.main", *arguments]
        done = subprocess.run(command, cwd=self.folder, env=self.env, capture_output=True, text=True, timeout=60)
        assert done.returncode == code, done.stdout + done.stderr
        self.err = done.stderr
        return done.stdout

    def put(self, version: str) -> str:
        (self.folder / "core" / "a").write_bytes(os.urandom(50_000))
        told = json.loads(self("put", "--all", "--replace", "--release-version", version, "--json"))
        return str(told["components"][0]["tree"])


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def test_from_dry_run_to_freed_space(shell: Shell) -> None:
    old, new = shell.put("1.0"), shell.put("1.0")
    told = shell("gc", "--grace", "0", "--keep-last", "1")
    assert "would condemn sha256:" in told
    assert "nothing was changed" in shell.err
    assert json.loads(shell("gc", "--json"))["done"] is False
    done = json.loads(shell("gc", "--grace", "0", "--keep-last", "1", "--confirm", "--json"))
    assert done["done"]
    assert done["freed"] > 50_000
    assert done["ledgers"] == ["main"]
    shell("ls", old, code=8)
    assert "core/a" in shell("ls", new) or "a" in shell("ls", new)
    assert "whole" in shell("fsck")
    assert "0 void" in shell("ledger", "verify") + shell.err


def test_why_and_pins(shell: Shell) -> None:
    tree = shell.put("1.0")
    told = json.loads(shell("gc", "--why", tree, "--json"))
    assert told["kept"]
    assert told["paths"] == [["component core of ledger main, entry 1 (among the last 1000)"]]
    assert "kept: needed" in shell("gc", "--why", tree)
    assert "not kept" in shell("gc", "--why", tree, "--keep-last", "0")
    pin = json.loads(shell("pin", "add", tree, "--reason", "customer 17", "--json"))
    assert "customer 17" in shell("pin", "list")
    assert f"pin {pin['token'][:8]}: customer 17" in shell("gc", "--why", tree, "--keep-last", "0")
    assert json.loads(shell("pin", "remove", pin["token"][:8], "--json"))["removed"] == [pin]
    shell("pin", "remove", pin["token"], code=8)
    shell("pin", "add", "sha256:" + "0" * 64, code=8)
    shell("gc", "--why", "sha256:" + "0" * 64, code=8)


@pytest.mark.parametrize("grace", ["7", "d", "7w", "-1d", ""])
def test_a_grace_that_is_none(shell: Shell, grace: str) -> None:
    shell("gc", f"--grace={grace}", code=2)
