"""A release of what changed alone, its notes, and what differs, told by one function to approvers and in `diff`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from small_line import BEGIN, Place

TOML = """\
[store]
url = "./store"
[components.core]
root = "core"
include = ["**"]
[components.web]
root = "web"
include = ["**"]
[products.core]
components = ["core"]
format = "tar.gz"
[products.web]
components = ["web"]
format = "zip"
[channels.dev]
approvals = 0
[channels.prod]
from = "dev"
approvals = 0
[destinations.public]
url = "./public"
"""


@pytest.fixture
def place(tmp_path: Path) -> Place:
    (tmp_path / "casstore.toml").write_text(TOML)
    for name in ("core", "web"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "text").write_text("".join(f"{name} line {number}\n" for number in range(20)))
    (tmp_path / "web" / "picture").write_bytes(b"\0\1\2")
    made = Place(tmp_path)
    for words in BEGIN:
        made.must(*words)
    made.must("put", "--all", "--release-version", "1.0.0")
    made.must("release", "1.0.0")
    made.must("promote", "1.0.0", "--to", "dev")
    return made


def change(place: Place) -> None:
    text = place.folder / "core" / "text"
    text.write_text(text.read_text().replace("core line 7\n", "core line seven\nand one more\n"))


def test_what_was_not_put_is_taken_and_told(place: Place) -> None:
    change(place)
    place.must("put", "core", "--release-version", "1.1.0")
    refused = place.run("release", "1.1.0")
    assert refused.returncode == 8 and "--from RELEASE" in refused.stderr
    done = place.run("release", "1.1.0", "--from", "dev", "--json")
    report = json.loads(done.stdout)
    assert report["taken"] == {"web": "1.0.0"}
    assert [row.get("kept") for row in report["archives"]] == [None, "1.0.0"]
    shown = place.run("approve", "1.1.0", "--channel", "dev")
    assert "= web  taken from 1.0.0" in shown.stderr
    diff = json.loads(place.must("diff", "dev", "1.1.0", "--json"))
    assert diff["taken"] == {"web": "1.0.0"} and diff["digest"].removeprefix("sha256:")[:12] in shown.stderr
    place.must("promote", "1.1.0", "--to", "dev")
    change(place)
    place.must("put", "core", "--release-version", "1.2.0")
    place.must("release", "1.2.0", "--from", "1.1.0")
    assert json.loads(place.must("diff", "dev", "1.2.0", "--json"))["taken"] == {"web": "1.0.0"}, "where it was put"
    place.must("promote", "1.2.0", "--to", "dev")
    place.must("publish", "dev", "--to", "public")
    assert "1.2.0" in place.must("verify", "./public", "--channel", "dev")
    assert "0 blockers" in place.run("audit", "dev").stderr
    assert "ignored" not in place.run("explain", "1.2.0", "--to", "prod").stdout, "others' evidence is not looked at"


def test_differences_of_everything_that_has_a_name(place: Place) -> None:
    change(place)
    place.must("put", "--all", "--release-version", "1.1.0")
    place.must("release", "1.1.0")
    shown = place.run("approve", "1.1.0", "--channel", "dev").stderr
    rows = place.must("diff", "dev", "1.1.0").splitlines()
    assert all(f"  {row}" in shown for row in rows) and len(rows) == 2
    assert "~ core/text  " in rows[1] and rows[0].startswith("~ core/core-1.1.0.tar.gz")
    for old, new in (
        ("1.0.0/core", "1.1.0/core"),
        ("dev/core-1.0.0.tar.gz", "1.1.0/core-1.1.0.tar.gz"),
        ("core@1.0.0", "core@1.1.0"),
        ("1.0.0/core/text", "1.1.0/core/text"),
    ):
        assert place.must("diff", old, new, "--name-only") == "text\n", (old, new)
        assert place.must("diff", old, new, "--stat") == "text | +2 -1 lines\n"
        patch = place.must("diff", old, new, "--patch").splitlines()
        assert patch[:2] == ["--- a/text", "+++ b/text"]
        assert "-core line 7" in patch and "+core line seven" in patch and "+and one more" in patch
        assert [row["path"] for row in json.loads(place.must("diff", old, new, "--json"))["files"]] == ["text"]
    assert place.run("diff", "1.0.0/core", "1.0.0/core/text").returncode == 2
    assert place.must("diff", "1.0.0/web", "1.1.0/web") == ""
    gone = place.must("diff", "1.0.0/web", "1.0.0/core", "--patch")
    assert "Binary files a/picture and b/picture differ" in gone


def test_another_ledger_makes_the_same_archives_with_the_times_of_a_release(place: Place, tmp_path: Path) -> None:
    place.must("release", "1.0.0", "--out", "dist")
    (tmp_path / "elsewhere").mkdir()
    other = Place(tmp_path / "elsewhere")
    for name in ("casstore.toml", "core", "web"):
        (other.folder / name).symlink_to(place.folder / name)
    for words in BEGIN:
        other.must(*words)
    other.must("put", "--all", "--release-version", "7.0.0")
    theirs = {row["digest"] for row in json.loads(place.must("release", "1.0.0", "--json"))["archives"]}

    def mine(*options: str) -> set[str]:
        rows = json.loads(other.must("release", "7.0.0", "--dry-run", "--json", *options))["archives"]
        return {row["digest"] for row in rows}

    assert mine("--times-from", str(place.folder / "dist")) == theirs
    assert mine("--epoch", "1700000000").isdisjoint(theirs)
    assert other.run("release", "7.0.0", "--times-from", str(other.folder)).returncode == 2


def test_notes_are_signed_shown_and_published(place: Place) -> None:
    (place.folder / "NEWS.md").write_text("# 1.1.0\n\x1b[31mred\n- faster\n")
    place.must("put", "--all", "--release-version", "1.1.0")
    place.must("release", "1.1.0", "--notes", "NEWS.md", "--out", "dist")
    assert (place.folder / "dist" / "NOTES").read_text().startswith("# 1.1.0\n")
    place.must("promote", "1.1.0", "--to", "dev")
    shown = place.must("channel", "show", "dev")
    assert "  notes:" in shown and "  - faster" in shown and "\x1b[31m" not in shown
    place.run("audit", "dev", "--report", "dev.html")
    page = (place.folder / "dev.html").read_text()
    assert "Notes of the release" in page and "faster" in page and "What it ships" in page
    place.must("publish", "dev", "--to", "public")
    assert (place.folder / "public/releases/1.1.0/NOTES").exists()
    place.must("export", "dev", "kit.tar")
    place.must("--offline", "verify", "kit.tar", "--state", "other")
    (place.folder / "BAD").write_bytes(b"\xff")
    assert place.run("release", "1.2.0", "--notes", "BAD").returncode == 2
