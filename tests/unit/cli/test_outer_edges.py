"""The outer edges: odd arguments, terminals, streams, variables, limits, web servers; never an "unexpected" error."""

from __future__ import annotations

import contextlib
import io
import os
import random
import subprocess
import sys
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path

import bad_http
import click
import pytest

from attest.core.shown import shown
from cli.drawing import render
from cli.main import COMMANDS, invoke
from cli.main import main as whole

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
[network]
allow = ["127.0.0.1"]
"""
ODD = [
    "", " ", "a\nerror: forged", "\u202egpj.exe", "\x1b[2Jx", "\udcff\udcfe", "x" * 5000, "-", "..", "/",
    "/nonexistent/x", "[z-a]", "sha256:", "sha256:" + "0" * 64, "nosuch@1.0", "nosuch/1/2", "http://[::1", "s3://",
    "az://x", "memory://x", "file://host/x", "hsm:", "hsm://[", "awskms:///x", "azurekms://[x", "keyless:",
    "keyless:x?y", "9" * 400, "-1", "1e400", "nan", "~", "%s%n", "casstore.toml", "in", "key.pem", "store", "bad.bin",
    "empty", "nan.json", "deep.json", "store/casstore.json", "0", "\u2028x", "é" * 300,
]  # fmt: skip
ENVIRONMENT = ("CASSTORE_STORE", "CASSTORE_KEY", "CASSTORE_PASSWORD", "XDG_CACHE_HOME", "XDG_STATE_HOME")


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release in a channel, published."""
    folder = tmp_path_factory.mktemp("line")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("HOME", str(folder / "home"))
        for name in ENVIRONMENT:
            patch.delenv(name, raising=False)
        (folder / "casstore.toml").write_text(CONFIG)
        (folder / "in").mkdir()
        (folder / "in" / "file").write_text("content")
        (folder / "in" / "ö☃").write_text("content")
        for args in (
            ["keys", "generate", "key.pem", "--no-passphrase"],
            ["init", "--key", "key.pem"],
            ["put", "--all", "--release-version", "1.0.0", "--key", "key.pem"],
            ["release", "1.0.0", "--out", "dist", "--key", "key.pem"],
            ["promote", "1.0.0", "--to", "dev", "--key", "key.pem"],
            ["publish", "dev", "--to", "public", "--key", "key.pem"],
        ):
            assert invoke(args) == 0
        (folder / "bad.bin").write_bytes(bytes(range(256)) * 4)
        (folder / "empty").write_bytes(b"")
        (folder / "nan.json").write_text('{"a": NaN}')
        (folder / "deep.json").write_text("[" * 100_000)
    return folder


@pytest.fixture
def here(line: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(line)
    monkeypatch.setenv("HOME", str(line / "home"))
    for name in ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
    return line


# Values on a terminal


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("a\nerror: forged", "a\\nerror: forged"),
        ("\x1b[2J\x9b", "\\x1b[2J\\x9b"),
        ("\u202egpj.exe\u2066\u200f", "\\u202egpj.exe\\u2066\\u200f"),
        ("a\u2028b\u2029\x85\r", "a\\u2028b\\u2029\\x85\\r"),
        ("\udcff\ud800", "\\xff\\ud800"),
        ("\ufeffx\u200b\U000e0041", "\\ufeffx\\u200b\\U000e0041"),
        ("Größe 你好 שלום C:\\new", "Größe 你好 שלום C:\\new"),
    ],
)
def test_a_value_is_shown_as_a_value(value: str, told: str) -> None:
    assert shown(value) == told


def test_nothing_that_steers_is_left() -> None:
    every = "".join(chr(code) for code in range(sys.maxunicode + 1) if not chr(code).isalnum())
    kinds = {unicodedata.category(char) for char in set(shown(every))}
    assert not kinds & {"Cc", "Cf", "Cs", "Zl", "Zp"}


@pytest.mark.parametrize("tell", [render.line, render.say, render.error, render.warning])
def test_a_line_stays_a_line(tell: Callable[[str], None], capsys: pytest.CaptureFixture[str]) -> None:
    tell("name\nerror: forged\r\x1b[1A\u2028")
    out, err = capsys.readouterr()
    assert (out + err).count("\n") == 1
    assert (out + err).endswith("name\\nerror: forged\\r\\x1b[1A\\u2028\n")


