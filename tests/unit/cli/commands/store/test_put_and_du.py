"""What put and du tell people; a bar on a terminal, none in a pipe."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest


def casstore(*arguments: str, at: Path) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "cli.main", "--store", str(at / "store"), *arguments]
    return subprocess.run(command, capture_output=True, check=True)


@pytest.fixture
def work(tmp_path: Path) -> Path:
    casstore("init", at=tmp_path)
    folder = tmp_path / "work"
    folder.mkdir()
    for number in range(5):
        (folder / str(number)).write_bytes(b"%d" % number * 1000)
    return tmp_path


def test_put_tells_what_was_new_what_was_known_and_what_it_cost(work: Path) -> None:
    told = casstore("put", str(work / "work"), at=work)
    assert told.stdout.startswith(b"sha256:") and told.stdout.count(b"\n") == 1
    assert told.stderr.startswith(b"5 files, 4.9 KiB: 5 new (4.9 KiB, stored in ")
    assert b", 0 known; " in told.stderr and told.stderr.endswith(b"/s\n")
    (work / "work" / "5").write_bytes(b"other")
    again = casstore("put", str(work / "work"), at=work)
    assert again.stderr.startswith(b"6 files, 4.9 KiB: 1 new (5 B, stored in ") and b", 5 known; " in again.stderr
    assert b"\x1b" not in told.stderr + again.stderr
    as_json = json.loads(casstore("put", "--json", str(work / "work"), at=work).stdout)["stored"][0]
    assert (as_json["files"], as_json["newFiles"], as_json["storedBytes"]) == (6, 0, 0)


def test_put_shows_a_bar_on_a_terminal(work: Path) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "cli.main", "--store", str(work / "store"), "put", str(work / "work")]
    environ = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=theirs, env=environ) as process:
        os.close(theirs)
        shown = b""
        try:
            while part := os.read(ours, 4096):
                shown += part
        except OSError:
            pass  # the other end was closed
        finally:
            os.close(ours)
        assert process.wait() == 0
    assert b"put" in shown and b"5 new (" in shown and b"\x1b[" in shown


def test_du_of_a_store_without_releases(work: Path) -> None:
    casstore("put", str(work / "work"), at=work)
    found = json.loads(casstore("du", "--json", at=work).stdout)
    packs = sum(path.stat().st_size for path in (work / "store").rglob("*.pack"))
    assert found == {"releases": [], "bytes": 0, "storedBytes": packs}
