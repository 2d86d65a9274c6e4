"""What documents, hints and examples tell people to type is there: the commands, and their options."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from bundlers import gates
from bundlers.gates import GATES
from casstore import config
from cli.main import COMMANDS, main
from cli.pages import topics

ROOT = Path(__file__).resolve().parents[3]
PAGES = [page for page in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")) if page.name != "commands.md"]
_BLOCK = re.compile(r"```(?:sh|bash)\n(.*?)```", re.DOTALL)
_INLINE = re.compile(r"(?<!`)`(casstore [^`]+)`(?!`)")
_OPTION = re.compile(r"--[a-z][a-z-]*")
NOT_YET = {"audit", "baseline", "gc", "isolation", "pin", "rehearse", "restore", "snapshot", "sync"} - set(COMMANDS)
"""Words that look like commands of ours; a hint may not name one before it is there."""


def told(page: Path) -> Iterator[str]:
    text = page.read_text(encoding="utf-8")
    for block in _BLOCK.findall(text):
        lines = block.replace("\\\n", " ").splitlines()
        yield from (line.partition(" #")[0] for line in lines if line.startswith("casstore "))
    yield from _INLINE.findall(_BLOCK.sub("", text))


def options(command: click.Command) -> set[str]:
    return {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)} | {"--help"}


def problem(line: str) -> str:
    """What a shell would be told about this line; empty when the command and its options are there."""
    command: click.Command = main
    known = options(main)
    for word in line.split()[1:]:
        if word.startswith("-"):
            name = word.partition("=")[0]
            if _OPTION.fullmatch(name) and name not in known:
                return f"{command.name} has no option {name}"
        elif isinstance(command, click.Group):
            with click.Context(command) as ctx:
                found = command.get_command(ctx, word)
            if found is None:
                return f"{command.name} has no command {word}"
            command, known = found, options(found)
    return ""


def test_the_judge_itself() -> None:
    assert problem("casstore --offline verify kit.tar --channel prod") == ""
    assert problem("casstore verify kit.tar --nonsense") == "verify has no option --nonsense"
    assert problem("casstore nonsense") == "main has no command nonsense"
    assert problem("casstore keys ceremony nonsense") == "ceremony has no command nonsense"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_tells_only_what_is_there(page: Path) -> None:
    assert {line: found for line in told(page) if (found := problem(line))} == {}


def texts() -> Iterator[tuple[str, int, str]]:
    """Every text of the packages that may reach a person; f-strings with their holes as X."""
    for package in ("attest", "casstore", "bundlers", "cli"):
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.JoinedStr):
                    parts = (str(v.value) if isinstance(v, ast.Constant) else "X" for v in node.values)
                    yield str(path.relative_to(ROOT)), node.lineno, "".join(parts)
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    yield str(path.relative_to(ROOT)), node.lineno, node.value


def test_hints_name_only_what_is_there() -> None:
    """`casstore` is also a word of prose, so a command is what stands in the table or on the list above."""
    wrong = []
    for path, line, text in texts():
        for found in re.finditer(r"\bcasstore ((?:--offline )?([a-z-]+)[^\n`]*)", text):
            if found[2] in NOT_YET:
                wrong.append(f"{path}:{line}: no command {found[2]}")
            elif found[2] in COMMANDS and (what := problem("casstore " + _upto_prose(found[1]))):
                wrong.append(f"{path}:{line}: {what}")
    assert wrong == []


_REPOSITORY = re.compile(r"\bdocs/|\b(?:README|SECURITY|CONTRIBUTING|CHANGELOG)\b|\b[a-z-]+/[\w/-]+\.md\b")


def docstrings(tree: ast.Module) -> set[int]:
    """The lines where a docstring begins; texts under an assignment are some, too."""
    return {
        node.value.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }


def messages() -> Iterator[tuple[str, str]]:
    """What reaches a person: every text that is no docstring, the help of every command, the docstrings of gates."""
    for package in ("attest", "casstore", "bundlers", "cli"):
        for path in sorted((ROOT / package).rglob("*.py")):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            skipped = docstrings(tree)
            for node in ast.walk(tree):
                if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.lineno not in skipped:
                    yield f"{path.relative_to(ROOT)}:{node.lineno}", node.value
    for name in GATES:
        yield f"gate {name}", gates.describe(name).help
    yield from helps(main, "casstore")


def helps(command: click.Command, path: str) -> Iterator[tuple[str, str]]:
    with click.Context(command, help_option_names=["-h", "--help"]) as ctx:
        yield path, command.get_help(ctx)
        for name in command.list_commands(ctx) if isinstance(command, click.Group) else ():
            found = command.get_command(ctx, name)
            yield from helps(found, f"{path} {name}") if found else ()


def test_no_message_names_a_file_of_the_repository() -> None:
    """An installed tool has none of them: `casstore help TOPIC` shows the pages."""
    own = {"cli/pages/topics.py", "cli/demo/data.py"}
    wrong = {place: found[0] for place, text in messages() if (found := _REPOSITORY.search(text))}
    assert {place: found for place, found in wrong.items() if place.partition(":")[0] not in own} == {}


def test_every_topic_that_is_told_is_there() -> None:
    told = [(place, name) for place, text in messages() for name in re.findall(r"casstore help ([a-z][a-z/-]*)", text)]
    pages = [
        (page.name, name) for page in PAGES for name in re.findall(r"casstore help ([a-z][a-z/-]*)", page.read_text())
    ]
    known = {*topics.topics(), *COMMANDS}
    assert [(place, name) for place, name in [*told, *pages] if name not in known] == []


def _upto_prose(text: str) -> str:
    """The command, its sub-commands and its options; the rest may be a sentence."""
    words = text.split()
    kept, command = [], main
    for word in words:
        if isinstance(command, click.Group) and not word.startswith("-"):
            with click.Context(command) as ctx:
                found = command.get_command(ctx, word)
            if found is None:
                break
            kept.append(word)
            command = found
        elif _OPTION.fullmatch(word):
            kept.append(word)
    return " ".join(kept)


def test_every_make_target_that_is_told_has_a_recipe() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    recipes = set(re.findall(r"^([a-z-]+):[^\n]*\n\t", makefile, re.MULTILINE))
    phony = set(re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)[0].split())
    assert phony - recipes == set()
    named = {name for page in PAGES for name in re.findall(r"`make ([a-z-]+)`", page.read_text(encoding="utf-8"))}
    assert named - recipes == set()


def test_exit_codes_of_errors_are_on_the_page() -> None:
    table = (ROOT / "docs" / "exit-codes.md").read_text(encoding="utf-8")
    documented = {int(code) for code in re.findall(r"\| (\d+) \|", table)}
    given = set()
    for path in ("attest/errors.py", "casstore/errors.py", "bundlers/errors.py"):
        for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
            if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Constant):
                target = node.targets[0] if isinstance(node, ast.Assign) else node.target
                if isinstance(target, ast.Name) and target.id == "exit_code":
                    given.add(node.value.value)
    assert given - documented == set()
    assert {0, 1, 2, 130} <= documented


def test_every_error_is_said_once_and_raised() -> None:
    """A class of errors has one name in one package, and something of ours makes it or one below it."""
    modules = [importlib.import_module(f"{package}.errors") for package in ("attest", "casstore", "bundlers")]
    every = [kind for module in modules for kind in vars(module).values() if kind.__class__ is type]
    kinds = {kind for kind in every if issubclass(kind, BaseException)}
    assert len({kind.__name__ for kind in kinds}) == len(kinds) > 30
    made: set[str] = set()
    for package in ("attest", "casstore", "bundlers"):
        for path in (ROOT / package).rglob("*.py"):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            caught = {
                id(name) for row in ast.walk(tree) if isinstance(row, ast.ExceptHandler) for name in _names(row.type)
            }
            made |= {name.id for name in _names(tree) if id(name) not in caught}
    unused = {
        kind.__name__ for kind in kinds if not any(one.__name__ in made for one in kinds if issubclass(one, kind))
    }
    assert unused == set()


def _names(tree: ast.AST | None) -> Iterator[ast.Name]:
    yield from (node for node in (ast.walk(tree) if tree else ()) if isinstance(node, ast.Name))


@pytest.mark.parametrize("page", ["README.md", "docs/formats/config.md"])
def test_a_whole_casstore_toml_that_is_shown_is_accepted(page: str) -> None:
    blocks = re.findall(r"```toml\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL)
    whole = [block for block in blocks if "[store]" in block]
    assert whole
    for block in whole:
        assert config.parse(block.encode(), page).products
