"""update by consumer.toml: hooks, health checks and the way back, as people type it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from bundlers.installing import updating
from cli.main import invoke
from tests.support.typed_line import Clock, begun, said, shipped, told, typed

ROOT = Path(__file__).resolve().parents[5]
CONSUMER = """\
[products.one]
from = "./public"
channel = "prod"
into = "there"
"""
CHECK = 'after = ["./after"]\ncheck = ["./check"]\ncheck_tries = 2\nstop = ["./stop"]\n'


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock.turned(monkeypatch)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: Clock) -> Path:
    """1.0.0 is published; consumer.toml names it, nothing is installed."""
    monkeypatch.setattr(updating.time, "sleep", lambda _: None)
    begun(tmp_path, monkeypatch)
    shipped(tmp_path, clock, "1.0.0")
    (tmp_path / "consumer.toml").write_text(CONSUMER)
    return tmp_path


def checked(here: Path, bad: str = "none") -> None:
    """A health check that the versions named `bad` fail; each command notes that it was run."""
    say = f"echo $0 $CASSTORE_VERSION >> {here}/ran"
    run = f"{here}/there/current/tool"
    commands = {
        "after": f"#!/bin/sh\n{say}\n",
        "check": f"#!/bin/sh\n{say}\ncase $({run}) in {bad}) echo it is ill >&2; exit 1;; esac\n",
        "stop": f"#!/bin/sh\n{say}\n",
    }
    for name, text in commands.items():
        (here / name).write_text(text)
        (here / name).chmod(0o755)
    settings = CONSUMER + CHECK.replace("./", f"{here}/")
    (here / "consumer.toml").write_text(settings)


def ran(here: Path) -> list[str]:
    path = here / "ran"
    lines = path.read_text().splitlines() if path.exists() else []
    path.unlink(missing_ok=True)
    return [line.rpartition("/")[2] for line in lines]


def in_force(here: Path) -> str:
    return subprocess.run([here / "there/current/tool"], capture_output=True, text=True, check=True).stdout.strip()


def one(capsys: pytest.CaptureFixture[str], line: str = "update --all", code: int = 0) -> dict[str, object]:
    (row,) = told(capsys, line, code)["products"]
    return row  # type: ignore[no-any-return]


def test_it_is_brought_to_where_the_channel_is(here: Path, capsys: pytest.CaptureFixture[str], clock: Clock) -> None:
    assert one(capsys, "update one --dry-run")["outcome"] == "would update" and not (here / "there").exists()
    row = one(capsys)
    assert (row["outcome"], row["version"], row["before"], in_force(here)) == ("updated", "1.0.0", None, "1.0.0")
    assert one(capsys)["outcome"] == "unchanged"
    shipped(here, clock, "1.1.0")
    assert "one: updated, 1.1.0 (was 1.0.0)" in said(capsys, "update --all")
    (here / "consumer.toml").write_text(CONSUMER + "keep = 1\n")
    row = one(capsys)
    assert row["outcome"] == "unchanged" and len(row["pruned"]) == 1  # type: ignore[arg-type]


def test_commands_are_run_after_a_switch_and_only_then(
    here: Path, capsys: pytest.CaptureFixture[str], clock: Clock
) -> None:
    checked(here)
    assert one(capsys)["outcome"] == "updated" and ran(here) == ["after 1.0.0", "check 1.0.0"]
    assert one(capsys)["outcome"] == "unchanged" and ran(here) == []
    assert one(capsys, "update --all --dry-run")["outcome"] == "unchanged" and ran(here) == []


def test_a_version_that_is_ill_gives_way_to_the_one_before(
    here: Path, capsys: pytest.CaptureFixture[str], clock: Clock
) -> None:
    checked(here, bad="1.1.0")
    typed("update --all")
    shipped(here, clock, "1.1.0")
    ran(here)
    row = one(capsys, code=10)
    assert (row["outcome"], row["version"], row["before"]) == ("returned", "1.0.0", "1.1.0")
    assert "exit code 1: it is ill" in str(row["why"]) and in_force(here) == "1.0.0"
    assert ran(here) == ["after 1.1.0", "check 1.1.0", "check 1.1.0", "after 1.0.0", "check 1.0.0"]
    held = one(capsys, code=10)
    assert (held["outcome"], held["version"]) == ("held back", "1.0.0") and ran(here) == []
    assert one(capsys, "update --all --again", code=10)["outcome"] == "returned"
    shipped(here, clock, "1.2.0")
    assert one(capsys)["version"] == "1.2.0" and in_force(here) == "1.2.0"
    assert one(capsys)["outcome"] == "unchanged"


def test_never_back_to_a_revoked_one(here: Path, capsys: pytest.CaptureFixture[str], clock: Clock) -> None:
    checked(here, bad="1.1.0")
    typed("update --all")
    assert invoke(["revoke", "1.0.0", "--reason", "a hole", "--confirm"]) == 0
    shipped(here, clock, "1.1.0")
    ran(here)
    row = one(capsys, code=10)
    assert (row["outcome"], row["version"]) == ("stopped", None)
    assert "1.0.0, was revoked: a hole" in str(row["why"])
    assert not os.path.lexists(here / "there/current") and ran(here)[-1] == "stop 1.1.0"
    assert one(capsys, code=10)["outcome"] == "held back" and not os.path.lexists(here / "there/current")
    shipped(here, clock, "1.2.0")
    assert one(capsys)["version"] == "1.2.0" and in_force(here) == "1.2.0"


def test_the_first_version_that_is_ill_leaves_nothing_in_force(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checked(here, bad="1.0.0")
    row = one(capsys, code=10)
    assert row["outcome"] == "stopped" and "there is no version before" in str(row["why"])
    checked(here)
    assert one(capsys, "update --all --again")["outcome"] == "updated" and in_force(here) == "1.0.0"


def test_killed_before_its_check_it_is_checked_by_the_next_run(
    here: Path, capsys: pytest.CaptureFixture[str], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked(here, bad="1.1.0")
    typed("update --all")
    shipped(here, clock, "1.1.0")

    def killed(*_: object) -> str:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(updating.Update, "_prove", killed)
        assert invoke(["update", "--all"]) == 130
    assert in_force(here) == "1.1.0"
    assert one(capsys, code=10)["outcome"] == "returned" and in_force(here) == "1.0.0"


def test_what_is_too_old_is_not_taken(here: Path, capsys: pytest.CaptureFixture[str], clock: Clock) -> None:
    (here / "consumer.toml").write_text(CONSUMER + 'fresh = "36h"\n')
    assert one(capsys)["outcome"] == "updated"
    clock.time += timedelta(days=1)
    row = one(capsys, code=3)
    assert row["outcome"] == "failed" and "all that fresh allows" in str(row["why"]) and row["version"] == "1.0.0"
    shipped(here, clock, "1.1.0")
    assert one(capsys)["version"] == "1.1.0"


def test_pins_hold_and_one_that_fails_stops_no_other(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = CONSUMER.replace("one]", "pinned]").replace("there", "pinned") + (
        f'product = "one"\ntrust_root = "sha256:{"0" * 64}"\n'
    )
    gone = CONSUMER.replace("one]", "gone]").replace("./public", "./nowhere").replace("there", "gone")
    (here / "consumer.toml").write_text(wrong + gone + CONSUMER)
    rows = {row["name"]: row for row in told(capsys, "update --all", 3)["products"]}
    assert rows["pinned"]["exitCode"] == 3 and rows["gone"]["outcome"] == "failed"
    assert rows["one"]["outcome"] == "updated" and in_force(here) == "1.0.0"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("products = 1\n", "consumer.toml:1"),
        (CONSUMER + "hook = []\n", "there is no such key"),
        (CONSUMER + 'fresh = "soon"\n', "not a length of time"),
        (CONSUMER + 'trust_root = "abc"\n', "trust_root"),
        (CONSUMER.replace('channel = "prod"\n', ""), "is missing"),
        ("[products", "is no TOML"),
    ],
)
def test_mistakes_are_told(here: Path, capsys: pytest.CaptureFixture[str], text: str, words: str) -> None:
    (here / "consumer.toml").write_text(text)
    assert words in said(capsys, "update --all", 2)


def test_who_is_meant_must_be_said(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "--all" in said(capsys, "update", 2)
    assert "it has: one" in said(capsys, "update two", 2)
    (here / "consumer.toml").unlink()
    assert "no consumer.toml" in said(capsys, "update --all", 2)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
def test_the_units_are_what_systemd_takes(tmp_path: Path) -> None:
    for unit in (ROOT / "docs/systemd").iterdir():
        text = unit.read_text().replace("/usr/local/bin/casstore", sys.executable)
        (tmp_path / unit.name).write_text(text.replace("Documentation=man:casstore-update(1)\n", ""))
    units = [str(path) for path in tmp_path.iterdir()]
    done = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True)
    ours = [line for line in (done.stdout + done.stderr).splitlines() if "casstore" in line]
    assert len(units) == 2 and done.returncode == 0 and ours == [], done.stderr
