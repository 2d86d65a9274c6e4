"""A release line of one person, typed as commands within the test's own process: fast, and the clock can be turned.

clock = Clock.turned(monkeypatch)
begun(tmp_path, monkeypatch)
released("1.0.0")
to_prod("1.0.0")
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cli.main import invoke

TOML = """\
[store]
url = "./store"
[components.a]
include = ["**"]
root = "a"
mode = { "tool" = "0755" }
[products.one]
components = ["a"]
format = "tar.gz"
bin = ["tool"]
[channels.dev]
approvals = 0
[channels.prod]
from = "dev"
approvals = 1
separate_duties = false
rollback_approvals = 1
[destinations.public]
url = "./public"
"""
START = datetime(2026, 1, 1, 9, 0, tzinfo=UTC)


class Clock:
    """The clock of the commands, which the test turns."""

    def __init__(self) -> None:
        self.time = START

    def __call__(self) -> datetime:
        return self.time

    @staticmethod
    def turned(monkeypatch: pytest.MonkeyPatch) -> Clock:
        """In force until the test ends."""
        clock = Clock()
        monkeypatch.setattr("casstore.machine.clock.now", clock)
        return clock


def begun(folder: Path, monkeypatch: pytest.MonkeyPatch, toml: str = TOML) -> None:
    """A store, a key with every role, and an empty component."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HOME", str(folder / "home"))
    for name in ("CASSTORE_STORE", "CASSTORE_PASSWORD", "XDG_CACHE_HOME", "XDG_STATE_HOME", "CI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CASSTORE_KEY", "key.pem")
    (folder / "a").mkdir()
    (folder / "casstore.toml").write_text(toml)
    typed("keys generate key.pem --no-passphrase --algorithm ed25519", "init --key key.pem")


def released(version: str) -> None:
    """Put and release."""
    typed(f"put --all --release-version {version}", f"release {version}")


def to_prod(version: str) -> None:
    """Through dev, approved, into prod."""
    typed(f"promote {version} --to dev", f"approve {version} --channel prod", f"promote {version} --to prod")


def shipped(folder: Path, clock: Clock, version: str) -> None:
    """A release whose program says its version, published for prod; a day goes by."""
    tool = folder / "a" / "tool"
    tool.write_text(f"#!/bin/sh\necho {version}\n")
    tool.chmod(0o755)
    released(version)
    to_prod(version)
    typed("publish prod --to public --clock-checked")
    clock.time += timedelta(days=1)


def typed(*lines: str) -> None:
    """Each must end well."""
    for line in lines:
        assert invoke(line.split()) == 0, line


def told(capsys: pytest.CaptureFixture[str], line: str, code: int = 0) -> Any:
    """What a command says with --json."""
    capsys.readouterr()
    assert invoke([*line.split(), "--json"]) == code, capsys.readouterr().err
    return json.loads(capsys.readouterr().out)


def said(capsys: pytest.CaptureFixture[str], line: str, code: int = 0) -> str:
    """What a command says to people, on both outputs."""
    capsys.readouterr()
    assert invoke(line.split()) == code, capsys.readouterr().err
    found = capsys.readouterr()
    return found.out + found.err
