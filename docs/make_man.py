"""Writes docs/man/*.1 from the commands' own help: a page for the program, and one for each command.

`docs/make_commands.py` runs it (`make docs`); a test holds the pages and the commands together. Source of
the macros: man(7).
"""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Iterator

import click

from cli.main import COMMANDS, main

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "man")
_EXIT = re.compile(r"^Exit (?:status|codes?):", re.MULTILINE)
_ENVIRONMENT = (
    ("CASSTORE_STORE", "The store's URL, where --store is not given."),
    ("CASSTORE_KEY", "The signer, where --key is not given."),
    ("CASSTORE_PASSWORD", "The passphrase of keys; else it is asked for on a terminal."),
    ("CASSTORE_PASSWORD_FILE", "A file that holds it instead."),
    ("CASSTORE_PASSWORD_COMMAND", "A command that prints it instead."),
    ("CASSTORE_LEDGER_PASSWORD", "That of the ledger key alone; likewise with _FILE or _COMMAND after it."),
    ("CASSTORE_DEBUG", "Show where an unexpected error came from."),
)


def pages() -> dict[str, str]:
    """File name -> its text."""
    with click.Context(main, info_name="casstore", help_option_names=["-h", "--help"]) as ctx:
        found = {"casstore.1": _program(ctx)}
        for name in main.list_commands(ctx):
            if command := main.get_command(ctx, name):
                found[f"casstore-{name}.1"] = _page(command, ctx, name)
    return found


def _program(ctx: click.Context) -> str:
    lines = [*_head("casstore", "the signed release ledger for plain files, with no server")]
    lines += [".SH SYNOPSIS", ".B casstore", "[OPTIONS] COMMAND [ARGUMENTS]"]
    lines += [".SH DESCRIPTION", *_prose(main.help or ""), ".SH OPTIONS", *_options(main, ctx), ".SH COMMANDS"]
    for name, (_, told) in COMMANDS.items():
        lines += [".TP", f".BR casstore\\-{_text(name)} (1)", _text(told)]
    lines.append(".SH ENVIRONMENT")
    for name, told in _ENVIRONMENT:
        lines += [".TP", f".B {name}", _text(told)]
    lines += [".SH EXIT STATUS", *_exit_codes(), ".SH EXAMPLES", *_examples(main.help or "")]
    return "\n".join(lines) + "\n"


def _page(command: click.Command, parent: click.Context, name: str) -> str:
    lines = [*_head(f"casstore-{name}", COMMANDS[name][1].rstrip("."))]
    with click.Context(command, info_name=name, parent=parent) as ctx:
        lines += [".SH SYNOPSIS", *_usage(command, ctx), ".SH DESCRIPTION", *_prose(command.help or "")]
        if options := _options(command, ctx):
            lines += [".SH OPTIONS", *options]
        lines += _end(command.help or "")
        if isinstance(command, click.Group):
            lines += [".SH COMMANDS", *_below(command, ctx)]
    lines += [".SH SEE ALSO", ".BR casstore (1),", f"casstore help, casstore help {_text(name)}"]
    return "\n".join(lines) + "\n"


def _below(group: click.Group, ctx: click.Context) -> Iterator[str]:
    """The commands of a group, and of the groups in it."""
    for name in group.list_commands(ctx):
        command = group.get_command(ctx, name) or group
        with click.Context(command, info_name=name, parent=ctx) as inside:
            yield f'.SS "{_text(inside.command_path)}"'
            yield from _usage(command, inside)
            yield ".PP"
            yield from _prose(command.help or "")
            yield from _options(command, inside)
            if examples := _examples(command.help or ""):
                yield from (".PP", *examples)
            if status := _parts(command.help or "")[2]:
                yield from (".PP", _text(f"Exit status: {status}"))
            if isinstance(command, click.Group):
                yield from _below(command, inside)


def _head(title: str, told: str) -> list[str]:
    return [
        '.\\" Made from the commands by `make docs`; do not edit.',
        f'.TH {_text(title.upper())} 1 "" casstore "casstore manual"',
        ".SH NAME",
        f"{_text(title)} \\- {_text(told)}",
    ]


def _usage(command: click.Command, ctx: click.Context) -> list[str]:
    return [f".B {_text(ctx.command_path)}", _text(" ".join(command.collect_usage_pieces(ctx)))]


def _options(command: click.Command, ctx: click.Context) -> list[str]:
    lines = []
    for parameter in command.get_params(ctx):
        record = parameter.get_help_record(ctx)
        if record is not None and isinstance(parameter, click.Option):
            lines += [".TP", f".B {_text(record[0])}", _text(record[1]) or "\\&"]
    return lines


def _parts(text: str) -> tuple[list[str], list[str], str]:
    """Paragraphs, the lines of the examples, the exit status."""
    prose, examples, status = [], list[str](), ""
    for paragraph in re.split(r"\n\s*\n", inspect.cleandoc(text)):
        body = paragraph.strip("\n").removeprefix("\b\n")
        found = _EXIT.search(body)
        before = body[: found.start()].rstrip() if found else body
        status = " ".join(body[found.end() :].split()) if found else status
        if re.match(r"Examples?:", before):
            examples = before.splitlines()[1:]
        elif before:
            prose.append(paragraph if not found else before)
    return prose, examples, status


def _prose(text: str) -> list[str]:
    lines = list[str]()
    for paragraph in _parts(text)[0]:
        lines += [".PP"] if lines else []
        kept = paragraph.lstrip("\n")
        if kept.startswith("\b"):
            lines += [".nf", *map(_text, kept.splitlines()[1:]), ".fi"]
        else:
            lines.append(_text(" ".join(kept.split())))
    return lines


def _examples(text: str) -> list[str]:
    lines = [line[2:] if line.startswith("  ") else line for line in _parts(text)[1]]
    return [".nf", *map(_text, lines), ".fi"] if lines else []


def _end(text: str) -> list[str]:
    examples, status = _examples(text), _parts(text)[2]
    lines = [".SH EXAMPLES", *examples] if examples else []
    return lines + ([".SH EXIT STATUS", _text(status)] if status else [])


def _exit_codes() -> list[str]:
    with open(os.path.join(os.path.dirname(FOLDER), "exit-codes.md"), encoding="utf-8") as file:
        rows = [line.strip("|\n ").split("|") for line in file if re.match(r"\| \d", line)]
    cells = [(row[at].strip(), row[at + 1].strip()) for row in rows for at in range(0, len(row) - 1, 2)]
    return [line for code, told in sorted(cells, key=lambda cell: int(cell[0])) for line in (".TP", code, _text(told))]


def _text(text: str) -> str:
    """One line of roff that says exactly this."""
    plain = text.replace("\\", "\\e").replace("-", "\\-").replace("`", "")
    return f"\\&{plain}" if plain.startswith((".", "'")) else plain


def write(folder: str = FOLDER) -> None:
    """Write all pages, and remove those of commands that are gone."""
    os.makedirs(folder, exist_ok=True)
    made = pages()
    for name in set(os.listdir(folder)) - set(made):
        os.remove(os.path.join(folder, name))
    for name, text in made.items():
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            file.write(text)
