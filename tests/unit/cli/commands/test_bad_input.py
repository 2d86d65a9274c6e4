"""What a user gets wrong: one clear line, a documented exit code, no traceback, nothing half-written."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from attest import canonical
from casstore.objects.small_records import sealed
from cli.main import invoke

CONFIG = """\
[store]
url = "./store"
[components.a]
include = ["**"]
root = "in"
[products.p]
components = ["a"]
format = "tar.gz"
[channels.dev]
approvals = 0
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    for name in ("CASSTORE_STORE", "CASSTORE_KEY", "CASSTORE_PASSWORD", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def refused(capsys: pytest.CaptureFixture[str], code: int, *args: str) -> str:
    """Run a command that must end with this code; returns its error lines."""
    capsys.readouterr()
    assert invoke(list(args)) == code
    told = capsys.readouterr().err
    assert "Traceback" not in told
    errors = [line for line in told.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, told
    return told


def start(here: Path) -> None:
    (here / "casstore.toml").write_text(CONFIG)
    (here / "in").mkdir()
    (here / "in" / "file").write_text("content")
    assert invoke(["init"]) == 0
    assert invoke(["keys", "generate", "key.pem", "--no-passphrase"]) == 0


def alone(here: Path) -> None:
    """A store whose one key holds every role."""
    (here / "casstore.toml").write_text(CONFIG)
    (here / "in").mkdir()
    (here / "in" / "file").write_text("content")
    assert invoke(["keys", "generate", "key.pem", "--no-passphrase"]) == 0
    assert invoke(["init", "--key", "key.pem"]) == 0


def test_no_store_there(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "store" in refused(capsys, 8, "--store", str(here / "nowhere"), "fsck")


def test_no_store_named(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "hint: give --store URL" in refused(capsys, 2, "fsck")


def test_a_store_is_not_made_twice(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    start(here)
    refused(capsys, 9, "init")


def test_a_store_of_a_newer_format(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    start(here)
    path = here / "store" / "casstore.json"
    value = json.loads(path.read_text())
    value["format"] = "casstore/99"
    path.chmod(0o644)
    path.write_bytes(canonical.dumps(sealed(value)))
    refused(capsys, 12, "fsck")


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("[store\n", "casstore.toml:1"),
        ('[store]\nulr = "x"\n', "casstore.toml:2: key 'store.ulr'"),
        ("[products.p]\ncomponents = ['a']\nformat = 'zip'\n", "casstore.toml:2: key 'products.p.components'"),
        ("[channels.prod]\nrequire = []\n", "casstore.toml:1: key 'channels.prod'"),
    ],
)
def test_a_toml_error_names_line_and_key(here: Path, capsys: pytest.CaptureFixture[str], text: str, where: str) -> None:
    (here / "casstore.toml").write_text(text)
    assert where in refused(capsys, 2, "policy")


def test_an_unknown_component(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    alone(here)
    told = refused(capsys, 8, "put", "b", "--release-version", "1", "--key", "key.pem")
    assert "'b'" in told and "known: a" in told


def test_an_unknown_command_suggests(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "'promote'" in refused(capsys, 2, "promot")


def test_a_key_that_holds_no_role(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    alone(here)
    assert invoke(["keys", "generate", "other.pem", "--no-passphrase"]) == 0
    refused(capsys, 4, "put", "--all", "--release-version", "1", "--key", "other.pem")


def test_no_key_no_file_wrong_passphrase(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    alone(here)
    refused(capsys, 2, "put", "--all", "--release-version", "1")
    refused(capsys, 2, "put", "--all", "--release-version", "1", "--key", "missing.pem")
    monkeypatch.setenv("CASSTORE_PASSWORD", "right")
    assert invoke(["keys", "generate", "locked.pem"]) == 0
    monkeypatch.setenv("CASSTORE_PASSWORD", "wrong")
    refused(capsys, 1, "put", "--all", "--release-version", "1", "--key", "locked.pem")


def test_a_fifo_is_named_and_nothing_is_stored(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    alone(here)
    os.mkfifo(here / "in" / "pipe")
    assert "pipe" in refused(capsys, 1, "put", "--all", "--release-version", "1", "--key", "key.pem")
    assert invoke(["ls", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["components"] == []


def test_a_name_with_a_newline_is_kept_in_a_tree_and_refused_in_a_product(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    alone(here)
    (here / "in" / "two\nlines").write_text("x")
    assert invoke(["put", "--all", "--release-version", "1", "--key", "key.pem"]) == 0
    told = refused(capsys, 1, "release", "1", "--key", "key.pem", "--out", "dist")
    assert "\\n" in told
    assert not (here / "dist").exists()


def test_a_link_that_leaves(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    alone(here)
    (here / "in" / "link").symlink_to("../../outside")
    assert "link" in refused(capsys, 1, "put", "--all", "--release-version", "1", "--key", "key.pem")


def test_an_output_folder_is_never_overwritten(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    alone(here)
    (here / "dist").mkdir()
    (here / "dist" / "mine").write_text("mine")
    assert invoke(["put", "--all", "--release-version", "1", "--key", "key.pem"]) == 0
    refused(capsys, 9, "release", "1", "--key", "key.pem", "--out", "dist")
    assert (here / "dist" / "mine").read_text() == "mine"


def test_an_expired_approval(here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    config = CONFIG.replace("approvals = 0", "approvals = 1")
    (here / "casstore.toml").write_text(config)
    (here / "in").mkdir()
    (here / "in" / "file").write_text("content")
    for name in ("key", "alice"):
        assert invoke(["keys", "generate", f"{name}.pem", "--no-passphrase"]) == 0
    assert invoke(["init"]) == 0
    roles = [
        word for role in ("owner", "builder", "promoter", "publisher", "ledger") for word in ("--role", f"{role}=key")
    ]
    people = ["--identity", "key=key.pem.pub", "--identity", "alice=alice.pem.pub"]
    draft = ["keys", "ceremony", "draft", *people, *roles, "--role", "approver=alice", "--out", "d"]
    assert invoke(draft) == 0
    assert invoke(["keys", "ceremony", "sign", "d", "--key", "key.pem", "--out", "s"]) == 0
    assert invoke(["keys", "ceremony", "finish", "d", "s"]) == 0
    assert invoke(["put", "--all", "--release-version", "1", "--key", "key.pem"]) == 0
    assert invoke(["release", "1", "--key", "key.pem"]) == 0
    approve = ["approve", "1", "--channel", "dev", "--key", "alice.pem", "--expires-days", "0.001"]
    assert invoke(approve) == 0
    from datetime import UTC, datetime, timedelta

    monkeypatch.setenv("CASSTORE_TESTING", "1")
    monkeypatch.setenv("CASSTORE_NOW", (datetime.now(UTC) + timedelta(hours=1)).isoformat())
    told = refused(capsys, 4, "promote", "1", "--to", "dev", "--key", "key.pem")
    assert "it expired at" in told and "casstore approve" in told


def test_a_wrong_digest_and_an_unknown_one(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    alone(here)
    refused(capsys, 8, "cat", "sha256:" + "0" * 64)
    refused(capsys, 8, "cat", "nothing/like/this")


def test_ctrl_c_is_130(here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    alone(here)

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("casstore.store.store.Store.put_tree", interrupt)
    refused(capsys, 130, "put", "--all", "--release-version", "1", "--key", "key.pem")


def test_offline_holds_for_libraries_too(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    import socket

    monkeypatch.setattr("casstore.doctor.examine", lambda **_: socket.create_connection(("127.0.0.1", 9)))
    assert "--offline opens no socket" in refused(capsys, 12, "--offline", "doctor")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", 9))


def test_init_with_a_key_makes_all_or_nothing(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "casstore.toml").write_text('[store]\nurl = "./store"\n')
    assert invoke(["keys", "generate", "key.pem", "--no-passphrase"]) == 0
    refused(capsys, 2, "init", "--key", "key.pem")
    refused(capsys, 2, "init", "--key", "missing.pem")
    assert not (here / "store").exists()


def test_a_denial_gives_the_very_command(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "casstore.toml").write_text(CONFIG.replace("approvals = 0", "approvals = 1"))
    (here / "in").mkdir()
    (here / "in" / "file").write_text("content")
    assert invoke(["keys", "generate", "key.pem", "--no-passphrase"]) == 0
    assert invoke(["init", "--key", "key.pem"]) == 0
    assert invoke(["put", "--all", "--release-version", "1", "--key", "key.pem"]) == 0
    assert invoke(["release", "1", "--key", "key.pem"]) == 0
    told = refused(capsys, 4, "promote", "1", "--to", "dev", "--key", "key.pem")
    assert "casstore approve 1 --channel dev --action promote" in told


@pytest.mark.parametrize(
    "line",
    [
        "verify x --channel a --channel b",
        "install p --from x --trust-root sha256:a --trust-root sha256:b",
        "--store a --store b ls",
        "keys ceremony draft --expires-days 30 --expires-days 40 --out x",
        "attest verify x --type t --sigstore-root a --sigstore-root=b",
    ],
)
def test_what_takes_one_value_is_not_given_two(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert "is given 2 times, and takes one value" in refused(capsys, 2, *line.split())


def test_what_may_be_given_twice_may(capsys: pytest.CaptureFixture[str]) -> None:
    invoke(["promote", "1", "--to", "a", "--to", "b", "--json", "--json", "--key", "none.pem"])
    assert "is given" not in capsys.readouterr().err
