"""Where channels stand, stood, how they differ and what waits, as people type it."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest

from cli.main import invoke
from tests.support.typed_line import Clock, begun, released, said, to_prod, told, typed


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock.turned(monkeypatch)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: Clock) -> Path:
    """1.0.0 went to prod on the first of January, 1.1.0 on the second."""
    begun(tmp_path, monkeypatch)
    for version in ("1.0.0", "1.1.0"):
        (tmp_path / "a" / "tool").write_text(f"tool {version}\n")
        released(version)
        to_prod(version)
        clock.time += timedelta(days=1)
    return tmp_path


def back(*more: str) -> int:
    return invoke(["rollback", "prod", "--reason", "it crashes", *more])


def test_the_log_names_rollbacks_and_unpins(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    typed("approve 1.0.0 --channel prod --action rollback")
    assert back("--confirm") == 0
    typed("unpin prod --reason mended")
    rows = told(capsys, "channel log prod")["history"]
    assert [(row["action"], row["version"], row["pinned"]) for row in rows] == [
        ("promote", "1.0.0", False),
        ("promote", "1.1.0", False),
        ("rollback", "1.0.0", True),
        ("unpin", "1.0.0", False),
    ]
    assert rows[2]["approvers"], "a rollback that asked for an approval names who gave it"
    text = said(capsys, "channel log prod")
    assert "rollback" in text and "it crashes" in text and "unpin" in text
    assert "unpin" in said(capsys, "channel")


def test_what_was_rolled_back_is_shown_wherever_somebody_decides(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    typed("approve 1.0.0 --channel prod --action rollback")
    assert "it says nothing" in said(capsys, "rollback prod --confirm --reason=", 2), (
        "why, is what everybody asks later"
    )
    assert back("--confirm") == 0
    assert "! 1.1.0 was rolled back in prod: it crashes" in said(capsys, "approve 1.1.0 --channel prod --dry-run")
    assert told(capsys, "approve 1.1.0 --channel prod --dry-run")["reviews"][0]["rolledBack"] == {"prod": "it crashes"}
    assert "rolled-back: it was rolled back in prod: it crashes" in said(capsys, "explain 1.1.0 --to prod", 4)
    invoke(["audit", "1.1.0", "--json"])
    rows = json.loads(capsys.readouterr().out)["checks"]
    assert [row["status"] for row in rows if row["id"] == "policy.rolled-back"] == ["warning"]
    assert "1.1.0, whose bytes these are, was rolled back in prod" in said(
        capsys, "vouch 1.1.0 --as 1.2.0 --reason good"
    )
    typed("approve 1.1.0 --channel prod")
    assert "promote of 1.1.0 by" in said(capsys, "unpin prod --reason mended")
    typed("unpin prod --reason mended --confirm")
    typed("approve 1.1.0 --channel prod")
    text = said(capsys, "promote 1.1.0 --to prod")
    assert "1.1.0 was rolled back in prod: it crashes; the policy allows that" in text


def test_a_channel_as_it_was(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    now = told(capsys, "channel show prod")
    then = told(capsys, "channel show prod@2026-01-01T12:00:00Z")
    assert (now["version"], then["version"]) == ("1.1.0", "1.0.0")
    assert then["until"] == "2026-01-02T09:00:00Z" and then["nextMove"] == now["entry"]
    assert {row["kind"] for row in then["evidenceOfMove"]} >= {"approval"}
    assert all(row["by"] for row in then["evidenceOfMove"])
    assert then["policy"]["approvals"] == 1 and then["trustRoot"] == 1
    assert told(capsys, "channel show prod@2026-01-01")["release"] is None, "a day is its first moment"
    assert told(capsys, f"channel show prod@{then['entry']}")["version"] == "1.0.0"
    assert "names no release" in said(capsys, "channel show prod@2026-01-01")
    assert "until 2026-01-02T09:00:00Z" in said(capsys, "channel show prod@2026-01-01T12:00:00Z")


def test_two_channels_differ_in_files_archives_evidence_and_policy(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "a" / "tool").write_text("other")
    (here / "a" / "new").write_text("new")
    released("1.2.0")
    typed("promote 1.2.0 --to dev")
    found = told(capsys, "channel diff prod dev")
    assert [(row["component"], row["path"], row["change"]) for row in found["files"]] == [
        ("a", "new", "added"),
        ("a", "tool", "changed"),
    ]
    assert [row["name"] for row in found["archives"]] == ["one-1.2.0.tar.gz"]
    assert any(row["sign"] == "-" and row["what"].startswith("approval") for row in found["evidence"])
    assert {row["key"] for row in found["policy"]} >= {"approvals", "from"}
    text = said(capsys, "channel diff prod dev")
    assert "+ a/new" in text and "policy approvals: 1 -> 0" in text
    same = told(capsys, "channel diff prod@2026-01-02T12:00:00Z prod")
    assert (same["files"], same["policy"], same["evidence"], same["archives"]) == ([], [], [], [])
    assert invoke(["channel", "diff", "prod@2025-01-01", "prod"]) == 8


def test_what_waits_for_whom(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert told(capsys, "status")["waits"] == []
    assert "nothing waits" in said(capsys, "status")
    typed("publish prod --to public --clock-checked")
    released("1.2.0")
    (first,) = told(capsys, "status")["waits"]
    assert (first["kind"], first["channel"], first["version"], first["ready"]) == ("promote", "dev", "1.2.0", True)
    assert first["who"]
    typed("promote 1.2.0 --to dev")
    (wait,) = told(capsys, "status")["waits"]
    assert (wait["channel"], wait["holds"], wait["ready"]) == ("prod", "1.1.0", False)
    assert [rule["id"] for rule in wait["needs"]] == ["approvals"]
    assert wait["needs"][0]["actor_needed"] == wait["who"]
    assert "run: casstore approve 1.2.0 --channel prod" in said(capsys, "status")
    typed("approve 1.2.0 --channel prod", "promote 1.2.0 --to prod")
    (wait,) = told(capsys, "status")["waits"]
    assert (wait["kind"], wait["destination"], wait["version"]) == ("publish", "public", "1.2.0")
    assert "casstore publish prod --to public" in said(capsys, "status")
    typed("publish prod --to public --clock-checked")
    assert told(capsys, "status")["waits"] == []


def test_what_was_withdrawn_waits_for_a_way_out(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["revoke", "1.1.0", "--reason", "bad", "--confirm"]) == 0
    waits = told(capsys, "status")["waits"]
    assert [(wait["kind"], wait["channel"]) for wait in waits] == [("withdrawn", "dev"), ("withdrawn", "prod")]
    assert "1.1.0 (revoked)" in said(capsys, "channel log prod")


def test_a_rollback_goes_over_several_releases(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "a" / "tool").write_text("third")
    released("1.2.0")
    to_prod("1.2.0")
    typed("approve 1.0.0 --channel prod --action rollback", "approve 1.1.0 --channel prod --action rollback")
    capsys.readouterr()
    for words, version in ((("--steps", "2"), "1.0.0"), ((), "1.1.0"), (("--to", "1.0.0"), "1.0.0")):
        assert back(*words) == 0
        assert f"rollback to {version} would be allowed" in capsys.readouterr().out
    assert back("--steps", "3") == 8
    assert "only 2 earlier releases" in capsys.readouterr().err
    assert back("--steps", "1", "--to", "1.0.0") == 2
    assert invoke(["revoke", "1.1.0", "--reason", "bad", "--confirm"]) == 0
    capsys.readouterr()
    assert back() == 0
    assert "rollback to 1.0.0 would be allowed" in capsys.readouterr().out, "what was withdrawn is no step"


def test_explain_tells_of_a_rollback(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = said(capsys, "explain --to prod --action rollback", 4)
    assert "1.0.0 -> prod (rollback): denied" in text and "--action rollback --key URI" in text
    assert back() == 4
    assert "casstore explain 1.0.0 --to prod --action rollback" in capsys.readouterr().err
    typed("approve 1.0.0 --channel prod --action rollback")
    typed("explain --to prod --action rollback")
    assert invoke(["explain", "--to", "prod"]) == 2


@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        ("channel show prod@yesterday", 2, "is no time"),
        ("channel show nope", 8, "nope"),
        ("channel log nope", 8, "nope"),
    ],
)
def test_mistakes_are_told(here: Path, capsys: pytest.CaptureFixture[str], line: str, code: int, words: str) -> None:
    assert words in said(capsys, line, code)
