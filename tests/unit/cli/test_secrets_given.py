"""What carries a secret is not shown: every option, argument and variable of every command, tried one by one."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from attest.keys import keys
from casstore.ledger import release_objects
from casstore.ledger.book.log import Ledger
from casstore.store.store import Store
from cli.drawing.hiding import hidden
from cli.main import COMMANDS, invoke
from cli.main import main as whole

PASSWORD = "Tr0ub4dorAnd3xtra9"
TOKEN = "ghp_" + "k9Zb3Qm7Tw2Xr5Yv8Lp4Nj6Hd1Fs0GcAeUiO"
FINGERPRINT = hashlib.sha256(TOKEN.encode()).hexdigest()[:16]
PEM = keys.private_to_pem(keys.generate("ed25519"), None).decode()
BODY = PEM.splitlines()[1]
GIVEN = {
    "key": (PEM, BODY),
    "key on a line": (PEM.replace("\n", "\\n"), BODY),
    "key after a name": (f"a={PEM}", BODY),
    "token": (TOKEN, TOKEN),
    "login": (f"https://ci:{PASSWORD}@git.corp.internal/x", PASSWORD),
    "login of a bucket": (f"s3://AKIAJ7SDKQXWPZRTMNBV:{PASSWORD}@bucket/x", PASSWORD),
    "login after a name": (f"a=postgres://ci:{PASSWORD}@db/x", PASSWORD),
}
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
[destinations.public]
url = "./public"
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("CASSTORE_STORE", "CASSTORE_PASSWORD", "XDG_CACHE_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "casstore.toml").write_text(CONFIG)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "file").write_text("content")
    monkeypatch.setenv("CASSTORE_KEY", "key.pem")
    assert invoke(["keys", "generate", "key.pem", "--no-passphrase"]) == 0
    assert invoke(["init", "--key", "key.pem"]) == 0
    return tmp_path


def _commands(path: list[str], command: click.Command) -> Iterator[tuple[list[str], click.Command]]:
    if not isinstance(command, click.Group):
        yield path, command
        return
    ctx = click.Context(command)
    for name in command.list_commands(ctx):
        found = command.get_command(ctx, name)
        if found is not None and name != "demo":
            yield from _commands([*path, name], found)


def _line(path: list[str], command: click.Command, odd: click.Parameter, value: str) -> list[str]:
    words, places = list(path), []
    for param in command.params:
        given = value if param is odd else str(param.type.choices[0]) if isinstance(param.type, click.Choice) else "1"
        if param is not odd and not param.required:
            continue
        if isinstance(param, click.Argument):
            places += [given] * max(1, param.nargs)
        else:
            words += [param.opts[0], *[given] * max(1, param.nargs)]
    return [*words, "--", *places]


def told(words: list[str]) -> tuple[str, str]:
    """Standard output and error of a command; its result does not matter here."""
    out, err = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        invoke(words)
    out.flush()
    return out.buffer.getvalue().decode(), err.getvalue()  # type: ignore[attr-defined]


OPTIONS = [
    (path, command, param)
    for path, command in _commands([], whole)
    for param in command.params
    if path[0] in COMMANDS and param.name != "help" and not getattr(param, "is_flag", False)
]


@pytest.mark.parametrize("kind", GIVEN)
def test_no_option_shows_what_it_was_given(kind: str, here: Path) -> None:
    value, mark = GIVEN[kind]
    for path, command, param in OPTIONS:
        words = _line(path, command, param, value)
        assert mark not in told(words)[1], (path, param.name)


@pytest.mark.parametrize("kind", GIVEN)
@pytest.mark.parametrize("option", ["--store", "--config"])
def test_no_place_shows_a_login(kind: str, option: str, here: Path) -> None:
    value, mark = GIVEN[kind]
    for words in (["ls"], ["doctor"], ["fsck"], ["config", "check"]):
        out, err = told([option, value, *words])
        assert mark not in err
        assert kind == "token" or mark not in out


VARIABLES = [
    "CASSTORE_KEY", "CASSTORE_STORE", "CASSTORE_PASSWORD", "CASSTORE_LEDGER_PASSWORD", "CASSTORE_PASSWORD_FILE",
    "CASSTORE_PASSWORD_COMMAND", "CASSTORE_LEDGER_PASSWORD_COMMAND", "GITHUB_TOKEN",
]  # fmt: skip


@pytest.mark.parametrize("kind", GIVEN)
@pytest.mark.parametrize("name", VARIABLES)
def test_no_variable_is_shown(kind: str, name: str, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    value, mark = GIVEN[kind]
    assert invoke(["keys", "generate", "other.pem", "--no-passphrase"]) == 0
    locked = keys.private_to_pem(keys.generate("ed25519"), b"passphrase")
    (here / "locked.pem").write_bytes(locked)
    monkeypatch.setenv(name, value)
    for words in (
        ["put", "a", "--release-version", "1.0.0", *(["--key", "locked.pem"] if name != "CASSTORE_KEY" else [])],
        ["keys", "generate", f"made-{name}.pem"],
        ["publish", "dev", "--to", "public", "--ledger-key", "locked.pem"],
        ["ls"],
    ):
        assert mark not in "".join(told(words))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://ci:x@host/a: gone", "https://***@host/a: gone"),
        ("git@host:owner/x and ssh://git@host/x", "git@host:owner/x and ssh://git@host/x"),
        (f"no such release: {TOKEN}", f"no such release: [github-token {FINGERPRINT}]"),
        (f"a {PEM}", "a *** (a private key)"),
        (f"sha256:{'0a' * 32} is gone from /var/lib/Store2/some/long/path/to/file", None),
        ("oidc:https://token.actions.githubusercontent.com#repo:o/r:ref:refs/heads/main", None),
    ],
)
def test_hidden(text: str, shown: str | None) -> None:
    assert hidden(text) == (text if shown is None else shown)


# Passphrases


@pytest.fixture
def locked(here: Path) -> Path:
    (here / "locked.pem").write_bytes(keys.private_to_pem(keys.generate("ed25519"), b"pass phrase"))
    return here


def refused(words: list[str]) -> str:
    return told(words)[1]


SIGN = ["put", "a", "--release-version", "1.0.0", "--key", "locked.pem"]
NOT_ASKED = "is no identity of the trust root"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CASSTORE_PASSWORD", "pass phrase"),
        ("CASSTORE_PASSWORD", "pass phrase\r\n"),
        ("CASSTORE_PASSWORD_FILE", "secret.txt"),
        ("CASSTORE_PASSWORD_COMMAND", "cat secret.txt"),
        ("CASSTORE_PASSWORD_COMMAND", "sh -c 'echo pass\\ phrase'"),
    ],
)
def test_a_passphrase_comes_from_a_variable_a_file_or_a_command(
    name: str, value: str, locked: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (locked / "secret.txt").write_text("pass phrase\n\n")
    monkeypatch.setenv(name, value)
    assert "passphrase" not in refused(SIGN)


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"CASSTORE_PASSWORD": "a", "CASSTORE_PASSWORD_FILE": "b"}, "are both set"),
        ({"CASSTORE_PASSWORD_FILE": "nowhere"}, "the file that CASSTORE_PASSWORD_FILE names cannot be read"),
        ({"CASSTORE_PASSWORD_FILE": "/dev/null"}, "is empty"),
        ({"CASSTORE_PASSWORD_COMMAND": "false"}, "ended with 1"),
        ({"CASSTORE_PASSWORD_COMMAND": "true"}, "is empty"),
        ({"CASSTORE_PASSWORD_COMMAND": "'"}, "is no command"),
        ({"CASSTORE_PASSWORD_COMMAND": "no-such-program-here"}, "no-such-program-here"),
        ({"CASSTORE_PASSWORD": "wrong"}, "wrong passphrase"),
    ],
)
def test_a_passphrase_that_does_not_come(
    variables: dict[str, str], said: str, locked: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert said in refused(SIGN)


def test_two_keys_have_two_helpers(locked: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cli.session import LEDGER_PASSPHRASE, passphrase

    monkeypatch.setenv("CASSTORE_PASSWORD", "one")
    monkeypatch.setenv("CASSTORE_LEDGER_PASSWORD_COMMAND", "echo two")
    assert (passphrase("x"), passphrase("x", LEDGER_PASSPHRASE)) == (b"one", b"two")


# Keys that are none for us


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQ==\n",
            "an OpenSSH private key",
        ),
        ("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB me@host\n", "an OpenSSH public key"),
        ("-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nlQ==\n", "an OpenPGP key"),
        ("-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\nAA==\n", "a cosign private key"),
        ("PuTTY-User-Key-File-3: ssh-ed25519\n", "a PuTTY private key"),
        ("-----BEGIN CERTIFICATE-----\nAA==\n", "a certificate"),
        ("-----BEGIN PUBLIC KEY-----\nAA==\n", "a public key"),
        ("AGE-SECRET-KEY-1AAA\n", "an age key"),
        ("hello\n", "not a private key in PEM"),
    ],
)
def test_a_key_of_another_kind_is_named(text: str, said: str, here: Path) -> None:
    (here / "odd").write_text(text)
    assert said in refused([*SIGN[:-1], "odd"])


def test_a_private_key_where_a_public_one_is_wanted(here: Path) -> None:
    assert "this is a private key, where a public one is wanted" in refused(["keys", "show", "key.pem"])
    (here / "ssh.pub").write_text("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB me@host\n")
    assert "an OpenSSH public key" in refused(["keys", "show", "ssh.pub"])


# Nothing that was given is lost


@pytest.mark.parametrize(
    "words",
    [
        ["keys", "ceremony", "draft", "--out", "d", "--role", "owner=a", "--role", "owner=b"],
        ["keys", "ceremony", "draft", "--out", "d", "--valid-until", "a=2027-01-01", "--valid-until", "a=2028-01-01"],
        ["keys", "ceremony", "draft", "--out", "d", "--identity", "a=key.pem.pub", "--identity", "a=other.pem.pub"],
        ["release", "1.0.0", "--component", f"a=sha256:{'0' * 64}", "--component", f"a=sha256:{'1' * 64}"],
    ],
)
def test_a_second_value_under_a_name_is_refused(words: list[str], here: Path) -> None:
    assert invoke(["keys", "generate", "other.pem", "--no-passphrase"]) == 0
    assert "is given twice, with two values" in refused(words)
    assert not os.path.exists("d")


# What is signed, kept and shown


def test_a_reason_and_a_gate_say_no_secret(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (
        CONFIG
        + f"""[gates.own]
