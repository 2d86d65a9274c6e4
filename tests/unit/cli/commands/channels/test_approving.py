"""approve: what a person reads before signing, on a terminal and in a pipe; several channels; status --watch."""

from __future__ import annotations

import functools
import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from attest.digests import sha256
from tests.support.typed_line import Clock, begun, released, said, told, typed

TOML = """\
[store]
url = "./store"
[components.a]
include = ["**"]
root = "a"
[products.one]
components = ["a"]
format = "tar.gz"
[channels.dev]
approvals = 0
[channels.prod-eu]
from = "dev"
approvals = 1
separate_duties = false
[channels.prod-us]
from = "dev"
approvals = 1
separate_duties = false
"""
ROOT = Path(__file__).resolve().parents[5]
CASSTORE = [sys.executable, "-m", "cli.main"]


def bill(*packages: tuple[str, str, str]) -> bytes:
    rows = [
        {"type": "library", "name": name, "version": version, "licenses": [{"license": {"id": licence}}]}
        for name, version, licence in packages
    ]
    return json.dumps({"bomFormat": "CycloneDX", "specVersion": "1.6", "components": rows}).encode()


def sign_bill(here: Path, version: str, name: str, *packages: tuple[str, str, str]) -> None:
    (here / f"{version}.cdx.json").write_bytes(bill(*packages))
    archive = f"dist/{version}/one-{version}.tar.gz"
    typed(f"attest sign {archive} --type cyclonedx --predicate {version}.cdx.json --hand-in --out {version}.{name}")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """1.0.0 is in both channels of one level; 1.1.0 waits: a text and a binary changed, a package came."""
    Clock.turned(monkeypatch)
    begun(tmp_path, monkeypatch, TOML)
    (tmp_path / "a" / "notes.txt").write_text("one\ntwo\n")
    (tmp_path / "a" / "blob").write_bytes(b"\0" * 100)
    typed("put --all --release-version 1.0.0", "release 1.0.0 --out dist/1.0.0")
    sign_bill(tmp_path, "1.0.0", "bill", ("left", "1.0", "MIT"))
    typed("promote 1.0.0 --to dev", "approve 1.0.0 --channel prod-eu --channel prod-us")
    typed("promote 1.0.0 --to prod-eu --to prod-us")
    (tmp_path / "a" / "notes.txt").write_text("one\n\x1b[31mthree\n")
    (tmp_path / "a" / "blob").write_bytes(b"\0" * 300)
    typed("put --all --release-version 1.1.0", "release 1.1.0 --out dist/1.1.0")
    sign_bill(tmp_path, "1.1.0", "bill", ("left", "1.1", "MIT"), ("right", "2.0", "GPL-3.0-only"))
    typed("promote 1.1.0 --to dev")
    return tmp_path


