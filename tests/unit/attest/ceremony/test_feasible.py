"""What nobody can give is named at the ceremony, with the commands that owners type."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.main import invoke

HEAD = """\
[store]
url = "./store"
[components.a]
include = ["**"]
[products.p]
components = ["a"]
format = "tar.gz"
[channels.dev]
approvals = 0
[channels.prod]
from = "dev"
"""
ROLES = ("owner", "builder", "promoter", "approver", "publisher", "ledger", "auditor")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("CASSTORE_STORE", "CASSTORE_PASSWORD", "CASSTORE_KEY"):
        monkeypatch.delenv(name, raising=False)
    for name in ("a", "b"):
        assert invoke(["keys", "generate", f"{name}.pem", "--no-passphrase"]) == 0
    return tmp_path


def drafted(here: Path, policy: str, capsys: pytest.CaptureFixture[str], without: str = "") -> list[str]:
    """What the draft says that nobody can meet."""
    (here / "casstore.toml").write_text(HEAD + policy)
    if not (here / "store").exists():
        assert invoke(["init"]) == 0
    roles = [word for role in ROLES if role != without for word in ("--role", f"{role}=a")]
    people = ["--identity", "a=a.pem.pub", "--identity", "b=b.pem.pub"]
    capsys.readouterr()
    assert invoke(["keys", "ceremony", "draft", *people, *roles, "--out", "d", "--json"]) == 0
    found: list[str] = json.loads(capsys.readouterr().out)["unmeetable"]
    return found


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        ("approvals = 2", "2 approvals are asked, 1 people may approve"),
        (
            'approvals = 0\nsteps = [{ share = "5%", soak = "320d" }, { share = "9%", soak = "9w" }]',
            "its steps take longer",
        ),
        ("approvals = 0\nrollback_approvals = 3", "3 rollback approvals are asked"),
        ('approvals = 0\nrequire = ["slsa-provenance"]\nrebuilds = 2', "2 independent builders are asked, 1 hold"),
        (
            'approvals = 0\nfreeze = [{ from = "2020-01-01T00:00:00Z", until = "2999-01-01T00:00:00Z" }]',
            "is frozen until 2999",
        ),
        ('approvals = 0\nfreeze = [{ days = ["mon","tue","wed","thu","fri","sat","sun"] }]', "every day of the week"),
    ],
)
def test_a_policy_that_nobody_can_meet(policy: str, said: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (told,) = drafted(here, policy, capsys)
    assert told.startswith("channel prod: ")
    assert said in told


@pytest.mark.parametrize(("without", "said"), [("promoter", "nobody holds the role promoter"), ("builder", "builder")])
def test_a_role_without_people(without: str, said: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert any(said in told for told in drafted(here, "approvals = 1", capsys, without))


def test_a_policy_that_can_be_met_is_not_named(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert drafted(here, 'approvals = 1\nrequire = ["slsa-provenance"]\nfreeze = [{ days = ["sun"] }]', capsys) == []


def test_the_owner_who_signs_is_told(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    drafted(here, "approvals = 2", capsys)
    assert invoke(["keys", "ceremony", "sign", "d", "--key", "a.pem", "--out", "d.sig"]) == 0
    assert "warning: nobody can meet this policy: channel prod: 2 approvals" in capsys.readouterr().err
