"""Writes docs/commands.md and docs/man from the commands' own help (`make docs`); a test holds them together."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import Any

import click

from cli.main import main

TARGET = os.path.join(os.path.dirname(os.path.abspath(__file__)), "commands.md")
SHAPE: dict[str, Any] = {"terminal_width": 100, "max_content_width": 100, "help_option_names": ["-h", "--help"]}
HEAD = (
    "# Commands\n\n"
    "Made from the commands' own help by `make docs`; do not edit. Exit codes: [exit-codes.md](exit-codes.md).\n"
)


def pages(command: click.Command, path: tuple[str, ...]) -> Iterator[str]:
    """A section for a command and for each one below it."""
    with click.Context(command, info_name=" ".join(path), **SHAPE) as ctx:
        yield f"\n## {' '.join(path)}\n\n```\n{command.get_help(ctx).rstrip()}\n```\n"
        if isinstance(command, click.Group):
            for name in command.list_commands(ctx):
                found = command.get_command(ctx, name)
                yield from pages(found or command, (*path, name))


def text() -> str:
    """The whole page."""
    return HEAD + "".join(pages(main, ("casstore",)))


if __name__ == "__main__":
    with open(TARGET, "w", encoding="utf-8") as file:
        file.write(text())
    import make_man

    make_man.write()
    sys.exit(0)
