"""The ceremony as people type it: two owners, a rotation, an end in sight, a keyless root pinned."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from attest.digests import sha256
from attest.statements.predicates import ceremony
from casstore.store.attestations import find
from casstore.store.store import Store
from cli.main import invoke

ROOTS = Path(__file__).parents[4] / "data" / "sigstore-bundles" / "trusted_root.jsonl"
CONFIG = '[store]\nurl = "./store"\n[channels.dev]\napprovals = 0\n'


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    for name in ("CASSTORE_STORE", "CASSTORE_KEY", "CASSTORE_PASSWORD", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "casstore.toml").write_text(CONFIG)
    assert invoke(["init"]) == 0
    for name in ("ann", "ben", "ci", "ci2"):
        assert invoke(["keys", "generate", f"{name}.pem", "--no-passphrase"]) == 0
    return tmp_path


def told(capsys: pytest.CaptureFixture[str], *args: str, code: int = 0) -> Any:
    capsys.readouterr()
    assert invoke([*args, "--json"]) == code, capsys.readouterr().err
    return json.loads(capsys.readouterr().out)


def first(capsys: pytest.CaptureFixture[str], *more: str) -> None:
    people = [option for name in ("ann", "ben", "ci") for option in ("--identity", f"{name}={name}.pem.pub")]
    roles = ["--role", "owner=ann,ben:2", "--role", "builder=ci", "--role", "auditor=ann"]
    told(capsys, "keys", "ceremony", "draft", *people, *roles, *more, "--out", "1.draft")
    signed(capsys, "1")


def signed(capsys: pytest.CaptureFixture[str], version: str) -> Any:
    for name in ("ben", "ann"):
        told(
            capsys, "keys", "ceremony", "sign", f"{version}.draft", "--key", f"{name}.pem", "--out", f"{version}.{name}"
        )
    files = (f"{version}.draft", f"{version}.ann", f"{version}.ben")
    told(capsys, "keys", "ceremony", "status", *files[:2], code=4)
    told(capsys, "keys", "ceremony", "status", *files)
    return told(capsys, "keys", "ceremony", "finish", *files, "--key", "ann.pem", "--out", f"{version}.signed")


def test_two_owners_make_and_rotate_and_the_transcript_is_kept(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first(capsys)
    rows = told(capsys, "keys", "rotate", "ci", "ci2.pem.pub", "--out", "2.draft")
    assert any(line.startswith("identity ci: identity key:sha256:") for line in rows["changes"])
    done = signed(capsys, "2")
    assert (done["version"], done["transcript"]["version"]) == (2, 2)
    assert [row["names"] for row in done["transcript"]["signatures"]] in ([["ann"], ["ben"]], [["ben"], ["ann"]])
    with Store.open(str(here / "store"), read_only=True) as store:
        (kept,) = find(store, done["digest"], ceremony.TYPE)
    assert (kept.digest, kept.statement.predicate) == (done["attestation"], done["transcript"])


def test_revoking_takes_a_name_out_and_says_what_that_leaves(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first(capsys)
    capsys.readouterr()
    assert invoke(["keys", "revoke", "ci", "--out", "2.draft"]) == 0
    assert "casstore revoke key:sha256:" in capsys.readouterr().err
    signed(capsys, "2")
    assert "ci" not in told(capsys, "keys", "list")["identities"]
    assert invoke(["keys", "revoke", "nobody", "--out", "3.draft"]) == 2
    assert invoke(["keys", "revoke", "ann", "--out", "3.draft"]) == 3, "the owners would be too few"


def test_an_identity_can_end_and_everybody_is_warned(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from datetime import timedelta

    from casstore.machine import clock

    soon = f"{clock.now() + timedelta(days=20):%Y-%m-%d}"
    first(capsys, "--valid-until", f"ci={soon}")
    assert told(capsys, "keys", "list")["identities"]["ci"]["validUntil"] == f"{soon}T00:00:00Z"
    assert invoke(["channel"]) == 0
    assert f"identity ci ends at {soon}" in capsys.readouterr().err
    assert invoke(["doctor"]) in (1, 2)
    assert f"identity ci ends at {soon}" in capsys.readouterr().out


@pytest.mark.parametrize("wrong", ["ci=soon", "ci", "nobody=2030-01-01", "ci=2000-01-01"])
def test_a_window_that_makes_no_sense_is_refused(wrong: str, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--identity", "ci=ci.pem.pub", "--role", "owner=ci", "--valid-until", wrong, "--out", "x.draft"]
    assert invoke(["keys", "ceremony", "draft", *options]) == 2
    assert not Path("x.draft").exists()


def test_a_sigstore_root_is_pinned_and_kept(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = ROOTS.read_bytes()
    (here / "trusted_root.json").write_bytes(root)
    people = ["--identity", "ann=ann.pem.pub", "--role", "owner=ann"]
    told(capsys, "keys", "ceremony", "draft", *people, "--sigstore-root", "trusted_root.json", "--out", "1.draft")
    told(capsys, "keys", "ceremony", "sign", "1.draft", "--key", "ann.pem", "--out", "1.ann")
    assert invoke(["keys", "ceremony", "finish", "1.draft", "1.ann"]) == 3, "the file is nowhere yet"
    told(capsys, "keys", "ceremony", "finish", "1.draft", "1.ann", "--sigstore-root", "trusted_root.json")
    pinned = told(capsys, "keys", "list")["sigstoreRoot"]
    assert pinned == sha256(root)
    with Store.open(str(here / "store"), read_only=True) as store:
        assert store.read(pinned) == root


def test_owners_see_what_each_instance_and_each_condition_asks_for(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    conditions = {
        "issuer": "https://token.actions.githubusercontent.com",
        "repository": "https://github.com/team/core",
        "repositoryId": "631710741",
        "workflow": ".github/workflows/release.yml",
        "tags": ["v*"],
    }
    (here / "actions.json").write_text(json.dumps(conditions))
    people = [option for name in ("ann", "ben") for option in ("--identity", f"{name}={name}.pem.pub")]
    roles = ["--role", "owner=ann,ben:2", "--role", "builder=actions", "--role", "auditor=ann"]
    pinned = ("--sigstore-root", str(ROOTS))
    words = ["keys", "ceremony", "draft", *people, "--identity", "actions=actions.json", *roles, *pinned]
    assert invoke([*words, "--out", "1.draft"]) == 0
    both = ("https://fulcio.sigstore.dev: log entry", "fulcio.githubapp.com: time stamp, no log")
    drafted = capsys.readouterr().err
    assert all(f"sigstore instance {text}" in drafted for text in both)
    for name in ("ann", "ben"):
        sign = ["keys", "ceremony", "sign", "1.draft", "--key", f"{name}.pem", "--out", f"1.{name}"]
        assert invoke([*sign, *pinned]) == 0
        said = capsys.readouterr().err
        assert all(f"sigstore instance {text}" in said for text in both)
        assert 'identities.actions.certificate.repositoryId = "631710741"' in said
        assert 'identities.actions.certificate.tags.0 = "v*"' in said
    wrong = ["keys", "ceremony", "sign", "1.draft", "--key", "ann.pem", "--out", "x", "--sigstore-root", "actions.json"]
    assert invoke(wrong) == 2
    assert invoke(["keys", "ceremony", "finish", "1.draft", "1.ann", "1.ben", *pinned]) == 0
    capsys.readouterr()
    assert invoke(["keys", "list"]) == 0
    assert "actions is whose certificate says: issuer https://token.actions" in capsys.readouterr().out
    (here / "actions.json").write_text(json.dumps({**conditions, "pattern": ".*"}))
    assert invoke([*words, "--out", "2.draft"]) == 3
