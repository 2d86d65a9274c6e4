"""Every command: help with an example, exit codes, documentation; start-up stays light."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator

import click
import pytest

from cli.main import COMMANDS, main

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))))
HEAVY = ("rich", "sigstore", "tuf", "in_toto", "pydantic", "lmdb", "fsspec", "cryptography", "securesystemslib")


def every(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    if not isinstance(command, click.Group):
        yield " ".join(path), command
        return
    with click.Context(command) as ctx:
        for name in command.list_commands(ctx):
            found = command.get_command(ctx, name)
            assert found is not None
            yield from every(found, (*path, name))


ALL = dict(every(main))


@pytest.mark.parametrize("name", ALL)
def test_a_command_has_help_with_an_example(name: str) -> None:
    text = ALL[name].help or ""
    assert "Example" in text
    assert f"casstore {name}" in text or "casstore --" in text


@pytest.mark.parametrize("name", COMMANDS)
def test_the_table_says_the_same_as_the_command(name: str) -> None:
    with click.Context(main) as ctx:
        command = main.get_command(ctx, name)
    assert command is not None
    assert COMMANDS[name][1].endswith(".")


@pytest.mark.parametrize(
    "name", [n for n in ALL if n not in ("cat", "attest show", "gate explain", "attest sign-bundle", "completion")]
)
def test_a_command_gives_json(name: str) -> None:
    options = {option for parameter in ALL[name].params for option in parameter.opts}
    assert "--json" in options or name == "demo" or name.startswith("attest verify-bundle")


def test_the_commands_page_is_what_the_commands_say() -> None:
    spec = importlib.util.spec_from_file_location("make_commands", os.path.join(ROOT, "docs", "make_commands.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with open(os.path.join(ROOT, "docs", "commands.md"), encoding="utf-8") as file:
        assert file.read() == module.text(), "run: make docs"


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from cli.main import invoke; invoke(['--help']);"
        f"print([m for m in {HEAVY!r} if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"


def test_every_command_of_the_readme_is_there() -> None:
    import re

    with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as file:
        named = set(re.findall(r"`casstore ([a-z-]+)", file.read()))
    assert named <= set(COMMANDS), named - set(COMMANDS)
