"""The tab key in real shells: commands, options, choices, components, topics, and paths everywhere else."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cli.main import COMMANDS, invoke

BIN = str(Path(sys.executable).parent)
TOML = '[store]\nurl = "./store"\n[components.core-bin]\ninclude = ["a"]\n[components.licences]\ninclude = ["b"]\n'
PROMPT = b"ready> "


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (tmp_path / "casstore.toml").write_text(TOML)
    (tmp_path / "published").mkdir()
    (tmp_path / "published" / "timestamp.json").write_text("{}")
    return tmp_path


def environment(here: Path) -> dict[str, str]:
    return {
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(here),
        "TERM": "dumb",
        "PS1": PROMPT.decode(),
        "XDG_CONFIG_HOME": str(here / "config"),
        "XDG_DATA_HOME": str(here / "data"),
    }


def offered(here: Path, words: str, index: int) -> list[str]:
    """What the program answers to a shell."""
    asked = {"_CASSTORE_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(index)}
    done = subprocess.run(
        ["casstore"], cwd=here, env=environment(here) | asked, capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    return [line for line in done.stdout.splitlines() if line]


@pytest.mark.parametrize(
    ("words", "index", "answer"),
    [
        ("casstore pub", 1, ["plain,publish"]),
        ("casstore keys ceremony s", 3, ["plain,sign", "plain,status"]),
        ("casstore put --re", 2, ["plain,--release-version", "plain,--replace", "plain,--reread"]),
        ("casstore put ", 2, ["plain,core-bin", "plain,licences"]),
        ("casstore put lic", 2, ["plain,licences"]),
        ("casstore put ./pub", 2, ["file,./pub"]),
        ("casstore verify pub", 2, ["file,pub"]),
        ("casstore --store pub", 2, ["file,pub"]),
        ("casstore help policy-", 2, ["plain,policy-cases"]),
        ("casstore completion ", 2, ["plain,bash", "plain,zsh", "plain,fish"]),
        ("casstore verify --nonsense", 2, []),
        ("casstore nonsense x", 2, ["file,x"]),
        ("casstore --store a --store b pub", 5, ["plain,publish"]),
        ("casstore approve 1 --key a --key b --ye", 7, ["plain,--yes"]),
    ],
)
def test_what_is_offered(here: Path, words: str, index: int, answer: list[str]) -> None:
    assert offered(here, words, index) == answer


def test_every_command_is_offered_at_once(here: Path) -> None:
    assert [line.partition(",")[2] for line in offered(here, "casstore ", 1)] == list(COMMANDS)


def test_a_broken_casstore_toml_is_no_trouble(here: Path) -> None:
    (here / "casstore.toml").write_text("[components\n")
    assert offered(here, "casstore put x", 2) == ["file,x"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_needs_no_shell(shell: str, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    assert invoke(["completion", shell]) == 0
    assert b"_CASSTORE_COMPLETE=" in capsysbinary.readouterr().out


def typed(here: Path, shell: list[str], setup: bytes, line: bytes) -> str:
    """What stands on the command line of an interactive shell after the tab key."""
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(here)
        os.execvpe(shell[0], shell, environment(here))
    shown = b""
    try:
        for wanted, text in ((PROMPT, setup + b"; echo set''up\n"), (b"setup\r\n", b""), (PROMPT, line + b"\t")):
            shown = until(terminal, shown, wanted)
            os.write(terminal, text)
        return (line + until(terminal, until(terminal, shown, line), b" ", keep=True)).decode()
    finally:
        os.close(terminal)
        os.waitpid(child, 0)


def until(terminal: int, shown: bytes, wanted: bytes, *, keep: bool = False) -> bytes:
    """What comes after what is waited for, for 15 seconds at most; with `keep` what comes before it, and itself."""
    end = time.monotonic() + 15
    ready = select.poll()  # of any descriptor: select takes those below 1024
    ready.register(terminal, select.POLLIN)
    while wanted not in shown:
        assert time.monotonic() < end, (wanted, shown)
        if ready.poll(200):
            shown += os.read(terminal, 4096)
    before, _, after = shown.partition(wanted)
    return before + wanted if keep else after


LINES = [
    (b"casstore publ", "casstore publish "),
    (b"casstore keys cer", "casstore keys ceremony "),
    (b"casstore put core", "casstore put core-bin "),
    (b"casstore keys generate --algo", "casstore keys generate --algorithm "),
    (b"casstore verify published/time", "casstore verify published/timestamp.json "),
]


@pytest.mark.foreign
@pytest.mark.parametrize(("line", "whole"), LINES)
def test_bash(here: Path, line: bytes, whole: str) -> None:
    if shutil.which("bash") is None:
        pytest.skip("bash is not here")
    setup = b"bind 'set bell-style none' 'set enable-bracketed-paste off'; source <(casstore completion bash)"
    assert whole in typed(here, ["bash", "--norc", "--noprofile", "-i"], setup, line)


@pytest.mark.foreign
@pytest.mark.parametrize(("line", "whole"), LINES)
def test_zsh(here: Path, line: bytes, whole: str) -> None:
    if shutil.which("zsh") is None:
        pytest.skip("zsh is not here")
    setup = b"PROMPT='ready> '; unsetopt zle_bracketed_paste prompt_sp; autoload -Uz compinit; compinit -u -D; "
    shown = typed(here, ["zsh", "-f", "-i"], setup + b"source <(casstore completion zsh)", line)
    assert whole in re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]|.\x08|\x07", "", shown)


@pytest.mark.foreign
@pytest.mark.parametrize(("line", "whole"), LINES)
def test_fish(here: Path, line: bytes, whole: str) -> None:
    if shutil.which("fish") is None:
        pytest.skip("fish is not here")
    script = f"casstore completion fish | source; complete -C '{line.decode()}'"
    command = ["fish", "--no-config", "-c", script]
    done = subprocess.run(command, cwd=here, env=environment(here), capture_output=True, text=True, check=True)
    assert [found.partition("\t")[0] for found in done.stdout.splitlines()] == [whole.split()[-1]]
