"""Files that the product lists as `config` are the consumer's: changed, kept over updates, as people type it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bundlers.installing import install
from bundlers.installing.installed import InstalledFolder
from cli.main import invoke
from tests.support.typed_line import TOML, Clock, begun, said, shipped, told, typed

INSTALL = "install one --from ./public --channel prod --into there"
CONF = "there/current/etc/tool.conf"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock.turned(monkeypatch)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: Clock) -> Path:
    """1.0.0 is installed, with a configuration."""
    begun(tmp_path, monkeypatch, TOML.replace('bin = ["tool"]', 'bin = ["tool"]\nconfig = ["etc/tool.conf"]'))
    (tmp_path / "a" / "etc").mkdir()
    (tmp_path / "a" / "etc" / "tool.conf").write_text("port = 1\n")
    shipped(tmp_path, clock, "1.0.0")
    typed(INSTALL)
    return tmp_path


def test_what_was_changed_is_kept_with_its_mode(here: Path, capsys: pytest.CaptureFixture[str], clock: Clock) -> None:
    (here / CONF).write_text("port = 2\n")
    (here / CONF).chmod(0o600)
    typed("install --verify-installed --into there")
    assert told(capsys, INSTALL)["changed"] is False
    shipped(here, clock, "1.1.0")
    assert told(capsys, INSTALL)["kept"] == ["etc/tool.conf"]
    assert (here / CONF).read_text() == "port = 2\n" and (here / CONF).stat().st_mode & 0o777 == 0o600
    assert not (here / f"{CONF}.new").exists(), "the default is the same"
    (here / "a" / "etc" / "tool.conf").write_text("port = 1\nhost = all\n")
    shipped(here, clock, "1.2.0")
    assert "kept as you have it: etc/tool.conf" in said(capsys, INSTALL)
    assert (here / CONF).read_text() == "port = 2\n"
    assert (here / f"{CONF}.new").read_text() == "port = 1\nhost = all\n"
    typed("install --rollback --into there", "install --verify-installed --into there")
    assert (here / CONF).read_text() == "port = 2\n"


def test_what_was_not_changed_follows_the_publisher(
    here: Path, capsys: pytest.CaptureFixture[str], clock: Clock
) -> None:
    (here / "a" / "etc" / "tool.conf").write_text("port = 3\n")
    shipped(here, clock, "1.1.0")
    assert told(capsys, INSTALL)["kept"] == [] and (here / CONF).read_text() == "port = 3\n"


def test_a_link_or_nothing_in_its_place(here: Path, capsys: pytest.CaptureFixture[str], clock: Clock) -> None:
    (here / "mine.conf").write_text("port = 4\n")
    (here / CONF).unlink()
    typed("install --verify-installed --into there")
    (here / CONF).symlink_to(here / "mine.conf")
    shipped(here, clock, "1.1.0")
    assert told(capsys, INSTALL)["kept"] == ["etc/tool.conf"]
    assert os.readlink(here / CONF) == str(here / "mine.conf") and (here / "mine.conf").read_text() == "port = 4\n"


def test_nobody_is_led_to_read_elsewhere(here: Path, capsys: pytest.CaptureFixture[str], clock: Clock) -> None:
    secret = here / "secret"
    secret.mkdir()
    (secret / "tool.conf").write_text("secret")
    etc = here / "there/current/etc"
    (etc / "tool.conf").unlink()
    etc.rmdir()
    etc.symlink_to(secret)
    shipped(here, clock, "1.1.0")
    assert told(capsys, INSTALL)["kept"] == [] and (here / CONF).read_text() == "port = 1\n"


def test_other_files_are_not_the_consumers(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "there/current/tool").write_text("mine")
    assert "was changed" in said(capsys, "install --verify-installed --into there", 3)
    (here / CONF).write_text("port = 2\n")
    assert told(capsys, INSTALL)["kept"] == ["etc/tool.conf"], "installed anew, and theirs is kept"
    assert (here / CONF).read_text() == "port = 2\n"
    typed("install --verify-installed --into there")


class _Killed(BaseException):
    """As a kill."""


@pytest.mark.parametrize("after", [False, True])
def test_killed_while_they_are_carried(
    here: Path, capsys: pytest.CaptureFixture[str], clock: Clock, monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    (here / CONF).write_text("port = 2\n")
    (here / "a" / "etc" / "tool.conf").write_text("port = 9\n")
    shipped(here, clock, "1.1.0")
    carry = install.own_files.carry

    def killed(*args: object) -> tuple[str, ...]:
        if after:
            carry(*args)  # type: ignore[arg-type]
        raise _Killed

    with monkeypatch.context() as patch:
        patch.setattr(install.own_files, "carry", killed)
        with pytest.raises(_Killed):
            invoke(INSTALL.split())
    assert str(InstalledFolder("there").current()).startswith("1.0.0") and (here / CONF).read_text() == "port = 2\n"
    assert told(capsys, INSTALL)["receipt"]["version"] == "1.1.0"
    assert (here / CONF).read_text() == "port = 2\n" and (here / f"{CONF}.new").read_text() == "port = 9\n"


@pytest.mark.parametrize("named", ["tool", "etc", "nothing"])
def test_only_plain_files_that_are_no_programs_are_listed(
    here: Path, capsys: pytest.CaptureFixture[str], named: str
) -> None:
    toml = here / "casstore.toml"
    toml.write_text(toml.read_text().replace("etc/tool.conf", named))
    typed("put --all --release-version 2.0.0")
    capsys.readouterr()
    assert invoke(["release", "2.0.0"]) != 0
    assert f"config names {named}" in capsys.readouterr().err