command = ["sh", "-c", "echo curl -H PRIVATE-TOKEN: {TOKEN} >&2; exit 1"]
"""
    )
    (here / "casstore.toml").write_text(text.replace(TOKEN, "$T"))
    monkeypatch.setenv("T", TOKEN)
    (here / "casstore.toml").write_text(text.replace(TOKEN, "$T") + 'env = ["T"]\n')
    assert invoke(["put", "a", "--release-version", "1.0.0"]) == 0
    out, err = told(["release", "1.0.0", "--blockers", "blockers.json"])
    assert "gate own failed" in err
    kept = (here / "blockers.json").read_text()
    assert TOKEN not in out + err + kept
    assert f"{FINGERPRINT}]" in err and f"{FINGERPRINT}]" in kept


def test_a_reason_is_signed_without_a_secret(here: Path) -> None:
    assert invoke(["put", "a", "--release-version", "1.0.0"]) == 0
    assert invoke(["release", "1.0.0"]) == 0
    assert invoke(["promote", "1.0.0", "--to", "dev"]) == 0
    (here / "in" / "file").write_text("other")
    assert invoke(["put", "a", "--release-version", "1.1.0"]) == 0
    assert invoke(["release", "1.1.0"]) == 0
    assert invoke(["promote", "1.1.0", "--to", "dev"]) == 0
    err = told(["rollback", "dev", "--reason", f"leaked {TOKEN} today", "--confirm"])[1]
    assert "a secret in the text was taken out" in err
    assert "error" not in err, err
    out = told(["channel", "log", "dev", "--json"])[0]
    assert f"leaked [github-token {FINGERPRINT}] today" in out
    table = told(["channel", "log", "dev"])[0]
    assert "rollback" in table and TOKEN not in table


def test_nothing_that_is_signed_says_a_secret(here: Path) -> None:
    """Not a recorded build, nor a gate's settings, a text for people, a predicate of one's own, a test's name."""
    build = f'build = ["sh", "-c", "cp file made; : {TOKEN}"]\n'
    own = f'[gates.own]\ncommand = ["sh", "-c", "true {TOKEN}"]\n'
    (here / "casstore.toml").write_text(
        CONFIG.replace('root = "in"\n', f'root = "in"\n{build}').replace("cp file", "cp in/file") + own
    )
    (here / "notes.md").write_text(f"new: the token {TOKEN}\n")
    (here / "own.json").write_text(json.dumps({"env": {"said": [f"curl {TOKEN}"]}, TOKEN: 1}))
    (here / "junit.xml").write_text(f"<testsuite name='s'><testcase name='test[{TOKEN}]'/></testsuite>")
    said = [told(["put", "a", "--release-version", "1.0.0"])[1]]
    said.append(told(["release", "1.0.0", "--notes", "notes.md", "--out", "dist"])[1])
    about = ["attest", "sign", f"x=sha256:{'0' * 64}", "--hand-in"]
    for kind, file in (("https://example.org/p", "own.json"), ("test-result", "junit.xml")):
        said.append(told([*about, "--type", kind, "--predicate", file, "--out", f"{file}.made"])[1])
    assert ["was taken out" in one for one in said] == [True] * 4 and not any("error" in one for one in said), said
    line = (here / "casstore.toml").read_text().split(TOKEN)[0].count("\n") + 1
    assert f"casstore.toml:{line}: a secret (github-token), which is kept with the release" in said[1]
    store = Store.open(str(here / "store"))
    kept = [json.loads(store.read(entry.statement)) for entry in list(Ledger(store, "main").entries())[1:]]
    kept += [json.loads((here / file).read_text()) for file in ("own.json.made", "junit.xml.made")]
    released = release_objects.parse((here / "dist" / "release.json").read_bytes())
    kept += [json.loads(store.read(digest)) for digest in released.evidence]
    payloads = [base64.b64decode(one["dsseEnvelope"]["payload"]).decode() for one in kept]
    assert not [text for text in [*payloads, (here / "dist" / "NOTES").read_text()] if TOKEN in text]
    assert sum(FINGERPRINT in text for text in payloads) >= 6
    shown = told(["attest", "show", "own.json.made"])[0]
    assert f"curl [github-token {FINGERPRINT}]" in shown


def test_a_policy_with_a_secret_is_signed_by_nobody(here: Path) -> None:
    """Who may do what is signed as it is, or not at all."""
    text = CONFIG.replace("approvals = 0", 'approvals = 0\nrequire = ["gate:own"]')
    (here / "casstore.toml").write_text(text + f'[gates.own]\ncommand = ["sh", "-c", "true {TOKEN}"]\n')
    (here / "store").rename(here / "before")
    err = told(["init", "--key", "key.pem"])[1]
    assert "has a secret in it, at " in err and "command" in err and TOKEN not in err


def test_a_publication_that_would_be_gone_is_refused(here: Path) -> None:
    (here / "casstore.toml").write_text(CONFIG.replace("./public", "memory://x"))
    assert "memory:// is gone when the command ends" in told(["publish", "dev", "--to", "public"])[1]


def test_an_error_is_told_where_the_rules_cannot_be_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bundlers.inspection.secret_forms", None)
    assert hidden(f"no such release: {TOKEN}") == "no such release: ***"
    assert hidden("no such release: 1.0.0") == "no such release: 1.0.0"