def test_all_of_it_is_shown_and_nothing_signed(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = told(capsys, "ledger log")["entries"]
    shown = said(capsys, "approve 1.1.0 --channel prod-eu --channel prod-us --dry-run --key nowhere.pem")
    for row in (
        "prod-eu: 1.0.0 -> 1.1.0",
        "~ a/blob  100 -> 300 bytes",
        "+ licence GPL-3.0-only: right",
        "+ package right 2.0 (GPL-3.0-only)",
        "~ package left 1.0 (MIT) -> 1.1 (MIT)",
        "-two",
        "+\\x1b[31mthree",
        "Binary files a/a/blob and b/a/blob differ",
        "the same for prod-us",
    ):
        assert row in shown, row
    assert "policy of" not in shown and "\x1b" not in shown
    assert told(capsys, "ledger log")["entries"] == before
    one, other = told(capsys, "approve 1.1.0 --channel prod-eu --channel prod-us --dry-run")["reviews"]
    assert one["packages"] == other["packages"] and one["packages"]["added"][0]["name"] == "right"


def test_what_was_revoked_is_left_out(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A bill of materials that was signed by mistake hides nothing and adds nothing."""
    sign_bill(here, "1.1.0", "other", ("made-up", "9", "MIT"))
    assert "+ package made-up 9" in said(capsys, "approve 1.1.0 --channel prod-eu --dry-run")
    digest = sha256((here / "1.1.0.other").read_bytes())
    typed(f"revoke {digest} --kind attestation --reason mistake --confirm")
    shown = said(capsys, "approve 1.1.0 --channel prod-eu --dry-run")
    assert "made-up" not in shown and "+ package right" in shown


def test_the_policy_that_changed_since(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    toml = (here / "casstore.toml").read_text()
    (here / "casstore.toml").write_text(toml.replace("approvals = 1", "approvals = 2", 1))
    typed(
        "keys ceremony draft --out r.draft",
        "keys ceremony sign r.draft --key key.pem --out r.sig",
        "keys ceremony finish r.draft r.sig --key key.pem",
    )
    shown = said(capsys, "approve 1.1.0 --channel prod-eu --channel prod-us")
    assert "policy of prod-eu, since it was moved last:" in shown and "~ approvals: 1 -> 2" in shown
    assert "the same for" not in shown, "prod-us has another policy"
    assert "approved 1.1.0 for prod-us (promote)" in shown and "+\\x1b[31mthree" not in shown, "a pipe: no lines"
    assert "-two" in said(capsys, "approve 1.1.0 --channel prod-us --patch")


def test_licence_texts_that_came(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A whole text of a licence under such a name; a file that only moved is not new, another text is none."""
    (here / "a" / "COPYING").write_text((ROOT / "LICENSE").read_text())
    (here / "a" / "licence-notes.txt").write_text(
        "we wrote it all ourselves, on a Sunday afternoon, and ask nobody\n" * 9
    )
    released("1.2.0")
    shown = said(capsys, "approve 1.2.0 --channel prod-eu --dry-run")
    assert "+ licence text a/COPYING: Apache License" in shown and "licence text a/licence-notes" not in shown
    typed("promote 1.2.0 --to dev")
    (here / "a" / "legal").mkdir()
    (here / "a" / "COPYING").rename(here / "a" / "legal" / "COPYING")
    released("1.3.0")
    shown = said(capsys, "approve 1.3.0 --channel dev --dry-run")
    assert "+ a/legal/COPYING" in shown and "licence text" not in shown


def test_a_component_that_came(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    toml = (here / "casstore.toml").read_text()
    new = '[components.b]\ninclude = ["b/**"]\n[products.one]\ncomponents = ["a", "b"]'
    (here / "casstore.toml").write_text(toml.replace('[products.one]\ncomponents = ["a"]', new))
    (here / "b").mkdir()
    (here / "b" / "readme").write_text("new here\n")
    released("1.2.0")
    shown = said(capsys, "approve 1.2.0 --channel prod-eu --dry-run")
    assert "+ b/b/readme" in shown and "+new here" in shown
    review = told(capsys, "approve 1.2.0 --channel prod-eu --dry-run")["reviews"][0]
    assert [row["path"] for row in review["alone"]] == ["b/readme"]


def test_more_files_than_anybody_reads(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from bundlers.releases import reviews

    monkeypatch.setattr(reviews, "_PATCHES", 1)
    shown = said(capsys, "approve 1.1.0 --channel prod-eu --dry-run")
    assert "... and 1 more files: casstore diff 1.0.0 1.1.0 --patch" in shown and "-two" not in shown
    assert "-two" in said(capsys, "diff 1.0.0 1.1.0 --patch")


def test_the_first_release_of_a_channel(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "a" / "notes.txt").write_text("four\n")
    released("1.2.0")
    shown = said(capsys, "approve 1.2.0 --channel dev --dry-run")
    assert "no bill of materials names them" in shown


def test_a_channel_that_moved_while_it_was_shown(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from casstore import promotion

    true = promotion.approve

    def late(*args: object, **options: object) -> object:
        return true(*args, **{**options, "seen": "sha256:" + "0" * 64})  # type: ignore[arg-type]

    monkeypatch.setattr(promotion, "approve", late)
    assert "moved while it was shown, nothing was signed" in said(capsys, "approve 1.1.0 --channel prod-eu", 9)


def on_terminal(words: str, answer: bytes, **environment: str) -> tuple[int, str]:
    """A real terminal of 24 lines; the answer is typed when it is asked for."""
    ours, theirs = pty.openpty()
    env = {**os.environ, "TERM": "xterm", "LINES": "10", "COLUMNS": "100", "PAGER": "cat", **environment}
    env.pop("CI", None)
    done = subprocess.Popen(
        [*CASSTORE, *words.split()], stdin=theirs, stdout=theirs, stderr=theirs, env=env, start_new_session=True
    )
    os.close(theirs)
    seen, until = b"", time.monotonic() + 60
    while time.monotonic() < until:
        if not select.select([ours], [], [], 0.2)[0]:
            if done.poll() is not None:
                break
            continue
        try:
            seen += os.read(ours, 65536)
        except OSError:
            break
        if seen.rstrip().endswith(b"[y/N]") and answer:
            os.write(ours, answer)
            answer = b""
    os.close(ours)
    return done.wait(30), seen.decode()


def test_on_a_terminal_it_is_read_then_asked_for(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = told(capsys, "ledger log")["entries"]
    code, seen = on_terminal("approve 1.1.0 --channel prod-eu", b"\n")
    assert code == 1 and "-two" in seen and "sign this for prod-eu? [y/N]" in seen and "approved" not in seen
    assert told(capsys, "ledger log")["entries"] == before
    code, seen = on_terminal("approve 1.1.0 --channel prod-eu", b"y\n", PAGER=f"{sys.executable} pager.py")
    assert code == 0 and "approved 1.1.0 for prod-eu" in seen
    code, seen = on_terminal("approve 1.1.0 --channel prod-us --yes", b"")
    assert code == 0 and "[y/N]" not in seen


def test_the_pager_is_the_one_that_is_named(here: Path) -> None:
    (here / "page").write_text(f"#!/bin/sh\ncat > {here}/paged\n")
    (here / "page").chmod(0o755)
    code, seen = on_terminal("approve 1.1.0 --channel prod-eu --dry-run", b"", PAGER=str(here / "page"))
    paged = (here / "paged").read_text()
    assert code == 0 and "\\x1b[31mthree" in paged and "\x1b" not in paged and "three" not in seen


def test_both_channels_of_one_level(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    typed("approve 1.1.0 --channel prod-eu --channel prod-us")
    moves = told(capsys, "promote 1.1.0 --to prod-eu --to prod-us")["moves"]
    assert [(move["channel"], move["moved"]) for move in moves] == [("prod-eu", True), ("prod-us", True)]
    assert "one file has one approval" in said(capsys, "approve 1.1.0 --channel dev --channel prod-us --out f", 2)
    assert told(capsys, "promote 1.1.0 --to prod-eu")["moved"] is False


def test_status_is_watched(here: Path) -> None:
    env = {**os.environ, "CASSTORE_TESTING": "1", "CASSTORE_NOW": "2026-01-01T10:00:00Z"}
    words = [*CASSTORE, "status", "--watch", "--every", "0.2"]
    interrupted = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # a job in the background ignores it
    watching = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=env, preexec_fn=interrupted)
    assert watching.stdout is not None
    seen = []
    while "run: casstore approve" not in (seen or [""])[-1]:
        seen.append(watching.stdout.readline())
        assert seen[-1], "it ended by itself"
    assert seen[0].startswith("at 2026-01-01 10:00:00Z:") and "missing approvals" in "".join(seen)
    typed("approve 1.1.0 --channel prod-eu")
    seen = []
    while "run: casstore promote 1.1.0 --to prod-eu" not in (seen or [""])[-1]:
        seen.append(watching.stdout.readline())
        assert seen[-1], "it ended by itself"
    assert any(row.startswith("changed, ") for row in seen)
    watching.send_signal(signal.SIGINT)
    assert watching.wait(30) == 0


def test_watched_and_json_are_two_things(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "--json is one object" in said(capsys, "status --watch --json", 2)
