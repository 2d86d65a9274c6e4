"""Versions that lie in an installed folder are listed, pruned and taken away, as people type it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bundlers.installing import keeping
from bundlers.installing.installed import InstalledFolder
from cli.main import invoke
from tests.support.typed_line import Clock, begun, said, shipped, told, typed

INSTALL = "install one --from ./public --channel prod --into there"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock.turned(monkeypatch)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: Clock) -> Path:
    """1.0.0 is published."""
    begun(tmp_path, monkeypatch)
    shipped(tmp_path, clock, "1.0.0")
    return tmp_path


def names(capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    return {row["version"]: row["state"] for row in told(capsys, "install --list --into there")["versions"]}


def test_a_dry_run_says_and_changes_nothing(here: Path, capsys: pytest.CaptureFixture[str], clock: Clock) -> None:
    would = told(capsys, f"{INSTALL} --dry-run")
    assert would["dryRun"] and would["changed"] and would["fetched"] == would["receipt"]["archive"]["size"]
    assert not (here / "there").exists()
    assert "would be in force" in said(capsys, f"{INSTALL} --dry-run")
    typed(INSTALL)
    assert told(capsys, f"{INSTALL} --dry-run")["changed"] is False
    shipped(here, clock, "1.1.0")
    before = sorted(os.walk(here / "there"))
    would = told(capsys, f"{INSTALL} --dry-run --keep 1")
    assert [name.partition("-")[0] for name in would["pruned"]] == ["1.0.0"]
    assert would["receipt"]["version"] == "1.1.0" and sorted(os.walk(here / "there")) == before


def test_old_versions_are_pruned_and_never_the_one_in_force(
    here: Path, capsys: pytest.CaptureFixture[str], clock: Clock
) -> None:
    for version in ("1.0.0", "1.1.0", "1.2.0", "1.3.0"):
        if version != "1.0.0":
            shipped(here, clock, version)
        typed(INSTALL)
    assert names(capsys) == {"1.3.0": "in force", "1.2.0": "before", "1.1.0": "kept", "1.0.0": "kept"}
    pruned = told(capsys, f"{INSTALL} --keep 3")
    assert [name.partition("-")[0] for name in pruned["pruned"]] == ["1.0.0"] and pruned["changed"] is False
    assert names(capsys) == {"1.3.0": "in force", "1.2.0": "before", "1.1.0": "kept"}
    typed("install --rollback --into there", f"{INSTALL} --keep 2")
    assert names(capsys) == {"1.3.0": "in force", "1.2.0": "before"}
    typed(f"{INSTALL} --keep 1")
    assert names(capsys) == {"1.3.0": "in force"} and not os.path.lexists(here / "there/previous")
    assert len(os.listdir(here / "there/receipts")) == 2 and os.listdir(here / "there/quarantine") == []
    assert "1.3.0" in said(capsys, "install --verify-installed --into there")
    assert "is the first version" in said(capsys, "install --rollback --into there", 8)


@pytest.mark.parametrize("after", [1, 2, 3])
def test_killed_while_it_prunes(
    here: Path, capsys: pytest.CaptureFixture[str], clock: Clock, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    typed(INSTALL)
    shipped(here, clock, "1.1.0")
    typed(INSTALL)
    calls = [0]
    real = os.unlink, os.rename

    def killing(which: int) -> object:
        def call(*args: object, **options: object) -> None:
            calls[0] += 1
            if calls[0] == after:
                raise KeyboardInterrupt
            real[which](*args, **options)  # type: ignore[operator]

        return call

    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", killing(0))
        patch.setattr(os, "rename", killing(1))
        with pytest.raises(KeyboardInterrupt):
            keeping.prune(InstalledFolder("there"), 1)
    typed(f"{INSTALL} --keep 1")
    assert names(capsys) == {"1.1.0": "in force"} and os.listdir(here / "there/quarantine") == []


def test_it_is_taken_away(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    typed(f"{INSTALL} --link-bin bin")
    assert (here / "bin/tool").exists()
    assert "would be taken away" in said(capsys, "uninstall --into there --link-bin bin")
    assert (here / "bin/tool").exists()
    (here / "there/mine").write_text("notes")
    report = told(capsys, "uninstall --into there --link-bin bin --confirm")
    assert report["done"] and report["left"] == ["mine"] and len(report["links"]) == 1
    assert os.listdir(here / "there") == ["mine"] and os.listdir(here / "bin") == []
    (here / "there/mine").unlink()
    typed(INSTALL, "uninstall --into there --confirm")
    assert not (here / "there").exists()
    assert invoke(["uninstall", "--into", "there"]) == 8 and invoke(["install", "--list", "--into", "there"]) == 8