def test_a_cell_stays_a_cell(capsys: pytest.CaptureFixture[str]) -> None:
    render.table(("A", "B"), [("x\ny", "\u202ez")])
    assert capsys.readouterr().out.splitlines() == ["A     B", "x\\ny  \\u202ez"]


# Every command, every argument


def _commands(path: list[str], command: click.Command) -> Iterator[tuple[list[str], click.Command]]:
    if not isinstance(command, click.Group):
        yield path, command
        return
    ctx = click.Context(command)
    for name in command.list_commands(ctx):
        found = command.get_command(ctx, name)
        if found is not None and name != "demo":
            yield from _commands([*path, name], found)


def _usual(param: click.Parameter, dice: random.Random) -> str:
    name = param.name or ""
    if isinstance(param.type, click.Choice):
        return str(param.type.choices[0])
    if param.type.name.startswith(("integer", "float")):
        return "1"
    for part, value in (("key", "key.pem"), ("channel", "dev"), ("version", "1.0.0"), ("component", "a")):
        if part in name:
            return value
    return dice.choice(["in/file", "public", "1.0.0", "dev", "a@1.0.0", "1.0.0/p", "p", "x"])


def _words(path: list[str], command: click.Command, dice: random.Random) -> list[str]:
    params = [param for param in command.params if param.name != "help"]
    odd = dice.choice(params) if params else None
    words, places = list(path), []
    for param in params:
        if not (param is odd or param.required or dice.random() < 0.25):
            continue
        value = dice.choice(ODD) if param is odd else _usual(param, dice)
        count = max(1, param.nargs)
        if isinstance(param, click.Argument):
            places += [value] * count
        elif getattr(param, "is_flag", False):
            words.append(param.opts[0])
        else:
            words += [param.opts[0], *[value] * count]
    front = [dice.choice(["--store", "--config"]), dice.choice(ODD)] if dice.random() < 0.08 else []
    return [*front, *words, "--", *places]


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "demo"])
def test_odd_words_are_refused_in_a_line(name: str, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CASSTORE_KEY", "key.pem")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(), "utf-8"))
    read_nothing = os.open(os.devnull, os.O_RDONLY)
    held = os.dup(0)
    os.dup2(read_nothing, 0)
    try:
        _try_words(name)
    finally:
        os.dup2(held, 0)
        os.close(held)
        os.close(read_nothing)


def _try_words(name: str) -> None:
    dice = random.Random(name)
    found = [row for row in _commands([], whole) if row[0][0] == name]
    for _ in range((5 if name == "doctor" else 15) * len(found)):  # each of which tries cells and builds
        words = _words(*dice.choice(found), dice)
        if "--watch" in words:  # which goes on until it is interrupted
            continue
        out, err = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = invoke(words)
        told = err.getvalue()
        assert "unexpected" not in told, words
        assert all(char.isprintable() or char == "\n" for char in told), words
        assert code in {*range(13), 130}
        if name != "put":
            assert sum(one.startswith("error: ") for one in told.splitlines()) <= 1, words


# Streams, encodings, limits, variables


def shell(here: Path, script: str, **variables: str) -> subprocess.CompletedProcess[bytes]:
    """A shell line in which `casstore` is the program."""
    program = f'casstore() {{ "{sys.executable}" -c "from cli.main import run; run()" "$@"; }}\n'
    shared = {"PYTHONDONTWRITEBYTECODE": "1"}  # what is cut by a limit would be read by every later test
    environment = {"PATH": os.environ["PATH"], "HOME": str(here / "home"), **shared, **variables}
    return subprocess.run(["bash", "-c", program + script], cwd=here, env=environment, capture_output=True, timeout=120)


@pytest.mark.parametrize(
    "variables",
    [
        {"LANG": "C"},
        {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
        {"LC_ALL": "xx_YY"},
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "latin-1"},
        {"PYTHONIOENCODING": "cp437:strict"},
        {"PYTHONUTF8": "1"},
    ],
)
def test_any_encoding_of_a_terminal(here: Path, variables: dict[str, str]) -> None:
    for script in ("casstore ls a@1.0.0", "casstore ls 'nö☃'", "casstore --help", "casstore ls --json"):
        result = shell(here, script, **variables)
        assert result.returncode in (0, 8), result.stderr
        assert b"unexpected" not in result.stderr
        assert b"Traceback" not in result.stderr


@pytest.mark.parametrize("what", ["ls", "ls --json", "cat 1.0.0/p/file", "--help"])
def test_a_full_output_is_told(here: Path, what: str) -> None:
    result = shell(here, f"casstore {what} >/dev/full")
    assert (result.returncode, result.stderr.count(b"error: standard output: No space")) == (12, 1)


@pytest.mark.parametrize("what", ["ls", "ls --json", "cat 1.0.0/p/file"])
def test_a_closed_output_is_told(here: Path, what: str) -> None:
    result = shell(here, f"casstore {what} >&-")
    assert (result.returncode, result.stderr.count(b"error: standard output is closed")) == (12, 1)


def test_talk_to_nobody_is_not_told_among_the_data(here: Path) -> None:
    assert shell(here, "casstore ls nosuch 2>&-").stdout == b""
    assert shell(here, "casstore ls nosuch 2>/dev/full").returncode == 8
    assert shell(here, "casstore put in 2>&- | cut -c1-7").stdout == b"sha256:\n"


def test_a_folder_that_is_gone_is_told(here: Path) -> None:
    result = shell(here, "mkdir gone; cd gone; rmdir ../gone; casstore ls")
    assert (result.returncode, b"the folder that this runs in is gone" in result.stderr) == (1, True)


def test_a_reader_that_has_enough(here: Path) -> None:
    result = shell(
        here, "for i in $(seq 300); do echo in/file; done | casstore put --from-stdin | head -c 10; sleep 0.2"
    )
    assert result.stderr == b""
    result = shell(here, "casstore ls | true; echo ${PIPESTATUS[0]}")
    assert result.stderr == b""
    assert result.stdout in (b"0\n", b"1\n")


def test_no_file_takes_the_place_of_a_closed_stream(here: Path) -> None:
    result = shell(here, "casstore put in <&- >&- 2>&-; casstore fsck >/dev/null && casstore ls a@1.0.0 <&- 2>&-")
    assert result.returncode == 0
    assert b"file" in result.stdout


@pytest.mark.parametrize("limit", ["-v 300000", "-n 12", "-f 1", "-s 128"])
def test_limits_of_the_machine_are_told_as_such(here: Path, limit: str) -> None:
    (here / "big").write_bytes(random.Random(3).randbytes(3_000_000))
    result = shell(here, f"ulimit {limit} || exit 0; casstore put big")
    assert b"unexpected" not in result.stderr
    assert b"Traceback" not in result.stderr


@pytest.mark.parametrize(
    "variables",
    [
        {"HOME": ""}, {"HOME": "relative"}, {"HOME": "/nonexistent"}, {"HOME": "/dev/null"}, {"XDG_CACHE_HOME": "x"},
        {"XDG_STATE_HOME": "/proc/x"}, {"TMPDIR": "/nonexistent"}, {"TZ": "garbage"}, {"COLUMNS": "-5"},
        {"COLUMNS": "x"}, {"SOURCE_DATE_EPOCH": "x"}, {"CASSTORE_STORE": "a\nb"}, {"CASSTORE_KEY": "\x1b[2J"},
        {"NO_COLOR": "1"}, {"CASSTORE_TESTING": "1", "CASSTORE_NOW": "garbage"}, {"HTTP_PROXY": "http://[::1"},
        {"SSL_CERT_FILE": "/nonexistent"},
    ],
)  # fmt: skip
def test_odd_variables(here: Path, variables: dict[str, str]) -> None:
    for script in ("casstore put in", "casstore verify public --channel dev", "casstore rollback dev --reason x"):
        result = shell(here, script, **variables)
        assert b"unexpected" not in result.stderr, result.stderr
        assert b"Traceback" not in result.stderr, result.stderr
        assert b"\x1b" not in result.stderr


# Web servers


@pytest.mark.parametrize("how", bad_http.HOWS)
@pytest.mark.parametrize("which", ["timestamp.json", "snapshot.json", "targets.json", ".objects.tar", ".tar.gz"])
def test_an_answer_that_did_not_come_whole_is_no_forgery(
    how: str,
    which: str,
    here: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("bundlers.consuming.downloads.WAITS", (0.0,))

    def answer(path: str, body: bytes) -> bytes:
        return (bad_http.HOWS[how] if path.endswith(which) else bad_http.whole)(body)

    with bad_http.serving(here / "public", answer) as url:
        code = invoke(["install", "p", "--from", url, "--channel", "dev", "--into", str(tmp_path / "into")])
    told = capsys.readouterr().err
    assert code == 12, told
    assert "unexpected" not in told
    assert not (tmp_path / "into" / "current").exists()
