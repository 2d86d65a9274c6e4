"""A key is suspended at night, by the commands: consumers refuse what it made with the next publish, and hear why."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from tests.support.typed_line import Clock, begun, said, told, typed

SHIPPED_BY_ANOTHER = (
    "keys generate new.pem --no-passphrase",
    "keys ceremony draft --identity new=new.pem.pub --role builder=new --role promoter=new --out n.draft",
    "keys ceremony sign n.draft --key key.pem --out n.sig",
    "keys ceremony finish n.draft n.sig --key key.pem",
    "put --all --release-version 1.1.0 --key new.pem",
    "release 1.1.0 --key new.pem",
    "promote 1.1.0 --to dev --key new.pem",
    "approve 1.1.0 --channel prod",
    "promote 1.1.0 --to prod --key new.pem",
    "publish prod --to public",
)


@pytest.fixture
def clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Clock:
    """ci has made and moved 1.0.0; another key owns the line. 1.0.0 is published and installed."""
    clock = Clock.turned(monkeypatch)
    begun(tmp_path, monkeypatch)
    (tmp_path / "a" / "tool").write_text("#!/bin/sh\n")
    typed(
        "keys generate ci.pem --no-passphrase",
        "keys ceremony draft --identity ci=ci.pem.pub --role builder=ci --role promoter=ci --out r.draft",
        "keys ceremony sign r.draft --key key.pem --out r.sig",
        "keys ceremony finish r.draft r.sig --key key.pem",
        "put --all --release-version 1.0.0 --key ci.pem",
        "release 1.0.0 --key ci.pem",
        "promote 1.0.0 --to dev --key ci.pem",
        "approve 1.0.0 --channel prod",
        "promote 1.0.0 --to prod --key ci.pem",
        "publish prod --to public",
        "install one --from ./public --channel prod --into ./installed",
    )
    clock.time += timedelta(hours=1)
    return clock


def test_the_way_back_is_closed_while_it_lasts(
    clock: Clock, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """ci is suspended and a new key ships 1.1.0: nobody goes back to what ci made."""
    (tmp_path / "a" / "tool").write_text("#!/bin/sh\necho new\n")
    install = "install one --from ./public --channel prod --into ./installed"
    typed("suspend ci --reason odd --confirm", *SHIPPED_BY_ANOTHER, install)
    back = "install --rollback --into ./installed"
    for line in (back, f"--offline {back}"):
        refused = said(capsys, line, 3)
        assert "the version before, 1.0.0, may be used no more: odd (identity key:" in refused
    (tmp_path / "public").rename(tmp_path / "away")
    assert "1.0.0, may be used no more: odd" in said(capsys, back, 3)
    clock.time += timedelta(hours=73)
    assert "what was heard before counts, nobody could be asked" in said(capsys, back)
    rows = told(capsys, "install --list --into ./installed")["versions"]
    assert [row["version"] for row in rows if row["state"] == "in force"] == ["1.0.0"]


def test_consumers_hear_it_and_it_ends(clock: Clock, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    verify = "verify ./public --channel prod"
    typed("suspend ci --reason odd --confirm")
    assert waits(capsys) == [("tell", "prod", "2026-01-01T10:00:00Z")]
    assert "consumers do not know" in said(capsys, "status")
    typed("publish prod --to public")
    assert waits(capsys) == []
    refused = said(capsys, verify, 3)
    assert "prod 1.0.0 was withdrawn: odd (identity key:" in refused
    assert "suspended until 2026-01-04T10:00:00Z, ledger entry " in refused
    assert "until the owners have settled that" in refused
    assert "it is installed" in said(capsys, "install one --from ./public --channel prod --into ./installed", 3)
    assert "odd" in said(capsys, "install --verify-installed --into ./installed", 3)
    assert "may be used no more" in said(capsys, "export 1.0.0 kit.tar", 4)
    assert not (tmp_path / "kit.tar").exists()
    assert told(capsys, "publish prod --to public")["unchanged"] is True
    clock.time += timedelta(hours=73)
    assert "the suspension has ended: ask the publisher to publish again" in said(capsys, verify, 3)
    assert waits(capsys) == [("tell", "prod", "2026-01-04T10:00:00Z")]
    typed("publish prod --to public --clock-checked", verify, "install --verify-installed --into ./installed")
    assert waits(capsys) == []


def waits(capsys: pytest.CaptureFixture[str]) -> list[tuple[str, str, str]]:
    """What `status` tells of destinations."""
    rows = told(capsys, "status")["waits"]
    return [(row["kind"], row["channel"], row["since"]) for row in rows if row["destination"] == "public"]


def test_a_failed_health_check_does_not_lead_back_to_it(
    clock: Clock, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """ci's key is revoked for good; 1.1.0 by a new key is ill: nothing is in force, and not what ci made."""
    (tmp_path / "check").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "check").chmod(0o755)
    (tmp_path / "consumer.toml").write_text(
        f'[products.one]\nfrom = "./public"\nchannel = "prod"\ninto = "installed"\ncheck = ["{tmp_path}/check"]\n'
        "check_tries = 1\n"
    )
    (tmp_path / "a" / "tool").write_text("#!/bin/sh\necho new\n")
    typed("revoke ci --kind identity --reason leaked --confirm", *SHIPPED_BY_ANOTHER)
    (row,) = told(capsys, "update --all", 10)["products"]
    assert row["outcome"] == "stopped" and "the version before, 1.0.0, was revoked: leaked" in row["why"]
    assert not (tmp_path / "installed" / "current").exists()
